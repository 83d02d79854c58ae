#include "sesior/http/proxies.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace sesior::http {

absl::StatusOr<TrustedProxies> TrustedProxies::Parse(const std::vector<std::string>& networks) {
  TrustedProxies proxies;
  for (const std::string& text : networks) {
    const std::size_t slash = text.find('/');
    const std::optional<IpAddress> prefix = IpAddress::Parse(std::string_view(text).substr(0, slash));
    bool good = prefix.has_value();
    const int longest = good && prefix->is_v4() ? 32 : 128;
    int length = longest;
    if (good && slash != std::string::npos) {
      const char* end = text.data() + text.size();
      const std::from_chars_result result = std::from_chars(text.data() + slash + 1, end, length);
      good = result.ec == std::errc() && result.ptr == end && length >= 0 && length <= longest;
    }
    if (!good) return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no address or network"));
    proxies.networks_.push_back({prefix->bits(), length + 128 - longest});
  }
  return proxies;
}

bool TrustedProxies::Contains(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(), [&bits = address.bits()](const Network& network) {
    const auto whole = static_cast<std::size_t>(network.length / 8);
    if (std::memcmp(bits.data(), network.prefix.data(), whole) != 0) return false;
    const int rest = network.length % 8;
    return rest == 0 || (bits[whole] ^ network.prefix[whole]) >> (8 - rest) == 0;
  });
}

IpAddress TrustedProxies::ClientAddress(const Request& request, const IpAddress& peer) const {
  if (!Contains(peer)) return peer;
  const std::optional<std::string> forwarded = request.Joined("X-Forwarded-For", ",");
  if (!forwarded) return peer;
  const std::vector<std::string> hops = absl::StrSplit(*forwarded, ',');
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    const std::optional<IpAddress> address = IpAddress::Parse(std::string(absl::StripAsciiWhitespace(*hop)));
    if (!address) return peer;
    if (!Contains(*address)) return *address;
  }
  return peer;
}

}  // namespace sesior::http
