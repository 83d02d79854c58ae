#include "sesior/socketio/close_reason.hpp"

#include <set>

#include "gtest/gtest.h"

namespace sesior::socketio {
namespace {

// The disconnect reasons of Socket.IO 4.8's server, which of them a client can recover from, and three of our own.
TEST(CloseReason, HasTheTextsAndTheRecoverabilityOfTheReference) {
  struct Case {
    CloseReason reason;
    std::string_view text;
    bool recoverable;
  };
  const Case cases[] = {
      {CloseReason::kTransportError, "transport error", true},
      {CloseReason::kTransportClose, "transport close", true},
      {CloseReason::kForcedClose, "forced close", true},
      {CloseReason::kPingTimeout, "ping timeout", true},
      {CloseReason::kParseError, "parse error", true},
      {CloseReason::kServerShutdown, "server shutting down", true},
      {CloseReason::kForcedServerClose, "forced server close", true},
      {CloseReason::kClientDisconnect, "client namespace disconnect", false},
      {CloseReason::kServerDisconnect, "server namespace disconnect", false},
      {CloseReason::kSlow, "slow client", true},
      {CloseReason::kFlooding, "too many packets", true},
      {CloseReason::kSessionEnded, "session ended", false},
      {CloseReason::kAged, "maximum age", true},
  };
  static_assert(std::size(cases) == kCloseReasonCount);
  std::set<std::string_view> texts;
  for (const Case& c : cases) {
    EXPECT_EQ(Text(c.reason), c.text);
    EXPECT_EQ(IsRecoverable(c.reason), c.recoverable) << c.text;
    texts.insert(c.text);
  }
  EXPECT_EQ(texts.size(), std::size(cases));
}

TEST(CloseReason, SendsNoCloseCodeExceptToAClientThatIsTooSlowOrTooFast) {
  for (int i = 0; i < kCloseReasonCount; ++i) {
    const auto reason = static_cast<CloseReason>(i);
    const bool has_code = reason == CloseReason::kSlow || reason == CloseReason::kFlooding;
    EXPECT_EQ(WebSocketCode(reason), has_code ? 1008 : 0) << Text(reason);
  }
}

TEST(CloseReason, GivesUpWhatIsQueuedWhenNobodyReads) {
  EXPECT_TRUE(DiscardsQueue(CloseReason::kSlow));
  EXPECT_TRUE(DiscardsQueue(CloseReason::kPingTimeout));
  EXPECT_FALSE(DiscardsQueue(CloseReason::kServerShutdown));
  EXPECT_FALSE(DiscardsQueue(CloseReason::kSessionEnded));
  EXPECT_FALSE(DiscardsQueue(CloseReason::kForcedServerClose));
}

}  // namespace
}  // namespace sesior::socketio
