#include <utility>

#include "tests/support/fake_change_feed.hpp"
#include "tests/support/in_memory_recovery_store.hpp"
#include "tests/support/in_memory_session_store.hpp"
#include "tests/support/manual_executor.hpp"
#include "tests/support/recovery_world.hpp"
#include "tests/support/session_world.hpp"

namespace sesior::testing {

namespace {

class InMemoryWorld final : public SessionWorld {
 public:
  explicit InMemoryWorld(session::SessionOptions options)
      : executor_(clock_),
        store_(executor_, clock_),
        service_(store_, executor_, clock_, options, &feed_),
        other_(store_, executor_, clock_, options, &other_feed_) {}

  session::SessionService& service() override { return service_; }
  session::SessionService& other_service() override { return other_; }
  session::SessionStore& store() override { return store_; }
  void RunUntil(const std::function<bool()>& condition) override {
    for (int idle = 0; !condition() && idle < 10'000;) {
      if (executor_.RunOne()) continue;
      ++idle;
      clock_.Advance(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(condition());
  }
  void ForeignSet(const std::string& sid, const std::string& record, std::int64_t ttl_ms) override {
    store_.ForeignSet(SessionId(sid), {record, ttl_ms < 0 ? -1 : clock_.WallMillis() + ttl_ms});
  }
  std::optional<std::string> ForeignGet(const std::string& sid) override {
    const auto found = store_.records.find(sid);
    return found == store_.records.end() ? std::nullopt : std::optional(found->second.text);
  }
  std::int64_t ForeignTtl(const std::string& sid) override {
    const auto found = store_.records.find(sid);
    if (found == store_.records.end()) return -2;
    return found->second.expires_ms < 0 ? -1 : found->second.expires_ms - clock_.WallMillis();
  }
  std::vector<std::string> Published() override { return store_.published; }

 private:
  FakeClock clock_;
  ManualExecutor executor_;
  InMemorySessionStore store_;
  FakeChangeFeed feed_{store_, executor_, clock_};
  FakeChangeFeed other_feed_{store_, executor_, clock_};
  session::SessionService service_;
  session::SessionService other_;
};

class InMemoryRecoveryWorld final : public RecoveryWorld {
 public:
  explicit InMemoryRecoveryWorld(std::chrono::milliseconds recent)
      : executor_(clock_), store_(executor_, clock_, recent) {}
  session::RecoveryStore& store() override { return store_; }
  std::vector<session::TakenSocket> KeepLease(const std::string& replica) override { return store_.KeepLease(replica); }
  void EndLease(const std::string& replica) override { store_.EndLease(replica); }
  std::int64_t TtlOf(const std::string& private_id) override { return store_.TtlOf(private_id); }
  void RunUntil(const std::function<bool()>& condition) override {
    executor_.RunTasks();
    EXPECT_TRUE(condition());
  }

 private:
  FakeClock clock_;
  ManualExecutor executor_;
  InMemoryRecoveryStore store_;
};

}  // namespace

std::unique_ptr<RecoveryWorld> MakeRecoveryWorld(std::chrono::milliseconds recent) {
  return std::make_unique<InMemoryRecoveryWorld>(recent);
}

std::unique_ptr<SessionWorld> MakeSessionWorld(session::SessionOptions options) {
  return std::make_unique<InMemoryWorld>(std::move(options));
}

}  // namespace sesior::testing
