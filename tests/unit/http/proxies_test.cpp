#include "sesior/http/proxies.hpp"

#include <gtest/gtest.h>

namespace sesior::http {
namespace {

IpAddress Ip(const char* text) { return IpAddress::Parse(text).value_or(IpAddress()); }

TEST(TrustedProxies, ContainsAddressesAndNetworks) {
  const absl::StatusOr<TrustedProxies> proxies =
      TrustedProxies::Parse({"10.0.0.0/8", "192.0.2.7", "2001:db8::/33", "::1"});
  ASSERT_TRUE(proxies.ok());
  for (const char* address : {"10.255.0.1", "192.0.2.7", "2001:db8:7fff::1", "::1", "::ffff:10.1.1.1"}) {
    EXPECT_TRUE(proxies->Contains(Ip(address))) << address;
  }
  for (const char* address : {"11.0.0.1", "192.0.2.8", "2001:db8:8000::1", "::2", ""}) {
    EXPECT_FALSE(proxies->Contains(Ip(address))) << address;
  }
  EXPECT_FALSE(TrustedProxies().Contains(Ip("10.0.0.1")));
}

TEST(TrustedProxies, RefusesWhatIsNoNetwork) {
  for (const char* text : {"", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "/8"}) {
    EXPECT_FALSE(TrustedProxies::Parse({text}).ok()) << text;
  }
}

TEST(TrustedProxies, FindsTheClientBehindThem) {
  const TrustedProxies proxies = *TrustedProxies::Parse({"10.0.0.0/8"});
  const struct {
    std::string peer;
    std::string forwarded;
    std::string client;
  } cases[] = {
      {"203.0.113.1", "198.51.100.1", "203.0.113.1"},  // nobody may say so
      {"10.0.0.1", "198.51.100.1", "198.51.100.1"},
      {"10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"},  // the first may be made up
      {"10.0.0.1", "10.0.0.3", "10.0.0.1"},
      {"10.0.0.1", "nonsense", "10.0.0.1"},
      {"10.0.0.1", "", "10.0.0.1"},
  };
  for (const auto& c : cases) {
    Request request;
    if (!c.forwarded.empty()) request.headers.push_back({"x-forwarded-for", c.forwarded});
    EXPECT_EQ(proxies.ClientAddress(request, Ip(c.peer.c_str())).ToText(), c.client) << c.forwarded;
  }
}

}  // namespace
}  // namespace sesior::http
