#include "sesior/http/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace sesior::http {
namespace {

constexpr std::array<unsigned char, 12> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string copy(text);
  IpAddress address;
  if (::inet_pton(AF_INET, copy.c_str(), address.bits_.data() + kV4Prefix.size()) == 1) {
    std::copy(kV4Prefix.begin(), kV4Prefix.end(), address.bits_.begin());
    return address;
  }
  if (::inet_pton(AF_INET6, copy.c_str(), address.bits_.data()) == 1) return address;
  return std::nullopt;
}

bool IpAddress::is_v4() const { return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bits_.begin()); }

std::string IpAddress::ToText() const {
  char text[INET6_ADDRSTRLEN];
  if (is_v4()) return ::inet_ntop(AF_INET, bits_.data() + kV4Prefix.size(), text, sizeof text);
  return ::inet_ntop(AF_INET6, bits_.data(), text, sizeof text);
}

IpAddress IpAddress::Household() const {
  if (is_v4()) return *this;
  IpAddress network = *this;
  std::fill(network.bits_.begin() + 8, network.bits_.end(), static_cast<unsigned char>(0));
  return network;
}

}  // namespace sesior::http
