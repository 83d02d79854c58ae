// Page: the files of the single-page client, read once at start and served from memory, and its config.json. Only what
// was found then can be asked for: no path of a request ever reaches the file system.
// Threading: immutable.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/rest/http/exchange.hpp"

namespace sesior::rest {

class Page {
 public:
  // All regular files under `root`, but those whose path has a part beginning with a dot; "" is a page without files.
  // `realtime_urls`: where the page may connect to, and what config.json tells it.
  // kNotFound: no such folder, or no index.html in it. kResourceExhausted: over 64 MiB.
  static absl::StatusOr<Page> Load(const std::string& root, const std::vector<std::string>& realtime_urls);

  // The paths it can serve, beginning with "/".
  std::vector<std::string> paths() const;
  // `exchange` is for one of them.
  void Get(Exchange exchange) const;

 private:
  struct File {
    std::shared_ptr<const std::string> content;
    std::string type;
    std::string etag;
  };
  void Add(const std::string& path, std::string content, std::string type);

  std::map<std::string, File> files_;
  std::string policy_;  // Content-Security-Policy
};

// What a page may load and where it may connect, when these are the realtime servers.
std::string ContentSecurityPolicy(const std::vector<std::string>& realtime_urls);

}  // namespace sesior::rest
