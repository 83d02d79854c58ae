#include "services/realtime/connection/client_bundle.hpp"

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "sesior/http/content_coding.hpp"
#include "sesior/http/etag.hpp"

namespace sesior::realtime {
namespace {

constexpr const char* kNames[] = {"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js",
                                  "socket.io.msgpack.min.js"};

std::shared_ptr<const std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return nullptr;
  return std::make_shared<const std::string>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

std::shared_ptr<const std::string> Gzip(const std::string& text) {
  http::Packer packer(http::ContentCoding::kGzip, text, true);
  packer.Step(text.size());
  return std::make_shared<const std::string>(packer.Take());
}

// Every file of the package begins with a comment like "Socket.IO v4.8.4".
std::string VersionIn(std::string_view text) {
  constexpr std::string_view kMark = "Socket.IO v";
  const std::size_t at = text.substr(0, 200).find(kMark);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + kMark.size());
  return std::string(rest.substr(0, rest.find_first_not_of("0123456789.")));
}

}  // namespace

absl::StatusOr<ClientBundle> ClientBundle::Load(const std::string& folder) {
  ClientBundle bundle;
  if (folder.empty()) return bundle;
  for (const char* name : kNames) {
    for (const std::string& file : {std::string(name), std::string(name) + ".map"}) {
      if (auto text = ReadFile(folder + "/" + file)) bundle.files_[file] = {text, Gzip(*text)};
    }
  }
  if (!bundle.Has("socket.io.js")) {
    return absl::NotFoundError(absl::StrCat("no socket.io.js in \"", folder, "\""));
  }
  bundle.etag_ = "\"" + VersionIn(*bundle.files_["socket.io.js"].text) + "\"";
  return bundle;
}

http::Response ClientBundle::Answer(const http::Request& request, std::string_view name) const {
  if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
    return http::Response(405).Add("Allow", "GET, HEAD");
  }
  const std::string* known = request.Find("if-none-match");
  const bool unchanged = known != nullptr && http::MatchesWeakly(*known, etag_);
  http::Response response(unchanged ? 304 : 200);
  response.Add("Cache-Control", "public, max-age=0").Add("ETag", etag_);
  if (unchanged) return response;
  response.Add("Content-Type",
               name.ends_with(".map") ? "application/json; charset=utf-8" : "application/javascript; charset=utf-8");
  const File& file = files_.find(name)->second;
  response.Add("Vary", "Accept-Encoding");
  const bool packed =
      http::ChooseCoding(request.Joined("accept-encoding", ",").value_or("")) == http::ContentCoding::kGzip;
  if (packed) response.Add("Content-Encoding", "gzip");
  response.SetBody(packed ? file.gzip : file.text);
  return response;
}

}  // namespace sesior::realtime
