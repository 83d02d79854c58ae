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
using testing::UnorderedElementsAre;

class HubTest : public testing::Test {
 protected:
  HubTest() { bus_.hub = &hub_; }

  HubOptions options_{.max_rooms = 3, .max_room_bytes = 10, .max_queued_work = 2, .max_pending_acks = 2};
  FakeLoop loop_;
  FakeBus bus_;
  Hub hub_{options_, loop_, bus_};
};

// -- connecting --

TEST_F(HubTest, RefusesAnUnknownNamespace) {
  hub_.Of("/");
  FakeClient client(hub_, "/random", "a");
  ASSERT_TRUE(client.refused);
  EXPECT_EQ(client.refused->message, "Invalid namespace");
  EXPECT_TRUE(hub_.Has("/"));
  EXPECT_FALSE(hub_.Has("/random"));
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
      [](std::string_view name) { return name.starts_with("/room-"); },
      [](Namespace& nsp) { nsp.OnConnect([](Socket& socket) { socket.Emit("hello", socket.nsp().name()); }); }, 2);
  FakeClient a(hub_, "/room-1", "a");
  FakeClient b(hub_, "/room-2", "b");
  FakeClient c(hub_, "/room-3", "c");
  FakeClient d(hub_, "/room-1", "d");
  EXPECT_THAT(a.Take(), ElementsAre(R"(42/room-1,["hello","/room-1"])"));
  EXPECT_TRUE(c.refused);
  EXPECT_FALSE(d.refused);
}

// -- events --

TEST_F(HubTest, DispatchesEventsToTheirHandlers) {
  hub_.Of("/")
      .On("add",
          [](Socket&, const Event& event) { event.reply()(nullptr, *event.arg(0).AsInt() + *event.arg(1).AsInt()); })
      .On("echo", [](Socket& socket, const Event& event) {
        socket.EmitArgs(Json::Raw("[\"back\"," + event.args().text().substr(1)), event.attachments());
      });
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

TEST_F(HubTest, ShowsEveryEventToFiltersAndCatchAllsFirst) {
  std::string log;
  hub_.Of("/")
      .UseEvents([&](Socket&, const Event& event) {
        log += "filter ";
        return event.name() != "bad";
      })
      .OnAny([&](Socket&, const Event& event) { log += "any:" + std::string(event.name()) + " "; })
      .On("good", [&](Socket&, const Event&) { log += "good "; })
      .On("bad", [&](Socket&, const Event&) { log += "bad "; });
  FakeClient client(hub_, "/", "a");
  client.Send("2[\"good\"]");
  client.Send("2[\"bad\"]");
  EXPECT_EQ(log, "filter any:good good filter ");
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
  const auto note = [&log](absl::StatusOr<const socketio::Packet*> answer) {
    log.push_back(answer.ok() ? std::string((*answer)->data) : std::string(answer.status().ToString().substr(0, 17)));
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
  EXPECT_THAT(log, ElementsAre("[\"yes\"]", "RESOURCE_EXHAUSTE"));
  loop_.Advance(milliseconds(1));
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[2], "DEADLINE_EXCEEDED");
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
  const socketio::FramePtr frame = socketio::EncodeEvent("/", "[\"e\",1]");
  EXPECT_EQ(hub_.Of("/").Deliver({}, frame, false), 4u);
  EXPECT_EQ(Receivers(), "abcd");
}

TEST_F(RoomsTest, AreLeftOneByOneAndOnDisconnect) {
  std::vector<std::string> seen;
  hub_.Of("/").OnDisconnect([&](Socket& socket, CloseReason) { seen = socket.Rooms(); });
  EXPECT_TRUE(Of("b").InRoom("red"));
  EXPECT_TRUE(Of("b").InRoom("b"));
  Of("b").Leave("red");
  Of("b").Leave("red");
  Of("b").Leave("nowhere");
  EXPECT_FALSE(Of("b").InRoom("red"));
  clients_[1]->Leave();
  EXPECT_THAT(seen, ElementsAre("blue"));  // the handler still sees the rooms
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
}

TEST_F(RoomsTest, BelongToTheirNamespace) {
  hub_.Of("/other");
  FakeClient other(hub_, "/other", "o");
  other.socket->Join("red");
  hub_.Of("/").To("red").Emit("e", 1);
  EXPECT_EQ(Receivers(), "ab");
  EXPECT_THAT(other.Take(), IsEmpty());
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
