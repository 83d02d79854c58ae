#include "services/realtime/peers/peer_handshake.hpp"

#include <gtest/gtest.h>

namespace sesior::realtime {
namespace {

using Result = PeerHandshake::Result;
using Role = PeerHandshake::Role;

const std::string kNonceA(32, 'a');
const std::string kNonceB(32, 'b');
const std::string kSecret = "a secret of many bytes";

// Both sides until one has ended or both wait; what each came to.
std::pair<Result, Result> Meet(PeerHandshake& caller, PeerHandshake& owner, std::size_t piece) {
  std::string to_caller = owner.Greeting();
  std::string to_owner;
  Result of_caller = Result::kNeedMore;
  Result of_owner = Result::kNeedMore;
  auto feed = [piece](PeerHandshake& side, std::string& in, std::string& out) {
    Result result = Result::kNeedMore;
    const std::string bytes = std::exchange(in, {});
    for (std::size_t at = 0; at < bytes.size() && result == Result::kNeedMore; at += piece) {
      std::string_view part = std::string_view(bytes).substr(at, piece);
      result = side.Feed(part, out);
      EXPECT_TRUE(part.empty());
    }
    return result;
  };
  while (!to_caller.empty() || !to_owner.empty()) {
    if (!to_caller.empty() && of_caller == Result::kNeedMore) of_caller = feed(caller, to_caller, to_owner);
    if (of_caller == Result::kFailed) break;
    if (!to_owner.empty() && of_owner == Result::kNeedMore) of_owner = feed(owner, to_owner, to_caller);
    if (of_owner == Result::kFailed || of_caller == Result::kDone) break;
  }
  return {of_caller, of_owner};
}

TEST(PeerHandshake, LetsThoseMeetWhoShareASecret) {
  const PeerSecrets secrets({kSecret});
  for (std::size_t piece = 1; piece < 200; ++piece) {
    PeerHandshake caller(Role::kCaller, secrets, "r1-x", kNonceB);
    PeerHandshake owner(Role::kOwner, secrets, "r1-x", kNonceA);
    EXPECT_EQ(Meet(caller, owner, piece), std::pair(Result::kDone, Result::kDone));
  }
}

TEST(PeerHandshake, AcceptsASecretThatIsBeingRotated) {
  const PeerSecrets before({kSecret, "the next secret, already known"});
  const PeerSecrets after({"the next secret, already known", kSecret});
  PeerHandshake caller(Role::kCaller, before, "r1", kNonceB);
  PeerHandshake owner(Role::kOwner, after, "r1", kNonceA);
  EXPECT_EQ(Meet(caller, owner, 1000), std::pair(Result::kDone, Result::kDone));
}

TEST(PeerHandshake, RefusesACallerWithoutTheSecret) {
  const PeerSecrets good({kSecret});
  const PeerSecrets bad({"another secret of many bytes"});
  PeerHandshake caller(Role::kCaller, bad, "r1", kNonceB);
  PeerHandshake owner(Role::kOwner, good, "r1", kNonceA);
  EXPECT_EQ(Meet(caller, owner, 1000).second, Result::kFailed);
}

// A caller that was deceived about the address: it ends before it has sent a request.
TEST(PeerHandshake, RefusesAnOwnerWithoutTheSecret) {
  const PeerSecrets good({kSecret});
  PeerHandshake caller(Role::kCaller, good, "r1", kNonceB);
  std::string out;
  const std::string greeting = "sesior-peer 1 r1 " + kNonceA + "\n";
  std::string_view bytes = greeting;
  ASSERT_EQ(caller.Feed(bytes, out), Result::kNeedMore);
  // All it can do is to send back what it got.
  const std::string echo = out.substr(33);
  bytes = echo;
  EXPECT_EQ(caller.Feed(bytes, out), Result::kFailed);
  EXPECT_FALSE(caller.met_another());
}

TEST(PeerHandshake, TellsAnotherStartOfTheProcess) {
  const PeerSecrets secrets({kSecret});
  PeerHandshake caller(Role::kCaller, secrets, "r1-old", kNonceB);
  PeerHandshake owner(Role::kOwner, secrets, "r1-new", kNonceA);
  EXPECT_EQ(Meet(caller, owner, 1000).first, Result::kFailed);
  EXPECT_TRUE(caller.met_another());
}

TEST(PeerHandshake, RefusesWhatIsNoLineOfIt) {
  const PeerSecrets secrets({kSecret});
  for (const std::string& line : {std::string("\n"), std::string("GET / HTTP/1.1\r\n"), kNonceB + "\n", kNonceB + " \n",
                                  kNonceB + " 00\n", kNonceB + "x" + std::string(64, '0') + "\n",
                                  std::string(31, 'b') + "B " + std::string(64, '0') + "\n", std::string(300, 'x')}) {
    PeerHandshake owner(Role::kOwner, secrets, "r1", kNonceA);
    std::string out;
    std::string_view bytes = line;
    EXPECT_EQ(owner.Feed(bytes, out), Result::kFailed) << line;
    EXPECT_TRUE(out.empty());
  }
  for (const std::string& line :
       {std::string("\n"), std::string("sesior-peer 1 \n"), "sesior-peer 2 r1 " + kNonceA + "\n",
        "sesior-peer 1 r1 " + kNonceA.substr(1) + "\n", "sesior-peer 1 " + kNonceA + "\n",
        "sesior-peer 1 r1_" + kNonceA + "\n", "HTTP/1.1 400 Bad Request\r\n" + std::string(300, 'x')}) {
    PeerHandshake caller(Role::kCaller, secrets, "r1", kNonceB);
    std::string out;
    std::string_view bytes = line;
    EXPECT_EQ(caller.Feed(bytes, out), Result::kFailed) << line;
    EXPECT_TRUE(out.empty());
  }
}

TEST(PeerHandshake, MakesANewNonceEachTime) {
  EXPECT_EQ(PeerHandshake::NewNonce().size(), 32u);
  EXPECT_NE(PeerHandshake::NewNonce(), PeerHandshake::NewNonce());
}

}  // namespace
}  // namespace sesior::realtime
