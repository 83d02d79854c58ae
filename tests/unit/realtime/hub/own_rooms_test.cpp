#include "services/realtime/hub/own_rooms.hpp"

#include "fakes.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sesior::realtime::hub {
namespace {

using testing::ElementsAre;

std::shared_ptr<session::v1::Session> SessionOf(const std::string& handle, const std::string& user_id) {
  auto session = std::make_shared<session::v1::Session>();
  session->set_session_id("the id itself");
  session->set_handle(handle);
  session->set_user_id(user_id);
  return session;
}

TEST(OwnRooms, ASocketIsLetIntoThoseOfItsOwnSessionOnly) {
  HubOptions options;
  FakeLoop loop;
  FakeBus bus;
  LoopTallies tallies;
  Hub hub(options, loop, bus, tallies);
  hub.Of("/");
  FakeClient client(hub, "/", "a");
  Socket& socket = *client.socket;
  EXPECT_FALSE(socket.Join("$user:ann")) << "it has no session";
  EXPECT_FALSE(socket.Join("$session:"));
  client.session_ = SessionOf("handle", "");
  EXPECT_TRUE(socket.Join("$session:handle"));
  for (const char* other :
       {"$user:", "$user:ann", "$session:handl", "$session:the id itself", "$session:", "$user:x"}) {
    EXPECT_FALSE(socket.Join(other)) << other;
  }
  client.session_ = SessionOf("handle", "ann");
  EXPECT_TRUE(socket.Join("$user:ann"));
  EXPECT_FALSE(socket.Join("$user:bob"));
  // A client's word does not take it out of them, nor does it see them.
  socket.Leave("$user:ann");
  EXPECT_TRUE(socket.InRoom("$user:ann"));
  EXPECT_TRUE(socket.Join("lobby"));
  EXPECT_TRUE(socket.Join("$users"));
  EXPECT_THAT(socket.Rooms(), ElementsAre("lobby", "$users"));
  // What is its own no longer can be left.
  client.session_ = SessionOf("next", "ann");
  socket.Leave("$session:handle");
  EXPECT_FALSE(socket.InRoom("$session:handle"));
}

TEST(OwnRooms, AreNamedByHandleAndUser) {
  EXPECT_EQ(SessionRoomOf(*SessionOf("h", "u")), "$session:h");
  EXPECT_EQ(UserRoomOf(*SessionOf("h", "u")), "$user:u");
  EXPECT_EQ(SessionRoomOf(*SessionOf("", "")), "");
  EXPECT_EQ(UserRoomOf(*SessionOf("h", "")), "");
}

}  // namespace
}  // namespace sesior::realtime::hub
