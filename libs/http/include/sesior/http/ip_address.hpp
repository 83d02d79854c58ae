// IpAddress: an IPv4 or IPv6 address. A value of 16 bytes.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sesior::http {

class IpAddress {
 public:
  using Bits = std::array<unsigned char, 16>;  // network order; IPv4 as ::ffff:a.b.c.d

  IpAddress() = default;  // "::", which stands for an unknown one
  explicit IpAddress(const Bits& bits) : bits_(bits) {}
  // As inet_pton reads it: no port, no brackets, no zone.
  static std::optional<IpAddress> Parse(std::string_view text);

  bool is_v4() const;
  const Bits& bits() const { return bits_; }
  std::string ToText() const;
  // What limits count by: an IPv4 address itself, of an IPv6 address the first 64 bits, which one host has to itself.
  IpAddress Household() const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& address) {
    return H::combine(std::move(h), address.bits_);
  }

 private:
  Bits bits_{};
};

}  // namespace sesior::http
