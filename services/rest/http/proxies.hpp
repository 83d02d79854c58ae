// TrustedProxies: which peers may say for whom they ask. Immutable.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sesior/http/request.hpp"

namespace sesior::rest {

class TrustedProxies {
 public:
  TrustedProxies() = default;  // none
  // Addresses or networks: "10.0.0.0/8", "::1". kInvalidArgument names the first bad one.
  static absl::StatusOr<TrustedProxies> Parse(const std::vector<std::string>& networks);

  bool Contains(std::string_view address) const;
  // Who asks: `peer` itself or, behind trusted proxies, the last address in X-Forwarded-For that is not one of them.
  std::string ClientAddress(const http::Request& request, const std::string& peer) const;

 private:
  using Bits = std::array<unsigned char, 16>;  // IPv4 as ::ffff:a.b.c.d
  struct Network {
    Bits prefix;
    int length;  // bits
  };
  static bool ParseAddress(std::string_view text, Bits& bits, bool& is_v4);
  std::vector<Network> networks_;
};

}  // namespace sesior::rest
