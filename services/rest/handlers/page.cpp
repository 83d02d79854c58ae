#include "services/rest/handlers/page.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sesior/base/ids.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/string_view.hpp"
#include "sesior/http/etag.hpp"

namespace sesior::rest {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxTotalBytes = 64 << 20;
constexpr char kIndex[] = "/index.html";

std::string TypeOf(const fs::path& file) {
  static const std::map<std::string, std::string> kTypes = {
      {".css", "text/css; charset=utf-8"},
      {".html", "text/html; charset=utf-8"},
      {".ico", "image/x-icon"},
      {".jpg", "image/jpeg"},
      {".js", "text/javascript; charset=utf-8"},
      {".json", "application/json; charset=utf-8"},
      {".map", "application/json; charset=utf-8"},
      {".mjs", "text/javascript; charset=utf-8"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"},
      {".txt", "text/plain; charset=utf-8"},
      {".webmanifest", "application/manifest+json"},
      {".webp", "image/webp"},
      {".woff2", "font/woff2"},
  };
  const auto type = kTypes.find(file.extension().string());
  return type == kTypes.end() ? "application/octet-stream" : type->second;
}

bool IsHidden(const fs::path& relative) {
  for (const fs::path& part : relative) {
    if (part.string().starts_with('.')) return true;
  }
  return false;
}

std::string ConfigJson(const std::vector<std::string>& realtime_urls) {
  std::string text = R"({"realtime":[)";
  for (const std::string& url : realtime_urls) {
    if (text.back() != '[') text += ',';
    AppendJsonString(text, url);
  }
  return text + "]}";
}

// The page uses a loopback address under its own host name, since the cookie belongs to that.
std::vector<std::string> WithLoopbackNames(const std::string& url) {
  constexpr std::string_view kNames[] = {"://localhost", "://127.0.0.1"};
  for (const std::string_view name : kNames) {
    const std::size_t at = url.find(name);
    if (at == std::string::npos) continue;
    std::vector<std::string> all;
    for (const std::string_view other : kNames) {
      all.push_back(absl::StrCat(url.substr(0, at), ToAbsl(other), url.substr(at + name.size())));
    }
    return all;
  }
  return {url};
}

}  // namespace

std::string ContentSecurityPolicy(const std::vector<std::string>& realtime_urls) {
  std::string scripts = "script-src 'self'";
  std::string connections = "connect-src 'self'";
  for (const std::string& configured : realtime_urls) {
    for (const std::string& url : WithLoopbackNames(configured)) {
      absl::StrAppend(&scripts, " ", url);
      // "http" to "ws", "https" to "wss".
      absl::StrAppend(&connections, " ", url, " ws", url.substr(url.starts_with("http") ? 4 : 0));
    }
  }
  return absl::StrCat("default-src 'none'; style-src 'self'; img-src 'self'; ", scripts, "; ", connections,
                      "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
}

absl::StatusOr<Page> Page::Load(const std::string& root, const std::vector<std::string>& realtime_urls) {
  Page page;
  page.policy_ = ContentSecurityPolicy(realtime_urls);
  if (root.empty()) {
    page.Add("/", "SESIOR: this is the REST service; no page is configured (--web-root).\n",
             "text/plain; charset=utf-8");
  } else {
    std::error_code error;
    std::uintmax_t total = 0;
    for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      const fs::path relative = it->path().lexically_relative(root);
      if (!it->is_regular_file() || IsHidden(relative)) continue;
      total += it->file_size();
      if (total > kMaxTotalBytes)
        return absl::ResourceExhaustedError(absl::StrCat("--web-root ", root, " holds over 64 MiB"));
      std::ifstream file(it->path(), std::ios::binary);
      std::string content(std::istreambuf_iterator<char>(file), {});
      if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", it->path().string()));
      page.Add("/" + relative.generic_string(), std::move(content), TypeOf(relative));
    }
    if (error) return absl::NotFoundError(absl::StrCat("--web-root ", root, ": ", error.message()));
    const auto index = page.files_.find(kIndex);
    if (index == page.files_.end()) return absl::NotFoundError(absl::StrCat("--web-root ", root, " has no index.html"));
    page.files_["/"] = index->second;
  }
  page.Add("/config.json", ConfigJson(realtime_urls), TypeOf("config.json"));
  return page;
}

void Page::Add(const std::string& path, std::string content, std::string type) {
  std::string etag = absl::StrCat("\"", Sha256Hex(content).substr(0, 32), "\"");
  files_[path] = {std::make_shared<const std::string>(std::move(content)), std::move(type), std::move(etag)};
}

std::vector<std::string> Page::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : files_) paths.push_back(path);
  return paths;
}

void Page::Get(Exchange exchange) const {
  const File& file = files_.at(exchange.request().path);
  const std::optional<std::string> known = exchange.request().Joined("If-None-Match", ", ");
  const bool unchanged = known && http::MatchesWeakly(*known, file.etag);
  http::Response response(unchanged ? 304 : 200);
  // Kept by browsers, asked for again each time: a new version is seen at once, and costs one small answer until then.
  response.Add("Cache-Control", "no-cache").Add("ETag", file.etag);
  if (!unchanged) {
    response.Add("Content-Type", file.type).SetBody(file.content);
    response.Add("Content-Security-Policy", policy_);
  }
  std::move(exchange).Answer(std::move(response));
}

}  // namespace sesior::rest
