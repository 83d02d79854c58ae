// What reads values of requests: forms, escapes, entity tags, origins. The input is one value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sesior/base/check.hpp"
#include "sesior/http/cors.hpp"
#include "sesior/http/etag.hpp"
#include "sesior/http/form.hpp"

using namespace sesior::http;

namespace {

std::string Escape(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    escaped += '%';
    escaped += kHex[byte >> 4];
    escaped += kHex[byte & 15];
  }
  return escaped;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);

  SESIOR_CHECK(PercentDecode(Escape(value)) == value);
  if (const auto decoded = PercentDecode(value)) SESIOR_CHECK(decoded->size() <= value.size());

  const Form form = ParseForm(value);
  SESIOR_CHECK(form.size() <= kMaxFormFields);
  std::string written;
  for (const auto& [name, text] : form) written += Escape(name) + "=" + Escape(text) + "&";
  SESIOR_CHECK(ParseForm(written) == form);

  if (MatchesStrongly(value, "\"a\"")) SESIOR_CHECK(MatchesWeakly(value, "\"a\""));

  Request request;
  request.headers = {{"Host", value}, {"Origin", value}, {"X-Forwarded-Proto", value}, {"X-Forwarded-Host", value}};
  const CorsPolicy policy({"https://app.example"});
  for (const bool trusted : {false, true}) {
    const OriginVerdict verdict = policy.Judge(request, OwnOrigin(request, trusted));
    SESIOR_CHECK(verdict != OriginVerdict::kAbsent);
    SESIOR_CHECK((verdict == OriginVerdict::kListed) == (value == "https://app.example"));
    Response response(200);
    policy.AddHeaders(request, verdict, response);
    const std::string bytes = response.Serialize(request, false);
    SESIOR_CHECK(bytes.find("\r\n\r\n") == bytes.size() - 4);
  }
  const bool valid = CorsPolicy::Validate({value}).ok();
  SESIOR_CHECK(!valid || value.find("://") != std::string::npos);
  return 0;
}
