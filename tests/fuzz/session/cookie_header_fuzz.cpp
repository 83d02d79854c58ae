// Any Cookie header: no crash, and nothing is let in that does not end with a signature of ours.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "services/session/domain/cookie.hpp"

using namespace sesior::session;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static CookieSigner signer({"keyboard cat", "old"});
  const std::string_view header(reinterpret_cast<const char*>(data), size);
  const CookieReading reading = signer.Read(header, "connect.sid");
  if (reading.verdict == CookieVerdict::kGood) {
    const CookieReading again = signer.Unsign(std::string_view(signer.Sign(reading.id)).substr(2));
    if (!IsUsableSessionId(reading.id.text()) || again.id != reading.id) std::abort();
  }
  // What we set, we read.
  const std::string value(header.substr(0, 200));
  if (const auto decoded = DecodeUriComponent(EncodeUriComponent(value)); decoded && *decoded != value) std::abort();
  return 0;
}
