#include "services/realtime/hub/hub.hpp"

#include "fakes.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/check.hpp"

namespace sesior::realtime::hub {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class HubTest : public testing::Test {
 protected:
  HubTest() { bus_.hub = &hub_; }

  HubOptions options_{.max_rooms = 3, .max_room_bytes = 10, .max_queued_work = 2, .max_pending_acks = 2};
  FakeLoop loop_;
  FakeBus bus_;
  LoopTallies tallies_;
  Hub hub_{options_, loop_, bus_, tallies_};
};

// -- connecting --

TEST_F(HubTest, RefusesAnUnknownNamespace) {
  hub_.Of("/");
  FakeClient client(hub_, "/random", "a");
  ASSERT_TRUE(client.refused);
  EXPECT_EQ(client.refused->message, "Invalid namespace");
  EXPECT_TRUE(hub_.Has("/", {}));
  EXPECT_FALSE(hub_.Has("/random", {}));
}

TEST_F(HubTest, RunsMiddlewareInOrderAndThenTheConnectHandlers) {
  std::string log;
  hub_.Of("/")
      .Use([&](Socket& socket, Next next) {
        log += "first " + std::string(socket.auth().text()) + " ";
        std::move(next)(std::nullopt);
      })
      .Use([&](Socket&, Next next) {
        log += "second ";
        std::move(next)(std::nullopt);
      })
      .OnConnect([&](Socket& socket) { log += "connect " + socket.id() + std::string(socket.auth().text()); });
  FakeClient client(hub_, "/", "a", "{\"t\":1}");
  EXPECT_EQ(log, "first {\"t\":1} second connect a{\"t\":1}");
  EXPECT_EQ(client.socket->auth().text(), "{}");
  EXPECT_TRUE(client.socket->connected());
}

TEST_F(HubTest, StopsAtTheFirstRefusal) {
  bool connected = false;
  hub_.Of("/")
      .Use([](Socket&, Next next) {
        std::move(next)(Refusal{"no", Json::Object({{"code", 7}})});
      })
      .Use([](Socket&, Next) { FAIL(); })
      .OnConnect([&](Socket&) { connected = true; });
  FakeClient client(hub_, "/", "a");
  ASSERT_TRUE(client.refused);
  EXPECT_EQ(client.refused->message, "no");
  EXPECT_EQ(client.refused->data->text(), "{\"code\":7}");
  EXPECT_FALSE(connected);
}

TEST_F(HubTest, ForgetsAClientThatLeavesWhileAMiddlewareThinks) {
  Next pending;
  bool connected = false;
  bool disconnected = false;
  hub_.Of("/")
      .Use([&](Socket&, Next next) { pending = std::move(next); })
      .OnConnect([&](Socket&) { connected = true; })
      .OnDisconnect([&](Socket&, CloseReason) { disconnected = true; });
  FakeClient client(hub_, "/", "a");
  EXPECT_FALSE(client.answered);
  client.Leave();
  std::move(pending)(std::nullopt);
  EXPECT_FALSE(client.answered);
  EXPECT_FALSE(connected || disconnected);
}

TEST_F(HubTest, MakesDynamicNamespacesUpToTheLimit) {
  hub_.OfMatching(
      [](std::string_view name, JsonValue) { return name.starts_with("/room-"); },
      [](Namespace& nsp) { nsp.OnConnect([](Socket& socket) { socket.Emit("hello", socket.nsp().name()); }); },
      {.limit = 2});
  FakeClient a(hub_, "/room-1", "a");
  FakeClient b(hub_, "/room-2", "b");
  FakeClient c(hub_, "/room-3", "c");
  FakeClient d(hub_, "/room-1", "d");
  EXPECT_THAT(a.Take(), ElementsAre(R"(42/room-1,["hello","/room-1"])"));
  EXPECT_TRUE(c.refused);
  EXPECT_FALSE(d.refused);
  a.Leave();
  d.Leave();
  EXPECT_NE(hub_.Find("/room-1"), nullptr);  // stays
}

TEST_F(HubTest, MakesDynamicNamespacesByPatternAndByWhoAsks) {
  hub_.OfPattern("/room-\\d+", [](Namespace&) {});
  hub_.OfMatching([](std::string_view, JsonValue auth) { return auth.Member("key").has_value(); }, [](Namespace&) {});
  EXPECT_TRUE(hub_.Has("/room-12", JsonValue("{}")));
  EXPECT_FALSE(hub_.Has("/room-12x", JsonValue("{}")));
  EXPECT_FALSE(hub_.Has("/a/room-12", JsonValue("{}")));
  EXPECT_TRUE(hub_.Has("/other", JsonValue(R"({"key":1})")));
  FakeClient client(hub_, "/other", "a", R"({"key":1})");
  EXPECT_FALSE(client.refused);
}

TEST_F(HubTest, DropsEmptyDynamicNamespacesWhereAsked) {
  Next pending;
  hub_.OfPattern("/room-\\d+",
                 [&](Namespace& nsp) {
                   nsp.Use([&](Socket& socket, Next next) {
                     if (socket.id() == "slow") return void(pending = std::move(next));
                     std::move(next)(socket.id() == "bad" ? std::optional(Refusal{"no"}) : std::nullopt);
                   });
                 },
                 {.limit = 1, .drop_empty = true});
  auto a = std::make_unique<FakeClient>(hub_, "/room-1", "a");
  EXPECT_FALSE(hub_.Has("/room-2", {}));
  EXPECT_THAT(bus_.opened, ElementsAre("/room-1"));
  FakeClient slow(hub_, "/room-1", "slow");
  Done<int> late = a->socket->Then<int>([](Socket& socket, absl::StatusOr<int>) { socket.Broadcast().Emit("late"); });
  a->Leave();
  EXPECT_NE(hub_.Find("/room-1"), nullptr);  // somebody is at the door
  slow.Leave();
  EXPECT_EQ(hub_.Find("/room-1"), nullptr);
  EXPECT_THAT(bus_.closed, ElementsAre("/room-1"));
  a.reset();
  std::move(late)(1);  // what holds a socket holds its namespace
  loop_.Run();
  FakeClient bad(hub_, "/room-2", "bad");
  EXPECT_NE(hub_.Find("/room-2"), nullptr);
  bad.Leave();
  EXPECT_EQ(hub_.Find("/room-2"), nullptr);
  FakeClient again(hub_, "/room-1", "a");
  EXPECT_TRUE(again.socket->connected());
}

// -- events --

TEST_F(HubTest, DispatchesEventsToTheirHandlers) {
  hub_.Of("/")
      .On("add",
          [](Socket&, const Event& event) { event.reply()(nullptr, *event.arg(0).AsInt() + *event.arg(1).AsInt()); })
      .On("echo", [](Socket& socket, const Event& event) { socket.EmitArgs(event.As("back")); });
  FakeClient client(hub_, "/", "a");
  client.Send(R"(25["add",1,2])");
  client.Send(R"(2["add",1,2])");  // no acknowledgement wanted
  client.Send(R"(26["unknown"])");
  client.Send(R"(2["echo",{"x": [1]},"y"])");
  client.Send(R"(51-["echo",{"_placeholder":true,"num":0}])", {"\1"});
  EXPECT_THAT(client.Take(), ElementsAre("435[null,3]", R"(42["back",{"x": [1]},"y"])",
                                         "451-[\"back\",{\"_placeholder\":true,\"num\":0}]\x1e"
                                         "bAQ=="));
}

// The order of the reference: catch-alls see also what a middleware then refuses.
TEST_F(HubTest, ShowsEveryEventToCatchAllsAndThenToMiddleware) {
  std::string log;
  hub_.Of("/")
      .UseEvents([&](Socket&, const Event& event) {
        log += "middleware ";
        return event.name() == "bad" ? absl::PermissionDeniedError("not you") : absl::OkStatus();
      })
      .OnAny([&](Socket&, const Event& event) { log += "any:" + std::string(event.name()) + " "; })
      .OnError([&](Socket&, const Event& event, const absl::Status& status) {
        log += "error:" + std::string(event.name()) + ":" + std::string(status.message()) + " ";
      })
      .On("good", [&](Socket&, const Event&) { log += "good "; })
      .On("bad", [&](Socket&, const Event&) { log += "bad "; });
  FakeClient client(hub_, "/", "a");
  client.Send("2[\"good\"]");
  client.Send("2[\"bad\"]");
  EXPECT_EQ(log, "any:good middleware good any:bad middleware error:bad:not you ");
}

TEST_F(HubTest, ShowsEveryEventThatGoesOutToEachOfItsReceivers) {
  std::vector<std::string> log;
  hub_.Of("/").OnAnyOutgoing([&](Socket& socket, const Event& event) {
    log.push_back(socket.id() + ":" + std::string(event.name()) + event.args().text());
    EXPECT_FALSE(event.reply().wanted());
  });
  FakeClient a(hub_, "/", "a");
  FakeClient b(hub_, "/", "b");
  a.socket->Emit("one", 1, Json::Binary("x"));
  EXPECT_THAT(log, ElementsAre(R"(a:one[1,{"_placeholder":true,"num":0}])"));
  log.clear();
  a.socket->EmitWithAck(Json::Array("q", 2), milliseconds(10), [](absl::StatusOr<const Arguments*>) {});
  EXPECT_THAT(log, ElementsAre("a:q[2]"));
  log.clear();
  hub_.Of("/").All().Emit("all", 3);
  loop_.Run();
  EXPECT_THAT(log, UnorderedElementsAre("a:all[3]", "b:all[3]"));
  log.clear();
  hub_.Of("/").To("b").EmitWithAck(Json::Array("ask"), milliseconds(10), [](Answers) {});
  EXPECT_THAT(log, ElementsAre("b:ask[]"));
}

TEST_F(HubTest, ReadsArgumentsAsTypes) {
  using Got = std::tuple<std::string_view, int, bool, double, std::string, std::optional<int>, std::optional<int>>;
  std::optional<Got> got;
  std::string error;
  hub_.Of("/")
      .On("all",
          [&](Socket&, const Event& event) {
            const auto args =
                event.Read<std::string_view, int, bool, double, std::string, std::optional<int>, std::optional<int>>();
            ASSERT_TRUE(args.ok()) << args.status();
            got = *args;
            EXPECT_EQ(std::get<0>(*got), "a\nb");
          })
      .On("three",
          [&](Socket&, const Event& event) {
            const auto args = event.Read<std::string_view, std::uint8_t, std::optional<bool>>();
            error = args.ok() ? "" : std::string(args.status().message());
          })
      .On("bytes", [&](Socket&, const Event& event) {
        const auto args = event.Read<Bytes, Argument>();
        error = args.ok() ? std::string(std::get<0>(*args).data) : std::string(args.status().message());
        if (args.ok()) {
          EXPECT_EQ(std::get<1>(*args).Member("x")->AsBinary(), "two");
        }
      });
  FakeClient client(hub_, "/", "a");
  client.Send(R"(2["all","a\nb",-7,true,1.5,"c",null])");
  ASSERT_TRUE(got);
  EXPECT_EQ(std::get<1>(*got), -7);
  EXPECT_TRUE(std::get<2>(*got));
  EXPECT_EQ(std::get<3>(*got), 1.5);
  EXPECT_EQ(std::get<4>(*got), "c");
  EXPECT_EQ(std::get<5>(*got), std::nullopt);
  EXPECT_EQ(std::get<6>(*got), std::nullopt);
  const std::pair<const char*, const char*> cases[] = {
      {R"(2["three","t",255])", ""},
      {R"(2["three","t",255,false,"more"])", ""},
      {R"(2["three",1,255])", "argument 1 must be a string"},
      {R"(2["three"])", "argument 1 must be a string"},
      {R"(2["three","t",256])", "argument 2 must be an integer within its range"},
      {R"(2["three","t",1.5])", "argument 2 must be an integer within its range"},
      {R"(2["three","t",1,0])", "argument 3 must be true or false"},
      {R"(2["bytes",{"_placeholder":true,"num":0}])", "argument 1 must be binary"},
  };
  for (const auto& [packet, expected] : cases) {
    client.Send(packet);
    EXPECT_EQ(error, expected) << packet;
  }
  client.Send(R"(52-["bytes",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}])", {"one", "two"});
  EXPECT_EQ(error, "one");
}

TEST_F(HubTest, PassesBinaryOn) {
  hub_.Of("/").On("pass", [](Socket& socket, const Event& event) {
    socket.Emit("back", 1, event.arg(1), Json::Object({{"deep", event.arg(0)}}), Json::Binary("new"));
    event.reply()(event.arg(1));
  });
  FakeClient client(hub_, "/", "a");
  client.Send(R"(52-7["pass",{"x":{"num":0,"_placeholder":true}},{"_placeholder":true,"num":1}])", {"A", "B"});
  EXPECT_THAT(client.Take(),
              ElementsAre("453-[\"back\",1,{\"_placeholder\":true,\"num\":0},"
                          "{\"deep\":{\"x\":{\"num\":1,\"_placeholder\":true}}},{\"_placeholder\":true,\"num\":2}]"
                          "\x1e"
                          "bQg==\x1e"
                          "bQQ==\x1e"
                          "bbmV3",
                          "461-7[{\"_placeholder\":true,\"num\":0}]\x1e"
                          "bQg=="));
}

TEST_F(HubTest, SendsNoMoreBinariesThanTheProtocolHas) {
  hub_.Of("/").On("ask", [](Socket&, const Event& event) {
    event.reply().SendArgs(Json::ArrayOf(std::vector<Json>(11, Json::Binary("x"))));
  });
  FakeClient client(hub_, "/", "a");
  std::vector<Json> args(11, Json::Binary("x"));
  args[0] = "e";
  EXPECT_EQ(client.socket->EmitArgs(Json::ArrayOf(args)), SendResult::kSent);
  args.push_back(Json::Binary("x"));
  client.Take();
  EXPECT_EQ(client.socket->EmitArgs(Json::ArrayOf(args)), SendResult::kDropped);
  hub_.Of("/").All().EmitArgs(Json::ArrayOf(args));
  client.Send("21[\"ask\"]");
  loop_.Run();
  EXPECT_THAT(client.Take(), IsEmpty());
  EXPECT_EQ(tallies_.binaries_refused.value(), 3u);
}

TEST_F(HubTest, SendsNoEventWithANameOfTheProtocol) {
  hub_.Of("/");
  FakeClient client(hub_, "/", "a");
  EXPECT_EQ(client.socket->Emit("disconnect", 1), SendResult::kDropped);
  EXPECT_EQ(client.socket->EmitVolatile("connect"), SendResult::kDropped);
  hub_.Of("/").All().Emit("connect_error");
  loop_.Run();
  EXPECT_THAT(client.Take(), IsEmpty());
}

TEST_F(HubTest, LetsAReplyOutliveItsSocket) {
  std::vector<Reply> replies;
  hub_.Of("/").On("ask", [&](Socket&, const Event& event) { replies.push_back(event.reply()); });
  {
    FakeClient client(hub_, "/", "a");
    client.Send("21[\"ask\"]");
    client.Send("22[\"ask\"]");
    std::move(replies[0])("one");
    std::move(replies[0])("again");  // ignored
    EXPECT_THAT(client.Take(), ElementsAre(R"(431["one"])"));
  }
  std::move(replies[1])("two");
}

TEST_F(HubTest, CarriesAcknowledgementsOfTheClient) {
  hub_.Of("/");
  FakeClient client(hub_, "/", "a");
  std::vector<std::string> log;
  const auto note = [&log](absl::StatusOr<const Arguments*> answer) {
    log.push_back(answer.ok() ? (*answer)->args().text() : answer.status().ToString());
  };
  client.socket->EmitWithAck(Json::Array("q", 1), milliseconds(100), note);
  client.socket->EmitWithAck(Json::Array("q", 2), milliseconds(100), note);
  client.socket->EmitWithAck(Json::Array("q", 3), milliseconds(100), note);  // over the limit
  EXPECT_THAT(client.Take(), ElementsAre(R"(420["q",1])", R"(421["q",2])"));
  EXPECT_THAT(log, IsEmpty());
  client.Send("31[\"yes\"]");
  client.Send("31[\"twice\"]");
  client.Send("399[\"unknown\"]");
  loop_.Advance(milliseconds(99));
  EXPECT_THAT(log, ElementsAre("[\"yes\"]", StartsWith("RESOURCE_EXHAUSTED")));
  EXPECT_EQ(tallies_.acks_refused.value(), 1u);
  loop_.Advance(milliseconds(1));
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[2], "DEADLINE_EXCEEDED: operation has timed out");
  client.Send("30[\"late\"]");
  EXPECT_EQ(log.size(), 3u);
  client.socket->EmitWithAck(Json::Array("q", 4), milliseconds(100), note);
  client.Leave();
  ASSERT_EQ(log.size(), 4u);
  EXPECT_TRUE(log[3].starts_with("CANCELLED"));
  EXPECT_EQ(loop_.timer_count(), 0u);
}

// -- rooms and broadcasts --

class RoomsTest : public HubTest {
 protected:
  RoomsTest() {
    hub_.Of("/");
    for (const char* id : {"a", "b", "c", "d"}) clients_.push_back(std::make_unique<FakeClient>(hub_, "/", id));
    Of("a").Join("red");
    Of("b").Join("red");
    Of("b").Join("blue");
    Of("c").Join("blue");
  }
  Socket& Of(std::string_view id) { return *hub_.Of("/").Find(id); }
  // The ids of those who got the event, each as often as it did.
  std::string Receivers() {
    loop_.Run();
    std::string ids;
    for (const auto& client : clients_) {
      for (const std::string& text : client->Take()) {
        EXPECT_TRUE(text.ends_with("42[\"e\",1]")) << text;
        ids += client->socket->id();
      }
    }
    return ids;
  }

  std::vector<std::unique_ptr<FakeClient>> clients_;
};

TEST_F(RoomsTest, DeliverToTheRightSocketsOnce) {
  Namespace& nsp = hub_.Of("/");
  nsp.All().Emit("e", 1);
  EXPECT_EQ(Receivers(), "abcd");
  nsp.To("red").Emit("e", 1);
  EXPECT_EQ(Receivers(), "ab");
  nsp.To("red").To("blue").Emit("e", 1);  // the union, one copy each
  EXPECT_EQ(Receivers(), "abc");
  nsp.All().Except("blue").Emit("e", 1);
  EXPECT_EQ(Receivers(), "ad");
  nsp.To("red").Except("blue").Except("a").Emit("e", 1);
  EXPECT_EQ(Receivers(), "");
  nsp.To("d").Emit("e", 1);  // every socket is in a room named by its id
  EXPECT_EQ(Receivers(), "d");
  nsp.To("nowhere").Emit("e", 1);
  EXPECT_EQ(Receivers(), "");
  Of("a").Broadcast().Emit("e", 1);
  EXPECT_EQ(Receivers(), "bcd");
  Of("a").To("red").Emit("e", 1);
  EXPECT_EQ(Receivers(), "b");
  Of("a").Except("blue").Emit("e", 1);
  EXPECT_EQ(Receivers(), "d");
  nsp.Except("red").Emit("e", 1);
  EXPECT_EQ(Receivers(), "cd");
  nsp.All().Volatile().Emit("e", 1);
  EXPECT_EQ(Receivers(), "abcd");
}

TEST_F(RoomsTest, GoThroughTheBusUnlessLocal) {
  hub_.Of("/").To("red").Except("a").Volatile().Emit("e", 1);
  ASSERT_EQ(bus_.published.size(), 1u);
  EXPECT_EQ(bus_.published[0].nsp, "/");
  EXPECT_THAT(bus_.published[0].to.rooms, ElementsAre("red"));
  EXPECT_THAT(bus_.published[0].to.except, ElementsAre("a"));
  EXPECT_EQ(bus_.published[0].args, "[\"e\",1]");
  EXPECT_TRUE(bus_.published[0].is_volatile);
  Receivers();
  hub_.Of("/").To("red").Local().Emit("e", 1);
  EXPECT_EQ(bus_.published.size(), 1u);
  EXPECT_EQ(Receivers(), "ab");
}

TEST_F(RoomsTest, ShareOneFrameAmongAllReceivers) {
  const auto broadcast = EncodedBroadcast::From({.args = "[\"e\",1]"}, options_.format);
  EXPECT_EQ(hub_.Of("/").Deliver(*broadcast), 4u);
  EXPECT_EQ(Receivers(), "abcd");
}

TEST_F(RoomsTest, AreLeftOneByOneAndOnDisconnect) {
  std::vector<std::string> seen;
  std::size_t left = 0;
  hub_.Of("/")
      .OnDisconnecting([&](Socket& socket, CloseReason) { seen = socket.Rooms(); })
      .OnDisconnect([&](Socket& socket, CloseReason) {
        left = socket.Rooms().size() + (socket.nsp().Find(socket.id()) != nullptr);
      });
  EXPECT_TRUE(Of("b").InRoom("red"));
  EXPECT_TRUE(Of("b").InRoom("b"));
  Of("b").Leave("red");
  Of("b").Leave("red");
  Of("b").Leave("nowhere");
  EXPECT_FALSE(Of("b").InRoom("red"));
  clients_[1]->Leave();
  EXPECT_THAT(seen, ElementsAre("blue"));  // the first handler still sees the rooms
  EXPECT_EQ(left, 0u);
  hub_.Of("/").To("red").To("blue").Emit("e", 1);
  EXPECT_EQ(Receivers(), "ac");
  EXPECT_FALSE(clients_[1]->socket->Join("red"));
  clients_.clear();  // before `seen`
}

TEST_F(RoomsTest, AreBounded) {
  EXPECT_TRUE(Of("a").Join("red"));  // is there already
  EXPECT_TRUE(Of("a").Join("1"));
  EXPECT_TRUE(Of("a").Join("2"));
  EXPECT_FALSE(Of("a").Join("3"));
  EXPECT_FALSE(Of("d").Join("12345678901"));
  EXPECT_THAT(Of("a").Rooms(), UnorderedElementsAre("red", "1", "2"));
  EXPECT_EQ(tallies_.rooms_refused.value(), 2u);
}

TEST_F(RoomsTest, BelongToTheirNamespace) {
  hub_.Of("/other");
  FakeClient other(hub_, "/other", "o");
  other.socket->Join("red");
  hub_.Of("/").To("red").Emit("e", 1);
  EXPECT_EQ(Receivers(), "ab");
  EXPECT_THAT(other.Take(), IsEmpty());
}

// -- all hubs of the process --

class PeersTest : public testing::Test {
 protected:
  PeersTest() {
    for (Hub& hub : hubs_) {
      hub.SetPeers({&hubs_[0], &hubs_[1]});
      hub.Of("/");
    }
    hubs_[1].Of("/only-there");
    for (int i = 0; i < 4; ++i) {
      clients_.push_back(std::make_unique<FakeClient>(hubs_[i / 2], "/", std::string(1, static_cast<char>('a' + i))));
      if (i % 2 == 0) clients_.back()->socket->Join("even");
    }
  }
  void Run() {
    for (int i = 0; i < 4; ++i) loops_[i % 2].Run();
  }
  void Advance(milliseconds time) {
    for (FakeLoop& loop : loops_) loop.Advance(time);
    Run();
  }
  FakeClient& client(char id) { return *clients_[static_cast<std::size_t>(id - 'a')]; }
  Namespace& nsp() { return hubs_[0].Of("/"); }
  // Who has got something, in order.
  std::string Receivers() {
    Run();
    std::string ids;
    for (const auto& client : clients_) {
      if (!client->gone && !client->Take().empty()) ids += client->socket->id();
    }
    return ids;
  }

  HubOptions options_{.max_pending_acks = 2};
  FakeLoop loops_[2];
  FakeBus bus_;
  LoopTallies tallies_[2];
  Hub hubs_[2] = {{options_, loops_[0], bus_, tallies_[0]}, {options_, loops_[1], bus_, tallies_[1]}};
  std::vector<std::unique_ptr<FakeClient>> clients_;
};

TEST_F(PeersTest, TakeLocalBroadcastsOnAllThreads) {
  nsp().All().Local().Emit("e");
  EXPECT_EQ(Receivers(), "abcd");
  client('c').socket->To("even").Local().Emit("e");
  EXPECT_EQ(Receivers(), "a");
  EXPECT_TRUE(bus_.published.empty());
}

TEST_F(PeersTest, GatherTheAcknowledgementsOfABroadcast) {
  std::optional<Answers> got;
  nsp().To("even").To("d").EmitWithAck(Json::Array("q", Json::Binary("?")), milliseconds(100),
                                       [&](Answers answers) { got = std::move(answers); });
  Run();
  EXPECT_THAT(client('a').Take(), ElementsAre("451-0[\"q\",{\"_placeholder\":true,\"num\":0}]\x1e"
                                              "bPw=="));
  EXPECT_THAT(client('b').Take(), IsEmpty());
  client('c').Send("30[\"C\"]");
  client('c').Send("30[\"twice\"]");
  client('b').Send("30[\"was not asked\"]");
  client('d').Send("30[]");
  Run();
  EXPECT_FALSE(got);
  client('a').Send(R"(61-0[{"_placeholder":true,"num":0}])", {"A"});
  Run();
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->status.ok()) << got->status;
  EXPECT_EQ(got->asked, 3u);
  std::vector<std::string> texts;
  for (const Json& answer : got->answers) {
    texts.push_back(answer.attachments().empty() ? answer.text() : std::string(*answer.value().AsBinary()));
  }
  EXPECT_THAT(texts, UnorderedElementsAre("A", "\"C\"", "null"));
  EXPECT_EQ(loops_[0].timer_count() + loops_[1].timer_count(), 0u);
}

TEST_F(PeersTest, GiveWhatCameInTimeWhenSomeDoNotAcknowledge) {
  std::optional<Answers> got;
  nsp().All().EmitWithAck(Json::Array("q"), milliseconds(100), [&](Answers answers) { got = std::move(answers); });
  Run();
  client('b').Send("30[1]");
  client('d').Send("30[2]");
  client('c').Leave();
  Run();
  EXPECT_FALSE(got);
  Advance(milliseconds(100));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status.message(), "operation has timed out");
  EXPECT_EQ(got->asked, 4u);
  EXPECT_EQ(got->answers.size(), 2u);
  client('a').Send("30[\"late\"]");
  Run();
}

TEST_F(PeersTest, AnswerAtOnceWhenNobodyIsAsked) {
  std::optional<Answers> got;
  nsp().To("nowhere").EmitWithAck(Json::Array("q"), milliseconds(100),
                                  [&](Answers answers) { got = std::move(answers); });
  EXPECT_FALSE(got);  // never inside the call
  Run();
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->status.ok());
  EXPECT_EQ(got->asked, 0u);
}

TEST_F(PeersTest, BoundWhatIsGathered) {
  std::vector<std::string> log;
  for (int i = 0; i < 3; ++i) {
    nsp().All().EmitWithAck(Json::Array("q"), milliseconds(100),
                            [&](Answers answers) { log.emplace_back(answers.status.ToString()); });
  }
  nsp().All().FetchSockets(milliseconds(100), [&](absl::StatusOr<std::vector<RemoteSocket>> sockets) {
    log.emplace_back(sockets.status().ToString());
  });
  Run();
  EXPECT_THAT(log, ElementsAre(StartsWith("RESOURCE_EXHAUSTED"), StartsWith("RESOURCE_EXHAUSTED")));
  EXPECT_EQ(tallies_[0].acks_refused.value(), 2u);
  Advance(milliseconds(100));
  EXPECT_EQ(log.size(), 4u);
}

TEST_F(PeersTest, TellOfTheirSockets) {
  struct Tagged final : SocketData {
    Json ToJson() const override { return Json::Object({{"tag", 7}}); }
  };
  client('c').socket->data = std::make_unique<Tagged>();
  std::vector<std::string> log;
  const auto note = [&](absl::StatusOr<std::vector<RemoteSocket>> sockets) {
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    for (const RemoteSocket& socket : *sockets) {
      std::string text = socket.id + ":";
      for (const std::string& room : socket.rooms) text += room + ",";
      log.push_back(text + socket.data.text());
    }
  };
  nsp().All().Except("b").FetchSockets(milliseconds(100), note);
  EXPECT_TRUE(log.empty());
  Run();
  EXPECT_THAT(log, UnorderedElementsAre("a:a,even,null", "c:c,even,{\"tag\":7}", "d:d,null"));
  log.clear();
  FakeClient there(hubs_[1], "/only-there", "x");
  there.socket->nsp().All().FetchSockets(milliseconds(100), note);  // the other hub has no such namespace
  Run();
  EXPECT_THAT(log, ElementsAre("x:x,null"));
}

TEST_F(PeersTest, SayWhenOneOfThemIsSilent) {
  absl::Status status;
  nsp().All().FetchSockets(milliseconds(100),
                           [&](absl::StatusOr<std::vector<RemoteSocket>> sockets) { status = sockets.status(); });
  loops_[0].Advance(milliseconds(100));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  Run();  // an answer that comes too late does no harm
}

TEST_F(PeersTest, MoveAndDisconnectTheirSockets) {
  nsp().To("even").SocketsJoin({"x", "y"});
  EXPECT_TRUE(client('a').socket->InRoom("x"));  // this thread's at once
  Run();
  EXPECT_TRUE(client('c').socket->InRoom("y"));
  EXPECT_FALSE(client('d').socket->InRoom("x"));
  nsp().To("c").SocketsLeave({"x"});
  nsp().To("x").Local().Emit("e");
  EXPECT_EQ(Receivers(), "a");
  nsp().To("y").Except("a").DisconnectSockets();
  Run();
  EXPECT_EQ(client('c').Take(), std::vector<std::string>{"disconnect"});
  nsp().To("a").DisconnectSockets(true);
  EXPECT_EQ(client('a').Take(), std::vector<std::string>{"close"});
  nsp().All().Local().Emit("e");
  EXPECT_EQ(Receivers(), "bd");
}

// -- ends --

TEST_F(HubTest, RunsDisconnectHandlersOnceWithTheReason) {
  std::vector<std::string> log;
  hub_.Of("/").OnDisconnect([&](Socket&, CloseReason reason) { log.emplace_back(Text(reason)); });
  FakeClient client(hub_, "/", "a");
  client.Leave(CloseReason::kPingTimeout);
  EXPECT_THAT(log, ElementsAre("ping timeout"));
  EXPECT_EQ(client.socket->Emit("late"), SendResult::kDropped);
  client.socket->Disconnect();
  EXPECT_THAT(client.Take(), IsEmpty());
  EXPECT_EQ(client.socket->session(), nullptr);
  EXPECT_EQ(hub_.Of("/").socket_count(), 0u);
}

TEST_F(HubTest, DisconnectsFromInsideAHandler) {
  hub_.Of("/")
      .On("bye",
          [](Socket& socket, const Event& event) {
            socket.Disconnect(true);
            event.reply()("gone");
          })
      .OnAny([](Socket&, const Event&) {});
  FakeClient client(hub_, "/", "a");
  client.Send("21[\"bye\"]");
  EXPECT_THAT(client.Take(), ElementsAre("close"));
}

// -- asynchronous work --

TEST_F(HubTest, CarriesResultsBackToTheSocketsThread) {
  hub_.Of("/");
  FakeClient client(hub_, "/", "a");
  Done<int> done =
      client.socket->Then<int>([](Socket& socket, absl::StatusOr<int> value) { socket.Emit("got", *value); });
  std::move(done)(7);
  EXPECT_THAT(client.Take(), IsEmpty());
  loop_.Run();
  EXPECT_THAT(client.Take(), ElementsAre(R"(42["got",7])"));
}

TEST_F(HubTest, RunsWorkInOrderOneAtATime) {
  hub_.Of("/");
  FakeClient client(hub_, "/", "a");
  std::vector<std::string> log;
  std::vector<Socket::Finished> finishes;
  const auto work = [&](std::string name) {
    return [&log, &finishes, name](Socket&, Socket::Finished finished) {
      log.push_back(name);
      finishes.push_back(std::move(finished));
    };
  };
  EXPECT_TRUE(client.socket->InOrder(work("1")));
  EXPECT_TRUE(client.socket->InOrder(work("2")));
  EXPECT_FALSE(client.socket->InOrder(work("too much")));
  EXPECT_THAT(log, IsEmpty());
  loop_.Run();
  EXPECT_THAT(log, ElementsAre("1"));
  EXPECT_TRUE(client.socket->InOrder(work("3")));
  std::move(finishes[0])();
  loop_.Run();
  EXPECT_THAT(log, ElementsAre("1", "2"));
  client.Leave();  // what was sent before still takes effect
  std::move(finishes[1])();
  loop_.Run();
  EXPECT_THAT(log, ElementsAre("1", "2", "3"));
  std::move(finishes[2])();
  loop_.Run();
}

TEST_F(HubTest, KeepsIdleSocketsSmall) { EXPECT_LE(sizeof(Socket), 136u); }

}  // namespace
}  // namespace sesior::realtime::hub
