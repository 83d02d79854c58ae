// The gRPC side of the session service in this process: a real server on a unix socket, real stubs, a core thread that
// a test can hold still, and a store in memory. No Redis, no network.
#pragma once

#include <grpcpp/grpcpp.h>
#include <stdlib.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "services/session/redis/asio_executor.hpp"
#include "services/session/rpc/rpc_server.hpp"
#include "tests/support/fake_event_bus.hpp"
#include "tests/support/in_memory_recovery_store.hpp"
#include "tests/support/in_memory_session_store.hpp"

namespace sesior::testing {

// Answers that Redis is away: presence is tested with a real one, in tests/integration/session.
class NoPresence final : public session::PresenceStore {
 public:
  void KeepLease(session::LeaseRequest, Done<session::LeaseState> done) override {
    std::move(done)(session::LeaseState{});
  }
  void ReleaseLease(std::string, Done<void> done) override { std::move(done)(Away()); }
  void Enter(session::EnterRequest, Done<bool> done) override { std::move(done)(Away()); }
  void Leave(std::string, std::string, SessionId, Done<bool> done) override { std::move(done)(Away()); }
  void ListByKey(std::string, std::string, int, Done<session::OnlineList> done) override { std::move(done)(Away()); }
  void ListNewest(std::string, int, Done<session::OnlineList> done) override { std::move(done)(Away()); }
  void CountOnline(std::string, Done<std::int64_t> done) override { std::move(done)(Away()); }
  void Sweep(std::chrono::milliseconds, Done<session::SweepResult> done) override { std::move(done)(Away()); }

 private:
  static absl::Status Away() { return absl::UnavailableError("no presence here"); }
};

class RpcWorld {
 public:
  RpcWorld() {
    EXPECT_TRUE(server.Start().ok());
    channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    EXPECT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20)));
  }
  ~RpcWorld() {
    server.Stop();
    // What streams posted when they ended still refers to the hubs.
    OnCore([] {});
    io_.stop();
    thread_.join();
    unlink((folder_ + "/s").c_str());
    rmdir(folder_.c_str());
  }

  // Runs `work` on the core thread and waits for it.
  void OnCore(std::function<void()> work) {
    absl::Notification done;
    executor.Post([&] {
      work();
      done.Notify();
    });
    done.WaitForNotification();
  }

  // The core does nothing while this lives.
  class Held {
   public:
    explicit Held(RpcWorld& world) {
      auto released = released_;
      auto held = std::make_shared<absl::Notification>();
      world.executor.Post([released, held] {
        held->Notify();
        released->WaitForNotification();
      });
      held->WaitForNotification();
    }
    ~Held() { released_->Notify(); }

   private:
    std::shared_ptr<absl::Notification> released_ = std::make_shared<absl::Notification>();
  };

  bool WaitUntil(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  std::size_t CountRecords() {
    std::size_t count = 0;
    OnCore([&] { count = store.records.size(); });
    return count;
  }
  // A session, told to watchers.
  std::string Create() {
    std::string id;
    absl::Notification done;
    executor.Post([&] {
      sessions.Create({}, [&](absl::StatusOr<session::SessionResult> result) {
        id = result->session.id.text();
        done.Notify();
      });
    });
    done.WaitForNotification();
    return id;
  }
  void Change(const std::string& id, const std::string& patch) {
    absl::Notification done;
    executor.Post([&] {
      session::UpdateRequest update;
      update.session.id = SessionId(id);
      update.merge_patch_json = patch;
      sessions.Update(std::move(update), [&](absl::StatusOr<session::SessionResult> result) {
        EXPECT_TRUE(result.ok()) << result.status();
        bus.Send(session::kChangeChannel, "up " + id + " 1");
        done.Notify();
      });
    });
    done.WaitForNotification();
  }

 private:
  static session::SessionOptions Options() {
    session::SessionOptions options;
    options.secrets = {"keyboard cat"};
    return options;
  }
  static std::string MakeFolder() {
    char name[] = "/tmp/sesior-rpc-XXXXXX";
    return mkdtemp(name);
  }

  const std::string folder_ = MakeFolder();
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};

 public:
  session::redis::AsioExecutor executor{io_};
  InMemorySessionStore store{executor, SystemClock()};  // on the core
  FakeEventBus bus{executor};                           // on the core
  NoPresence presence;
  telemetry::Registry registry;
  session::rpc::RpcMetrics metrics{registry};
  session::HintFeed feed{bus};
  session::SessionService sessions{store, executor, SystemClock(), Options(), &feed};
  InMemoryRecoveryStore recovery{executor, SystemClock()};
  session::rpc::Operations operations{sessions, store, presence, recovery, SystemClock()};
  session::rpc::WatchHub watches{sessions, executor, SystemClock()};
  session::rpc::BroadcastHub broadcasts{store, bus, executor, metrics};
  const std::string address = "unix:" + folder_ + "/s";
  session::rpc::RpcServer server{address, {operations, executor, metrics}, watches, broadcasts};
  std::shared_ptr<grpc::Channel> channel;

 private:
  std::thread thread_{[this] { io_.run(); }};
};

}  // namespace sesior::testing
