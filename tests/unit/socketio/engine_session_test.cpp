// Handshake, heartbeat and upgrade as engine.io 6.6 behaves: one case for each rule that a session decides. Each case
// is a table of steps; what the session asks of its owner in each step is written as text.
#include "sesior/socketio/engine_session.hpp"

#include <vector>

#include "gtest/gtest.h"

namespace sesior::socketio {
namespace {

using namespace std::string_literals;
using std::chrono::milliseconds;

constexpr std::string_view kOpen =
    R"(0{"sid":"S","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000})";
constexpr std::string_view kOpenWs =
    R"(0{"sid":"S","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000})";

// "2|4a|b:AQ==" for a frame or payload
std::string Shown(std::string payload) {
  for (char& c : payload) {
    if (c == kPayloadSeparator) c = '|';
  }
  return payload;
}

std::string Shown(const Frame& frame) {
  std::string payload;
  AppendToPayload(frame, payload);
  return Shown(payload);
}

// The owner of the session under test: writes down what it is asked for, echoes what it is told to.
class Harness final : public EngineSession::Owner {
 public:
  Harness() {
    options_.ping_interval = milliseconds(300);
    options_.ping_timeout = milliseconds(200);
    options_.upgrade_timeout = milliseconds(1000);
    options_.max_payload_bytes = 1000;
    options_.send_queue_limit_bytes = 100;
    options_.max_packets_per_poll = 4;
  }

  // -- what the session asks --
  void AnswerPoll(std::string payload) override { Log("poll:" + Shown(payload)); }
  bool OnPollQueue(std::ptrdiff_t bytes) override {
    poll_queue_ += bytes;
    EXPECT_GE(poll_queue_, 0);
    return poll_queue_ <= room_;
  }
  std::size_t WriteWebSocket(const FramePtr& frame) override {
    Log("ws:" + Shown(*frame));
    if (!blocked_) return frame->size_bytes();
    return unsent_ += frame->size_bytes();
  }
  bool WebSocketBlocked() const override { return blocked_; }
  void CloseWebSocket(std::uint16_t code, bool discard) override {
    Log("wsclose:" + std::to_string(code) + (discard ? "!" : ""));
  }
  void ScheduleFlush() override { flush_ = true; }
  void ArmTimer(Time deadline) override {
    EXPECT_GT(deadline, now_);
    timer_ = deadline;
  }
  void OnMessage(std::string_view data, bool binary) override {
    Log((binary ? "bin:" : "msg:") + std::string(data));
    if (data == "close me") session_.Close(CloseReason::kForcedServerClose, now_);
    if (data == "echo") session_.Send(Frame::Text("4echo"));
  }
  void OnClosed(CloseReason reason) override {
    EXPECT_TRUE(session_.closed());
    Log("closed:" + std::string(Text(reason)));
  }
  void OnFinished() override {
    EXPECT_TRUE(session_.finished());
    Log("finished");
  }

  // -- what the test does; each returns what came of it, separated by blanks --
  std::string OpenPolling() {
    session_.OpenPolling("S", now_);
    return Get();
  }
  std::string OpenWebSocket() {
    session_.OpenWebSocket("S", now_);
    return Take();
  }
  std::string Get() { return WithAnswer(session_.OnPoll(now_)); }
  std::string AbortGet() {
    session_.OnPollAborted(now_);
    return Take();
  }
  std::string PostHead(std::string_view type = "text/plain;charset=UTF-8") {
    return WithAnswer(session_.OnPostBegin(type, now_));
  }
  std::string PostBody(std::string_view body) { return WithAnswer(session_.OnPost(body, now_)); }
  std::string Post(std::string_view body) {
    const std::string head = PostHead();
    return head == "wait" ? PostBody(body) : head;
  }
  std::string PostTooLarge() {
    EXPECT_EQ(PostHead(), "wait");
    return WithAnswer(session_.OnPostTooLarge());
  }
  std::string AbortPost() {
    session_.OnPostAborted(now_);
    return Take();
  }
  std::string OpenCandidate() { return session_.OnWebSocketOpen(now_) ? Take() + "taken" : Take() + "not wanted"; }
  std::string Ws(std::string_view text) {
    session_.OnWebSocketText(text, now_);
    return Take();
  }
  std::string WsBinary(std::string_view bytes) {
    session_.OnWebSocketBinary(bytes, now_);
    return Take();
  }
  std::string WsGone(bool clean) {
    session_.OnWebSocketClosed(clean, now_);
    return Take();
  }
  std::string Send(std::string_view packet, bool is_volatile = false) {
    const SendResult result = session_.Send(Frame::Text(packet), is_volatile);
    Log(result == SendResult::kSent ? "sent" : result == SendResult::kQueued ? "queued" : "dropped");
    return Take();
  }
  std::string Close(CloseReason reason = CloseReason::kForcedServerClose) {
    session_.Close(reason, now_);
    return Take();
  }
  // Lets time pass without the timer, as on a busy machine.
  void Stall(int ms) { now_ += milliseconds(ms); }
  // Lets time pass; the timer fires exactly when it was asked for.
  std::string Wait(int ms) {
    const Time until = now_ + milliseconds(ms);
    while (timer_ <= until) {
      now_ = std::max(now_, timer_);
      timer_ = kNever;
      session_.OnTimer(now_);
      FlushNow();
    }
    now_ = until;
    return Take();
  }

  std::ptrdiff_t poll_queue() const { return poll_queue_; }
  void set_room(std::ptrdiff_t bytes) { room_ = bytes; }
  void set_blocked(bool blocked) {
    blocked_ = blocked;
    if (!blocked) unsent_ = 0;
  }
  EngineSession& session() { return session_; }
  EngineOptions& options() { return options_; }
  std::string Take() {
    FlushNow();
    return std::exchange(log_, {});
  }

 private:
  void Log(const std::string& what) { log_ += (log_.empty() ? "" : " ") + what; }
  void FlushNow() {
    if (std::exchange(flush_, false)) session_.Flush(now_);
  }
  std::string WithAnswer(const std::optional<EngineAnswer>& answer) {
    std::string shown = "wait";
    if (answer) shown = std::to_string(answer->status) + (answer->body.empty() ? "" : ":" + Shown(answer->body));
    const std::string rest = Take();
    return rest.empty() ? shown : shown + " " + rest;
  }

  EngineOptions options_;
  EngineSession session_{options_, *this};
  Time now_ = Time() + milliseconds(1'000'000);
  Time timer_ = kNever;
  std::string log_;
  std::size_t unsent_ = 0;
  std::ptrdiff_t poll_queue_ = 0;
  std::ptrdiff_t room_ = 1'000'000;
  bool flush_ = false;
  bool blocked_ = false;
};

constexpr char kUnknown[] = R"(400:{"code":1,"message":"Session ID unknown"})";
constexpr char kBadRequest[] = R"(400:{"code":3,"message":"Bad request"})";

// A session over polling that has been opened, without the open packet in the log.
class PollingSession : public testing::Test {
 protected:
  PollingSession() { h.OpenPolling(); }
  Harness h;
};

class WebSocketSession : public testing::Test {
 protected:
  WebSocketSession() { h.OpenWebSocket(); }
  Harness h;
};

// -- opening --

TEST(EngineSession, AnswersTheFirstPollWithTheOpenPacket) {
  Harness h;
  EXPECT_EQ(h.OpenPolling(), "200:" + std::string(kOpen));
  EXPECT_EQ(h.session().transport(), EngineTransport::kPolling);
}

TEST(EngineSession, SendsTheOpenPacketOverAWebSocket) {
  Harness h;
  EXPECT_EQ(h.OpenWebSocket(), "ws:" + std::string(kOpenWs));
  EXPECT_EQ(h.session().transport(), EngineTransport::kWebSocket);
}

// -- long-polling --

TEST_F(PollingSession, DeliversThePacketsOfAPostInOrder) {
  EXPECT_EQ(h.Post("4test1\x1e"
                   "4test2\x1e"
                   "bAQ=="),
            "200:ok msg:test1 msg:test2 bin:\1");
}

TEST_F(PollingSession, KeepsWhatIsSentForTheNextPoll) {
  EXPECT_EQ(h.Send("4a"), "queued");
  EXPECT_EQ(h.Send("4b"), "queued");
  EXPECT_EQ(h.Get(), "200:4a|4b");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Send("4c"), "sent poll:4c");
  EXPECT_EQ(h.Send("4d"), "queued");
}

TEST_F(PollingSession, AnswersAWaitingPollOnceATurnWithEverything) {
  EXPECT_EQ(h.Get(), "wait");
  h.session().Send(Frame::Text("4a"));
  h.session().Send(Frame::Text("4b"));
  EXPECT_EQ(h.Take(), "poll:4a|4b");
}

TEST_F(PollingSession, EndsWhenPollsOverlap) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Get(), "400 poll:1 closed:transport error finished");
  EXPECT_EQ(h.Get(), kUnknown);
}

TEST_F(PollingSession, EndsWhenPostsOverlap) {
  EXPECT_EQ(h.PostHead(), "wait");
  EXPECT_EQ(h.PostHead(), "400 closed:transport error finished");
  EXPECT_EQ(h.PostBody("4a"), kUnknown);
}

TEST_F(PollingSession, EndsWhenAPollIsAborted) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.AbortGet(), "closed:transport error finished");
  EXPECT_EQ(h.Get(), kUnknown);
}

TEST_F(PollingSession, EndsWhenAPostIsAborted) {
  EXPECT_EQ(h.PostHead(), "wait");
  EXPECT_EQ(h.AbortPost(), "closed:transport error finished");
}

TEST_F(PollingSession, EndsOnBinaryContentType) {
  EXPECT_EQ(h.PostHead("Application/Octet-Stream"), "400 closed:transport error finished");
}

TEST_F(PollingSession, LivesOnAfterABodyThatIsTooLarge) {
  EXPECT_EQ(h.PostTooLarge(), "413");
  EXPECT_EQ(h.Post("4a"), "200:ok msg:a");
}

TEST_F(PollingSession, EndsOnAnInvalidPacket) {
  for (const char* body : {"abc", "",
                           "4a\x1e"
                           "x"}) {
    Harness fresh;
    fresh.OpenPolling();
    EXPECT_EQ(fresh.Get(), "wait");
    const std::string message = std::string(body).starts_with("4a") ? "msg:a " : "";
    EXPECT_EQ(fresh.Post(body), "400 " + message + "poll:1 closed:parse error finished") << body;
  }
}

TEST_F(PollingSession, EndsOnAPingFromTheClient) { EXPECT_EQ(h.Post("2"), "400 closed:transport error finished"); }

TEST_F(PollingSession, IgnoresOpenUpgradeAndNoopFromTheClient) {
  EXPECT_EQ(h.Post("0\x1e"
                   "5\x1e"
                   "6\x1e"
                   "4a"),
            "200:ok msg:a");
}

TEST_F(PollingSession, BoundsThePacketsOfAPost) {
  h.options().max_packets_per_post = 2;
  EXPECT_EQ(h.Post("4a\x1e"
                   "4b"),
            "200:ok msg:a msg:b");
  EXPECT_EQ(h.Post("4a\x1e"
                   "4b\x1e"
                   "4c"),
            "400 msg:a msg:b closed:parse error finished");
}

TEST_F(PollingSession, AnswersAWaitingPollWithNoopWhenTheClientCloses) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Post("1"), "200:ok poll:6 closed:transport close finished");
  EXPECT_EQ(h.Get(), kUnknown);
}

TEST_F(PollingSession, DropsWhatStandsBehindTheClosePacket) {
  EXPECT_EQ(h.Post("4a\x1e"
                   "1\x1e"
                   "4b"),
            "200:ok msg:a closed:transport close finished");
}

TEST_F(PollingSession, EndsAWaitingPollWithCloseWhenTheServerCloses) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Close(), "poll:1 closed:forced server close finished");
}

TEST_F(PollingSession, GivesTheRestToTheNextPollAndCloseToTheOneAfterItWhenTheServerCloses) {
  h.Send("4a");
  EXPECT_EQ(h.Close(), "closed:forced server close");
  EXPECT_EQ(h.Send("4b"), "dropped");
  EXPECT_EQ(h.Post("4late"), "200:ok");  // nobody listens any more
  // Not together: official clients drop the events that come with a close.
  EXPECT_EQ(h.Get(), "200:4a");
  EXPECT_EQ(h.Get(), "200:1 finished");
  EXPECT_EQ(h.Get(), kUnknown);
}

TEST_F(PollingSession, WaitsThirtySecondsForThatPoll) {
  EXPECT_EQ(h.Close(), "closed:forced server close");
  EXPECT_EQ(h.Wait(29'999), "");
  EXPECT_EQ(h.Wait(1), "finished");
}

TEST_F(PollingSession, CanBeClosedFromInsideAMessage) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Post("4close me\x1e"
                   "4b"),
            "200:ok msg:close me poll:1 closed:forced server close finished");
}

TEST_F(PollingSession, CanBeAnsweredFromInsideAMessage) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Post("4echo\x1e"
                   "4echo"),
            "200:ok msg:echo msg:echo poll:4echo|4echo");
}

TEST_F(PollingSession, IgnoresASecondClose) {
  EXPECT_EQ(h.Close(), "closed:forced server close");
  EXPECT_EQ(h.Close(), "");
}

TEST_F(PollingSession, DropsVolatileFramesWhenNoPollWaits) {
  EXPECT_EQ(h.Send("4a", true), "dropped");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Send("4b", true), "sent poll:4b");
}

TEST_F(PollingSession, ClosesASlowClientAtTheLimit) {
  EXPECT_EQ(h.Send("4" + std::string(50, 'a')), "queued");
  EXPECT_EQ(h.Send("4" + std::string(50, 'b')), "dropped closed:slow client finished");
  EXPECT_EQ(h.Get(), kUnknown);
}

TEST_F(PollingSession, GivesAPollSoManyPacketsAndTheNextOneTheRest) {
  for (const char* text : {"4a", "4b", "4c", "4d", "4e", "4f"}) EXPECT_EQ(h.Send(text), "queued");
  EXPECT_EQ(h.poll_queue(), 24);
  EXPECT_EQ(h.Get(), "200:4a|4b|4c|4d");
  EXPECT_EQ(h.poll_queue(), 8);
  EXPECT_EQ(h.Get(), "200:4e|4f");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.poll_queue(), 0);
}

TEST_F(PollingSession, LosesNothingOfALongQueueWhenItCloses) {
  for (const char* text : {"4a", "4b", "4c", "4d", "4e"}) EXPECT_EQ(h.Send(text), "queued");
  EXPECT_EQ(h.Close(), "closed:forced server close");
  EXPECT_EQ(h.Get(), "200:4a|4b|4c|4d");
  EXPECT_EQ(h.Get(), "200:4e");
  EXPECT_EQ(h.Get(), "200:1 finished");
  EXPECT_EQ(h.poll_queue(), 0);
}

TEST_F(PollingSession, LosesNothingWhenItClosesWhileAPollWaits) {
  EXPECT_EQ(h.Get(), "wait");
  for (const char* text : {"4a", "4b", "4c", "4d", "4e"}) h.session().Send(Frame::Text(text));
  EXPECT_EQ(h.Close(), "poll:4a|4b|4c|4d closed:forced server close");
  EXPECT_EQ(h.Get(), "200:4e");
  EXPECT_EQ(h.Get(), "200:1 finished");
}

TEST_F(PollingSession, ClosesWhereItsOwnerHasNoRoomLeft) {
  h.set_room(5);
  EXPECT_EQ(h.Send("4aa"), "queued");
  EXPECT_EQ(h.Send("4bb"), "dropped closed:slow client finished");
  EXPECT_EQ(h.poll_queue(), 0);
}

TEST_F(PollingSession, NeedsNoRoomForWhatGoesOutAtOnce) {
  h.set_room(5);
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Send("4aaaaaaaa"), "sent poll:4aaaaaaaa");
}

TEST_F(PollingSession, TakesOneFrameOfAnySizeWhenNothingWaits) {
  const std::string big = "4" + std::string(5000, 'a');
  EXPECT_EQ(h.Send(big), "queued");
  EXPECT_EQ(h.Get(), "200:" + big);
}

// -- WebSocket --

TEST_F(WebSocketSession, CarriesTextAndBinary) {
  EXPECT_EQ(h.Ws("4hello"), "msg:hello");
  EXPECT_EQ(h.WsBinary("\1\2"), "bin:\1\2");
  EXPECT_EQ(h.Ws("bAQI="), "bin:\1\2");  // what a client without binary support sends
  EXPECT_EQ(h.Send("4a"), "ws:4a sent");
}

TEST_F(WebSocketSession, EndsOnAnInvalidPacket) {
  EXPECT_EQ(h.Ws("abc"), "wsclose:0 closed:parse error finished");
  EXPECT_EQ(h.Ws("4a"), "");
}

TEST_F(WebSocketSession, EndsOnAPingFromTheClient) {
  EXPECT_EQ(h.Ws("2"), "wsclose:0! closed:transport error finished");
}

TEST_F(WebSocketSession, EndsOnAClosePacket) { EXPECT_EQ(h.Ws("1"), "wsclose:0! closed:transport close finished"); }

TEST_F(WebSocketSession, TellsHowTheSocketWent) {
  EXPECT_EQ(h.WsGone(true), "closed:transport close finished");
  Harness other;
  other.OpenWebSocket();
  EXPECT_EQ(other.WsGone(false), "closed:transport error finished");
}

TEST_F(WebSocketSession, ClosesWithoutCode) { EXPECT_EQ(h.Close(), "wsclose:0 closed:forced server close finished"); }

TEST_F(WebSocketSession, RefusesHttpRequests) {
  EXPECT_EQ(h.Get(), kBadRequest);
  EXPECT_EQ(h.Post("4a"), kBadRequest);
}

TEST_F(WebSocketSession, DropsVolatileFramesWhileTheSocketIsBlocked) {
  EXPECT_EQ(h.Send("4a", true), "ws:4a sent");
  h.set_blocked(true);
  EXPECT_EQ(h.Send("4b", true), "dropped");
  EXPECT_EQ(h.Send("4c"), "ws:4c queued");
  h.set_blocked(false);
  EXPECT_EQ(h.Send("4d", true), "ws:4d sent");
}

TEST_F(WebSocketSession, ClosesASlowClientAtTheLimitAndThrowsItsQueueAway) {
  h.set_blocked(true);
  const std::string text = "4" + std::string(50, 'a');
  EXPECT_EQ(h.Send(text), "ws:" + text + " queued");
  EXPECT_EQ(h.Send(text), "ws:" + text + " dropped wsclose:1008! closed:slow client finished");
}

TEST_F(WebSocketSession, DoesNotCloseInsideSend) {
  h.set_blocked(true);
  for (int i = 0; i < 5; ++i) h.session().Send(Frame::Text(std::string(60, 'a')));
  EXPECT_FALSE(h.session().closed());
  h.Take();
  EXPECT_TRUE(h.session().closed());
}

TEST_F(WebSocketSession, WantsNoSecondWebSocket) {
  EXPECT_EQ(h.OpenCandidate(), "not wanted");
  EXPECT_EQ(h.Ws("4a"), "msg:a");
}

// -- heartbeat --

TEST_F(WebSocketSession, PingsAnIntervalAfterOpeningAndAfterEachPong) {
  EXPECT_EQ(h.Wait(299), "");
  EXPECT_EQ(h.Wait(1), "ws:2");
  EXPECT_EQ(h.Wait(150), "");
  EXPECT_EQ(h.Ws("3"), "");
  EXPECT_EQ(h.Wait(299), "");
  EXPECT_EQ(h.Wait(1), "ws:2");
}

TEST_F(WebSocketSession, EndsWhenThePongIsLate) {
  EXPECT_EQ(h.Wait(300), "ws:2");
  EXPECT_EQ(h.Wait(199), "");
  EXPECT_EQ(h.Wait(1), "wsclose:0! closed:ping timeout finished");
}

TEST_F(WebSocketSession, IsNotKeptAliveByOtherTraffic) {
  h.Wait(300);
  h.Wait(199);
  EXPECT_EQ(h.Ws("4a"), "msg:a");
  EXPECT_EQ(h.Wait(1), "wsclose:0! closed:ping timeout finished");
}

TEST_F(WebSocketSession, RestartsTheIntervalOnAnUnsolicitedPong) {
  h.Wait(200);
  EXPECT_EQ(h.Ws("3"), "");
  EXPECT_EQ(h.Wait(299), "");
  EXPECT_EQ(h.Wait(1), "ws:2");
}

TEST_F(PollingSession, PingsThroughTheWaitingPoll) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Wait(300), "poll:2");
  EXPECT_EQ(h.Post("3"), "200:ok");
  EXPECT_EQ(h.Wait(300), "");
  EXPECT_EQ(h.Get(), "200:2");
}

TEST_F(PollingSession, EndsAtOnceWhenThePongIsLate) {
  EXPECT_EQ(h.Wait(499), "");
  EXPECT_EQ(h.Wait(1), "closed:ping timeout finished");
  EXPECT_EQ(h.Get(), kUnknown);
}

TEST_F(PollingSession, EndsTheWaitingPollWhenThePongIsLate) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Wait(300), "poll:2");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Wait(200), "poll:1 closed:ping timeout finished");
}

TEST_F(WebSocketSession, DoesNotStretchTheTimeoutWhenItsTimerIsLate) {
  h.Stall(350);
  EXPECT_EQ(h.Wait(0), "ws:2");
  EXPECT_EQ(h.Wait(149), "");
  EXPECT_EQ(h.Wait(1), "wsclose:0! closed:ping timeout finished");
}

TEST_F(WebSocketSession, GivesClientsHalfTheTimeoutAfterAStandstill) {
  h.Stall(5000);
  EXPECT_EQ(h.Wait(0), "ws:2");
  EXPECT_EQ(h.Wait(99), "");
  EXPECT_EQ(h.Ws("3"), "");
  EXPECT_EQ(h.Wait(299), "");
}

TEST_F(PollingSession, DoesNotServeAnOverduePollBecauseItsTimerIsLate) {
  EXPECT_EQ(h.Wait(300), "");
  h.Stall(200);
  EXPECT_EQ(h.Get(), std::string(kUnknown) + " closed:ping timeout finished");
}

// -- upgrade --

TEST_F(PollingSession, Upgrades) {
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.OpenCandidate(), "taken");
  EXPECT_EQ(h.Ws("2probe"), "ws:3probe poll:6");
  EXPECT_EQ(h.Send("4a"), "queued");  // never by the WebSocket before "5"
  EXPECT_EQ(h.Ws("5"), "ws:4a");
  EXPECT_EQ(h.session().transport(), EngineTransport::kWebSocket);
  EXPECT_EQ(h.Send("4b"), "ws:4b sent");
  EXPECT_EQ(h.Ws("4hello"), "msg:hello");
  EXPECT_EQ(h.Get(), kBadRequest);
  EXPECT_EQ(h.Wait(300), "ws:2");
}

TEST_F(PollingSession, EndsWithNoopAPollThatComesInMidUpgrade) {
  h.OpenCandidate();
  h.Ws("2probe");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Wait(100), "poll:6");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Ws("5"), "poll:6");
}

TEST_F(PollingSession, StillAnswersPollsInMidUpgrade) {
  h.OpenCandidate();
  h.Ws("2probe");
  h.Send("4a");
  EXPECT_EQ(h.Get(), "200:4a");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Send("4b"), "sent poll:4b");
  EXPECT_EQ(h.Ws("5"), "");
}

TEST_F(PollingSession, TakesPostsInMidUpgrade) {
  h.OpenCandidate();
  h.Ws("2probe");
  EXPECT_EQ(h.Post("4a"), "200:ok msg:a");
  h.Ws("5");
  EXPECT_EQ(h.Ws("4b"), "msg:b");
}

TEST_F(PollingSession, AcceptsTheUpgradeWithoutAProbe) {
  h.OpenCandidate();
  h.Send("4a");
  EXPECT_EQ(h.Ws("5"), "ws:4a");
}

TEST_F(PollingSession, ClosesOnlyACandidateThatBeginsWithSomethingElse) {
  for (const char* text : {"4hello", "2", "3probe", "", "abc", "2probex"}) {
    EXPECT_EQ(h.OpenCandidate(), "taken");
    EXPECT_EQ(h.Ws(text), "wsclose:0") << text;
  }
  EXPECT_EQ(h.OpenCandidate(), "taken");
  EXPECT_EQ(h.WsBinary("a"), "wsclose:0");
  EXPECT_EQ(h.Post("4a"), "200:ok msg:a");
}

TEST_F(PollingSession, WantsNoSecondCandidate) {
  EXPECT_EQ(h.OpenCandidate(), "taken");
  EXPECT_EQ(h.OpenCandidate(), "not wanted");
  h.Ws("2probe");
  EXPECT_EQ(h.OpenCandidate(), "not wanted");
  h.Ws("5");
  EXPECT_EQ(h.OpenCandidate(), "not wanted");
}

TEST_F(PollingSession, WantsNoCandidateWhereUpgradesAreOff) {
  h.options().allow_upgrades = false;
  EXPECT_EQ(h.OpenCandidate(), "not wanted");
}

TEST_F(PollingSession, ClosesAnUnfinishedUpgradeAndGoesOnPolling) {
  h.options().ping_interval = milliseconds(5000);
  h.Post("3");
  h.OpenCandidate();
  h.Ws("2probe");
  EXPECT_EQ(h.Wait(999), "");
  EXPECT_EQ(h.Wait(1), "wsclose:0");
  EXPECT_EQ(h.Get(), "wait");
  EXPECT_EQ(h.Send("4a"), "sent poll:4a");
  EXPECT_EQ(h.OpenCandidate(), "taken");
}

TEST_F(PollingSession, SurvivesTheLossOfTheCandidate) {
  h.OpenCandidate();
  h.Ws("2probe");
  EXPECT_EQ(h.WsGone(false), "");
  EXPECT_EQ(h.Post("4a"), "200:ok msg:a");
}

TEST_F(PollingSession, ForgivesALatePongAcrossTheUpgrade) {
  h.Get();
  EXPECT_EQ(h.Wait(300), "poll:2");
  h.OpenCandidate();
  h.Ws("2probe");
  h.Ws("5");
  EXPECT_EQ(h.Wait(250), "");
  EXPECT_EQ(h.Ws("3"), "");
  EXPECT_EQ(h.Wait(300), "ws:2");
}

TEST_F(PollingSession, StillNoticesAClientThatDiedInTheUpgrade) {
  h.Get();
  EXPECT_EQ(h.Wait(300), "poll:2");
  h.OpenCandidate();
  h.Ws("5");
  EXPECT_EQ(h.Wait(300), "ws:2");
  EXPECT_EQ(h.Wait(200), "wsclose:0! closed:ping timeout finished");
}

TEST_F(PollingSession, FinishesAClosedSessionThroughTheUpgrade) {
  h.OpenCandidate();
  h.Ws("2probe");
  h.Send("4a");
  EXPECT_EQ(h.Close(), "closed:forced server close");
  EXPECT_EQ(h.Ws("5"), "ws:4a wsclose:0 finished");
}

TEST_F(PollingSession, ClosesTheCandidateWithTheSession) {
  h.Get();
  h.OpenCandidate();
  EXPECT_EQ(h.Close(), "poll:1 wsclose:0 closed:forced server close finished");
}

TEST_F(PollingSession, RefusesAPostThatEndsAfterTheUpgrade) {
  EXPECT_EQ(h.PostHead(), "wait");
  h.OpenCandidate();
  h.Ws("5");
  EXPECT_EQ(h.PostBody("4a"), kBadRequest);
}

TEST(EngineSession, IsSmall) { EXPECT_LE(sizeof(EngineSession), 56u); }

}  // namespace
}  // namespace sesior::socketio
