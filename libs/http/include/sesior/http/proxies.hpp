// TrustedProxies: which peers may say for whom they ask. Immutable.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sesior/http/ip_address.hpp"
#include "sesior/http/request.hpp"

namespace sesior::http {

class TrustedProxies {
 public:
  TrustedProxies() = default;  // none
  // Addresses or networks: "10.0.0.0/8", "::1". kInvalidArgument names the first bad one.
  static absl::StatusOr<TrustedProxies> Parse(const std::vector<std::string>& networks);

  bool Contains(const IpAddress& address) const;
  // Who asks: `peer` itself or, behind trusted proxies, the last address in X-Forwarded-For that is not one of them.
  IpAddress ClientAddress(const Request& request, const IpAddress& peer) const;

 private:
  struct Network {
    IpAddress::Bits prefix;
    int length;  // bits
  };
  std::vector<Network> networks_;
};

}  // namespace sesior::http
