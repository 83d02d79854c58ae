#include <deque>
#include <optional>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/session_client/client_test.hpp"

namespace sesior::session_client {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using Event = session::v1::WatchSessionsResponse::Event;
using Kind = WatchEvent::Kind;

session::v1::SessionRef ById(const std::string& id) {
  session::v1::SessionRef ref;
  ref.set_session_id(id);
  return ref;
}

session::v1::SessionRef ByCookie(const std::string& cookie) {
  session::v1::SessionRef ref;
  ref.set_cookie_header(cookie);
  return ref;
}

Event MakeEvent(std::uint64_t id, session::v1::WatchEventKind kind, std::uint64_t revision = 0) {
  Event event;
  event.set_watch_id(id);
  event.set_kind(kind);
  if (revision > 0) event.mutable_session()->set_revision(revision);
  return event;
}

// Keeps what a watch tells.
class Events {
 public:
  OnWatchEvent handler() {
    return [this](absl::StatusOr<WatchEvent> event) {
      absl::MutexLock lock(&mutex_);
      waiting_.push_back(std::move(event));
    };
  }
  absl::StatusOr<WatchEvent> Next() {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(this, &Events::has_one), absl::Seconds(10))) {
      return absl::InternalError("no event came");
    }
    absl::StatusOr<WatchEvent> event = std::move(waiting_.front());
    waiting_.pop_front();
    return event;
  }
  bool empty() {
    absl::MutexLock lock(&mutex_);
    return waiting_.empty();
  }

 private:
  bool has_one() const { return !waiting_.empty(); }

  absl::Mutex mutex_;
  std::deque<absl::StatusOr<WatchEvent>> waiting_;
};

// The next event, which must be of that kind.
WatchEvent Expect(Events& events, Kind kind) {
  const absl::StatusOr<WatchEvent> event = events.Next();
  EXPECT_TRUE(event.ok()) << event.status();
  if (!event.ok()) return {};
  EXPECT_EQ(static_cast<int>(event->kind), static_cast<int>(kind));
  return *event;
}

TEST(SessionClientWatch, TellsTheSessionThenItsChangesThenItsEnd) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  Events events;
  const auto watch = client->Watch(ByCookie("c"), seconds(5), events.handler());
  const WatchEvent current = Expect(events, Kind::kCurrent);
  ASSERT_NE(current.session, nullptr);
  EXPECT_EQ(current.session->session_id(), "of:c");
  const std::uint64_t id = server.watch_adds.at(0).watch_id();
  server.Push(MakeEvent(id, session::v1::WATCH_EVENT_KIND_UPDATED, 5));
  EXPECT_EQ(Expect(events, Kind::kUpdated).session->revision(), 5u);
  server.Push(MakeEvent(id, session::v1::WATCH_EVENT_KIND_UPDATED, 4));  // no holder goes back
  server.Push(MakeEvent(id, session::v1::WATCH_EVENT_KIND_TOUCHED, 6));
  EXPECT_EQ(Expect(events, Kind::kTouched).session->revision(), 6u);
  Event ended = MakeEvent(id, session::v1::WATCH_EVENT_KIND_ENDED);
  ended.set_reason(session::v1::END_REASON_LOGOUT);
  server.Push(ended);
  EXPECT_EQ(Expect(events, Kind::kEnded).reason, session::v1::END_REASON_LOGOUT);
}

TEST(SessionClientWatch, TellsWhyACookieIsRefused) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] {
    server.on_watch = [](const auto&) {
      Event event = MakeEvent(0, session::v1::WATCH_EVENT_KIND_REFUSED);
      event.set_verdict(session::v1::COOKIE_VERDICT_FORGED);
      return event;
    };
  });
  Events events;
  const auto watch = client->Watch(ByCookie("c"), seconds(5), events.handler());
  EXPECT_EQ(Expect(events, Kind::kRefused).verdict, session::v1::COOKIE_VERDICT_FORGED);
}

TEST(SessionClientWatch, FailsWhenTheFirstAnswerIsLate) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  server.With([&] { server.on_watch = [](const auto&) { return std::nullopt; }; });
  Events events;
  const auto watch = client->Watch(ById("a"), milliseconds(50), events.handler());
  EXPECT_EQ(events.Next().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(server.WaitFor([&] { return server.watch_removes.size() == 1; }));
  server.Push(MakeEvent(server.watch_adds.at(0).watch_id(), session::v1::WATCH_EVENT_KIND_UPDATED, 5));
  EXPECT_TRUE(Get(*client, "a").Get().ok());
  EXPECT_TRUE(events.empty());
}

TEST(SessionClientWatch, IsUnavailableWhenNoReplicaComesInTime) {
  std::string nowhere;
  {
    FakeSessionServer server;
    nowhere = server.address();
  }
  const auto client = MakeSessionClient({.addresses = {nowhere}});
  Events events;
  const auto watch = client->Watch(ById("a"), milliseconds(50), events.handler());
  const absl::Status status = events.Next().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(DetailsOf(status).retry_after.has_value());
}

TEST(SessionClientWatch, WaitsForAReplicaWithinItsTime) {
  FakeSessionServer server;
  const auto client = MakeSessionClient({.addresses = {server.address()}});
  Events events;
  const auto watch = client->Watch(ById("a"), seconds(10), events.handler());  // before the stream stands
  Expect(events, Kind::kCurrent);
}

TEST(SessionClientWatch, EndsAtTheServerWithItsRegistration) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  Events events;
  auto watch = client->Watch(ById("a"), seconds(5), events.handler());
  Expect(events, Kind::kCurrent);
  watch.reset();
  ASSERT_TRUE(server.WaitFor([&] { return server.watch_removes.size() == 1; }));
  EXPECT_THAT(server.watch_removes, ElementsAre(server.watch_adds.at(0).watch_id()));
}

TEST(SessionClientWatch, MovesToAnotherReplicaWithWhatItKnows) {
  FakeSessionServer servers[2];
  const auto client = Connect({&servers[0], &servers[1]});
  Events events;
  const auto watch = client->Watch(ByCookie("c"), seconds(5), events.handler());
  Expect(events, Kind::kCurrent);
  FakeSessionServer& first = servers[0].watch_adds.empty() ? servers[1] : servers[0];
  FakeSessionServer& second = servers[0].watch_adds.empty() ? servers[0] : servers[1];
  const std::uint64_t id = first.watch_adds.at(0).watch_id();
  first.Push(MakeEvent(id, session::v1::WATCH_EVENT_KIND_UPDATED, 7));
  Expect(events, Kind::kUpdated);
  // Nothing has changed meanwhile: CURRENT without the session, and the handler hears nothing.
  second.With(
      [&] { second.on_watch = [](const auto&) { return MakeEvent(0, session::v1::WATCH_EVENT_KIND_CURRENT); }; });
  first.Kill();
  ASSERT_TRUE(second.WaitFor([&] { return second.watch_adds.size() == 1; }));
  second.With([&] {
    EXPECT_EQ(second.watch_adds[0].known_revision(), 7u);
    EXPECT_FALSE(second.watch_adds[0].session().has_cookie_header());
  });
  second.Push(MakeEvent(second.watch_adds[0].watch_id(), session::v1::WATCH_EVENT_KIND_UPDATED, 8));
  EXPECT_EQ(Expect(events, Kind::kUpdated).session->revision(), 8u);
}

TEST(SessionClientWatch, TellsWhatChangedWhileItMoved) {
  FakeSessionServer servers[2];
  const auto client = Connect({&servers[0], &servers[1]});
  std::deque<Events> events(40);
  std::vector<std::unique_ptr<Registration>> watches;
  for (std::size_t i = 0; i < events.size(); ++i) {
    watches.push_back(client->Watch(ById("s" + std::to_string(i)), seconds(5), events[i].handler()));
  }
  for (Events& each : events) Expect(each, Kind::kCurrent);
  std::size_t on_first = 0;
  servers[0].With([&] { on_first = servers[0].watch_adds.size(); });
  ASSERT_GT(on_first, 0u);
  ASSERT_LT(on_first, events.size());
  // Of those that move, one has ended, the others have gone on.
  const std::string ended = servers[0].watch_adds.at(0).session().session_id();
  servers[1].With([&] {
    servers[1].on_watch = [&](const auto& add) {
      return add.session().session_id() == ended ? MakeEvent(0, session::v1::WATCH_EVENT_KIND_REFUSED)
                                                 : MakeEvent(0, session::v1::WATCH_EVENT_KIND_CURRENT, 9);
    };
  });
  servers[0].Kill();
  for (std::size_t i = 0; i < on_first; ++i) {
    const std::string id = servers[0].watch_adds.at(i).session().session_id();
    Events& each = events[std::stoul(id.substr(1))];
    Expect(each, id == ended ? Kind::kEnded : Kind::kCurrent);
  }
}

TEST(SessionClientWatch, MovesToANewStreamBeforeTheOldOneEnds) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  Events events;
  const auto watch = client->Watch(ById("a"), seconds(5), events.handler());
  Expect(events, Kind::kCurrent);
  server.WatchGoAway();
  ASSERT_TRUE(server.WaitFor([&] { return server.watch_adds.size() == 2 && server.watch_streams == 2; }));
  Expect(events, Kind::kCurrent);  // this server repeats what is known
  server.Push(MakeEvent(server.watch_adds.at(1).watch_id(), session::v1::WATCH_EVENT_KIND_UPDATED, 2));
  Expect(events, Kind::kUpdated);
}

TEST(SessionClientWatch, IsTakenUpAgainWhenOnlyItsStreamFails) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  Events events;
  const auto watch = client->Watch(ById("a"), seconds(5), events.handler());
  Expect(events, Kind::kCurrent);
  for (std::size_t round = 2; round < 6; ++round) {
    server.FailWatches(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "slow"));
    ASSERT_TRUE(server.WaitFor([&] { return server.watch_adds.size() == round; }));
    Expect(events, Kind::kCurrent);
  }
  server.With([&] { EXPECT_EQ(server.watch_adds.back().known_revision(), 1u); });
}

TEST(SessionClientWatch, MayBeEndedFromItsOwnHandler) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  std::unique_ptr<Registration> watch;
  absl::Mutex mutex;
  absl::Notification told;
  int calls = 0;
  {
    absl::MutexLock lock(&mutex);
    watch = client->Watch(ById("a"), seconds(5), [&](absl::StatusOr<WatchEvent>) {
      absl::MutexLock handler_lock(&mutex);
      ++calls;
      watch.reset();
      told.Notify();
    });
  }
  told.WaitForNotification();
  ASSERT_TRUE(server.WaitFor([&] { return server.watch_removes.size() == 1; }));
  server.Push(MakeEvent(server.watch_adds.at(0).watch_id(), session::v1::WATCH_EVENT_KIND_UPDATED, 5));
  EXPECT_TRUE(Get(*client, "a").Get().ok());
  EXPECT_EQ(calls, 1);
}

TEST(SessionClientWatch, ItsDestructorWaitsForARunningHandler) {
  FakeSessionServer server;
  const auto client = Connect({&server});
  absl::Notification running;
  absl::Notification go_on;
  std::atomic<int> finished{0};
  auto watch = client->Watch(ById("a"), seconds(5), [&](absl::StatusOr<WatchEvent>) {
    if (!running.HasBeenNotified()) running.Notify();
    go_on.WaitForNotification();
    ++finished;
  });
  running.WaitForNotification();
  server.Push(MakeEvent(server.watch_adds.at(0).watch_id(), session::v1::WATCH_EVENT_KIND_UPDATED, 5));
  std::thread helper([&] { go_on.Notify(); });
  watch.reset();
  const int calls = finished;  // the second event may have come before the end
  EXPECT_GE(calls, 1);
  helper.join();
  EXPECT_TRUE(Get(*client, "a").Get().ok());
  EXPECT_EQ(finished, calls);
}

TEST(SessionClientWatch, ManyComeAndGoWhileReplicasAreKilled) {
  auto first = std::make_unique<FakeSessionServer>();
  auto second = std::make_unique<FakeSessionServer>();
  auto client = Connect({first.get(), second.get()});
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::thread churn([&] {
    for (int i = 0; !stop; ++i) {
      std::deque<Events> events(20);
      std::vector<std::unique_ptr<Registration>> watches;
      for (std::size_t k = 0; k < events.size(); ++k) {
        watches.push_back(
            client->Watch(ById(std::to_string(i) + "-" + std::to_string(k)), seconds(10), events[k].handler()));
      }
      for (std::size_t k = 0; k < events.size(); k += 2) {
        Expect(events[k], Kind::kCurrent);
        ++answered;
      }
    }
  });
  for (int round = 0; round < 3; ++round) {
    for (auto* server : {&first, &second}) {
      const int before = answered;
      EXPECT_TRUE(Eventually([&] { return answered > before + 50; }));
      const int port = (*server)->port();
      server->reset();
      *server = std::make_unique<FakeSessionServer>(port);
      EXPECT_TRUE((*server)->WaitFor([&] { return !(*server)->watch_adds.empty(); }));
    }
  }
  stop = true;
  churn.join();
  const auto begin = steady_clock::now();
  client.reset();
  EXPECT_LT(steady_clock::now() - begin, seconds(2));
}

}  // namespace
}  // namespace sesior::session_client
