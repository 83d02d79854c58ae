#include "services/rest/http/connection.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "tests/unit/rest/rest_world.hpp"

namespace sesior::rest {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// A server that answers when the test says so.
class ConnectionTest : public ::testing::Test {
 protected:
  struct Asked {
    http::Request request;
    Reply reply;
  };
  static ServerOptions Options() {
    ServerOptions options;
    options.max_connections = 3;
    options.limits.body_bytes = 1000;
    return options;
  }
  void AnswerNext(std::string body, int status = 200) {
    Reply reply = std::move(asked_.front().reply);
    asked_.pop_front();
    std::move(reply).Send(http::Response(status, "text/plain", std::move(body)));
    world_.worker().RunPosted();
  }

  std::deque<Asked> asked_;
  WorkerWorld world_{[this](http::Request request, const std::string&, Reply reply) {
                       asked_.push_back({std::move(request), std::move(reply)});
                     },
                     Options()};
};

TEST_F(ConnectionTest, AnswersAndStaysOpen) {
  WorkerWorld::Client client(world_);
  for (const char* body : {"one", "two"}) {
    client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_EQ(asked_.size(), 1u);
    EXPECT_FALSE(client.Take());
    AnswerNext(body);
    const std::optional<Answer> answer = client.Take();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, body);
    EXPECT_EQ(answer->Header("Connection"), "");
    EXPECT_NE(answer->Header("Date"), "");
  }
  EXPECT_FALSE(client.closed());
}

TEST_F(ConnectionTest, HandsOverRequestsInOrderOneAtATime) {
  WorkerWorld::Client client(world_);
  client.Send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /3 ");
  ASSERT_EQ(asked_.size(), 1u);
  client.Send("HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(asked_.size(), 1u);
  AnswerNext("1");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_.front().request.body, "abc");
  AnswerNext("2");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_.front().request.path, "/3");
  AnswerNext("3");
  for (const char* body : {"1", "2", "3"}) EXPECT_EQ(client.Take().value_or(Answer{}).body, body);
}

TEST_F(ConnectionTest, AnswersAClientThatSendsNoMore) {
  WorkerWorld::Client client(world_);
  client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  client.SendNoMore();
  EXPECT_FALSE(client.closed());
  AnswerNext("late");
  EXPECT_EQ(client.Take().value_or(Answer{}).body, "late");
  EXPECT_TRUE(client.closed());
}

TEST_F(ConnectionTest, ClosesWhenTheClientDoesOrAsksForIt) {
  WorkerWorld::Client idle(world_);
  idle.SendNoMore();
  EXPECT_TRUE(idle.closed());
  for (const char* request : {"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET /x HTTP/1.0\r\n\r\n"}) {
    WorkerWorld::Client client(world_);
    client.Send(request);
    AnswerNext("bye");
    const std::optional<Answer> answer = client.Take();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->Header("Connection"), "close");
    EXPECT_TRUE(client.closed());
    client.SendNoMore();
  }
}

TEST_F(ConnectionTest, DropsTheAnswerOfAClientThatIsGone) {
  {
    WorkerWorld::Client client(world_);
    client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    world_.Ready(client.server_fd(), {.readable = true, .hung_up = true});
  }
  // The next one gets the same descriptor, and nothing of the other's.
  WorkerWorld::Client next(world_);
  AnswerNext("not yours");
  EXPECT_EQ(next.Received(), "");
  EXPECT_FALSE(next.closed());
}

TEST_F(ConnectionTest, Answers500WhenTheHandlerForgets) {
  WorkerWorld::Client client(world_);
  client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  asked_.clear();
  world_.worker().RunPosted();
  EXPECT_EQ(client.Take().value_or(Answer{}).status, 500);
}

TEST_F(ConnectionTest, WritesLongAnswersAsTheClientReads) {
  WorkerWorld::Client client(world_);
  client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string body(3'000'000, 'x');
  AnswerNext(body);
  EXPECT_TRUE(asked_.empty());  // the second one waits for the first answer to leave
  EXPECT_TRUE(client.Take().value_or(Answer{}).body == body);
  ASSERT_EQ(asked_.size(), 1u);
  AnswerNext("y");
  EXPECT_EQ(client.Take().value_or(Answer{}).body, "y");
}

TEST_F(ConnectionTest, RefusesWhatIsNoRequestAndCloses) {
  const struct {
    std::string bytes;
    int status;
  } cases[] = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413},
      {"GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", 431},
      {"GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
  };
  for (const auto& c : cases) {
    WorkerWorld::Client client(world_);
    client.Send(c.bytes);
    const Answer answer = client.Take().value_or(Answer{});
    EXPECT_EQ(answer.status, c.status) << c.bytes.substr(0, 40);
    EXPECT_EQ(answer.Header("Connection"), "close");
    EXPECT_NE(answer.body.find("\"error\""), std::string::npos);
    client.Send("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(asked_.empty());
    EXPECT_TRUE(client.closed());
    client.SendNoMore();
  }
}

TEST_F(ConnectionTest, SaysContinueBeforeABody) {
  WorkerWorld::Client client(world_);
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.Received(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ab");
  ASSERT_EQ(asked_.size(), 1u);
}

TEST_F(ConnectionTest, TimesOut) {
  const struct {
    std::string bytes;
    std::chrono::milliseconds after;
    int status;
  } cases[] = {
      {"", 75s, 0},
      {"GET / HT", 10s, 408},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na", 30s, 408},
  };
  for (const auto& c : cases) {
    WorkerWorld::Client client(world_);
    if (!c.bytes.empty()) client.Send(c.bytes);
    world_.Pass(c.after - 1s);
    EXPECT_EQ(client.Received(), "") << c.bytes;
    EXPECT_FALSE(client.closed()) << c.bytes;
    world_.Pass(1s);
    EXPECT_EQ(client.Take().value_or(Answer{}).status, c.status) << c.bytes;
    EXPECT_TRUE(client.closed()) << c.bytes;
    world_.Pass(3s);  // lingering ends
  }
}

TEST_F(ConnectionTest, KeepsAClientThatReadsSlowlyAndClosesOneThatDoesNotRead) {
  WorkerWorld::Client client(world_);
  client.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  world_.Pass(3600s);  // the answer may take its time
  AnswerNext(std::string(10'000'000, 'x'));
  world_.Pass(29s);
  char some[100'000];
  ASSERT_GT(::recv(client.fd(), some, sizeof some, 0), 0);
  world_.Ready(client.server_fd(), {.writable = true});
  world_.Pass(29s);
  EXPECT_TRUE(world_.worker().Has(client.server_fd()));
  world_.Pass(2s);
  EXPECT_FALSE(world_.worker().Has(client.server_fd()));
}

TEST_F(ConnectionTest, RefusesMoreThanTheLimit) {
  WorkerWorld::Client a(world_);
  WorkerWorld::Client b(world_);
  WorkerWorld::Client c(world_);
  WorkerWorld::Client d(world_);
  EXPECT_TRUE(d.closed());
  EXPECT_FALSE(a.closed());
  ::close(d.server_fd());
  c.SendNoMore();
  WorkerWorld::Client e(world_);
  EXPECT_FALSE(e.closed());
}

TEST_F(ConnectionTest, ServesNewClientsForAWhileWhenDraining) {
  world_.worker().StartDrain();
  {
    WorkerWorld::Client early(world_);
    early.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    AnswerNext("last");
    EXPECT_EQ(early.Take().value_or(Answer{}).body, "last");
    early.SendNoMore();
  }
  world_.Pass(1s);
  WorkerWorld::Client late(world_);
  EXPECT_TRUE(late.closed());
  EXPECT_FALSE(world_.worker().Has(late.server_fd()));
  ::close(late.server_fd());
}

TEST_F(ConnectionTest, DrainsByAnsweringAndClosing) {
  WorkerWorld::Client idle(world_);
  WorkerWorld::Client busy(world_);
  busy.Send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  world_.worker().StartDrain();
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(busy.closed());
  AnswerNext("last");
  const Answer answer = busy.Take().value_or(Answer{});
  EXPECT_EQ(answer.body, "last");
  EXPECT_EQ(answer.Header("Connection"), "close");
  EXPECT_TRUE(busy.closed());
}

}  // namespace
}  // namespace sesior::rest
