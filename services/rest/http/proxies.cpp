#include "services/rest/http/proxies.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "sesior/base/string_view.hpp"

namespace sesior::rest {

bool TrustedProxies::ParseAddress(std::string_view text, Bits& bits, bool& is_v4) {
  const std::string copy(text);
  bits = {};
  is_v4 = ::inet_pton(AF_INET, copy.c_str(), bits.data() + 12) == 1;
  if (is_v4) {
    bits[10] = bits[11] = 0xff;
    return true;
  }
  return ::inet_pton(AF_INET6, copy.c_str(), bits.data()) == 1;
}

absl::StatusOr<TrustedProxies> TrustedProxies::Parse(const std::vector<std::string>& networks) {
  TrustedProxies proxies;
  for (const std::string& text : networks) {
    const std::size_t slash = text.find('/');
    Network network{};
    bool is_v4 = false;
    bool good = ParseAddress(std::string_view(text).substr(0, slash), network.prefix, is_v4);
    int length = is_v4 ? 32 : 128;
    if (good && slash != std::string::npos) {
      const int longest = length;
      const char* end = text.data() + text.size();
      const std::from_chars_result result = std::from_chars(text.data() + slash + 1, end, length);
      good = result.ec == std::errc() && result.ptr == end && length >= 0 && length <= longest;
    }
    if (!good) return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no address or network"));
    network.length = is_v4 ? length + 96 : length;
    proxies.networks_.push_back(network);
  }
  return proxies;
}

bool TrustedProxies::Contains(std::string_view address) const {
  Bits bits;
  bool is_v4 = false;
  if (networks_.empty() || !ParseAddress(address, bits, is_v4)) return false;
  return std::any_of(networks_.begin(), networks_.end(), [&bits](const Network& network) {
    const auto whole = static_cast<std::size_t>(network.length / 8);
    if (std::memcmp(bits.data(), network.prefix.data(), whole) != 0) return false;
    const int rest = network.length % 8;
    return rest == 0 || (bits[whole] ^ network.prefix[whole]) >> (8 - rest) == 0;
  });
}

std::string TrustedProxies::ClientAddress(const http::Request& request, const std::string& peer) const {
  if (!Contains(peer)) return peer;
  const std::optional<std::string> forwarded = request.Joined("X-Forwarded-For", ",");
  if (!forwarded) return peer;
  const std::vector<std::string> hops = absl::StrSplit(*forwarded, ',');
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    const std::string address(absl::StripAsciiWhitespace(*hop));
    Bits bits;
    bool is_v4 = false;
    if (!ParseAddress(address, bits, is_v4)) return peer;
    if (!Contains(address)) return address;
  }
  return peer;
}

}  // namespace sesior::rest
