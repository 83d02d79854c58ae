// ClientBundle: the official browser client, served from memory as the reference server does.
// Threading: immutable.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "sesior/http/request.hpp"
#include "sesior/http/response.hpp"

namespace sesior::realtime {

class ClientBundle {
 public:
  // Reads socket.io.js, its variants and their maps from `folder` (the "dist" of the npm package socket.io-client).
  // kNotFound when socket.io.js is not there; a variant that is missing is not served. An empty `folder`: nothing is.
  static absl::StatusOr<ClientBundle> Load(const std::string& folder);

  // Is there a file of this name ("socket.io.js")?
  bool Has(std::string_view name) const { return files_.find(name) != files_.end(); }
  // 200, as gzip for those who take it; or 304 when the client has this version (strong or weak tag); 405 for other
  // methods than GET and HEAD.
  http::Response Answer(const http::Request& request, std::string_view name) const;

 private:
  struct File {
    std::shared_ptr<const std::string> text;
    std::shared_ptr<const std::string> gzip;
  };
  std::map<std::string, File, std::less<>> files_;
  std::string etag_;  // the package's version in quotes
};

}  // namespace sesior::realtime
