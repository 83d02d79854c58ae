// A Redis that is there but will not do it now: full, unable to save, short of replicas, loading, a replica after a
// failover. Every write answers UNAVAILABLE with a wait, nothing is half written, and it goes on when Redis does.
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "tests/integration/session/replica.hpp"
#include "tests/integration/session/stub_call.hpp"
#include "tests/support/redis_server.hpp"

namespace sesior::testing {
namespace {

namespace v1 = session::v1;
using ::testing::HasSubstr;

class RedisStates : public ::testing::Test {
 protected:
  explicit RedisStates(std::vector<std::string> arguments = {}) : redis_(false, std::move(arguments)) {
    v1::CreateSessionRequest request;
    request.set_data_json(R"({"cart":[1]})");
    AddClaim("ann", request);
    const auto created = CallStub(*stub_, &SessionStub::CreateSession, request);
    EXPECT_TRUE(created.ok()) << created.status();
    id_ = created->session().session_id();
  }

  template <typename Request>
  static void AddClaim(const std::string& value, Request& request) {
    v1::Claim& claim = *request.add_claims();
    claim.set_namespace_("userName");
    claim.set_value(value);
    claim.set_member("userName");
  }
  static void Announce(v1::Announcement& announcement) {
    announcement.mutable_broadcast()->set_namespace_("/");
    announcement.mutable_broadcast()->mutable_packet()->set_args_json(R"(["told"])");
  }

  absl::Status Rename(const std::string& name) {
    v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(id_);
    request.set_merge_patch_json(R"({"cart":[2]})");
    AddClaim(name, request);
    Announce(*request.mutable_announcement());
    request.set_request_id("rename-" + name);
    return CallStub(*stub_, &SessionStub::UpdateSession, request).status();
  }
  absl::Status Create() {
    v1::CreateSessionRequest request;
    AddClaim("eve", request);
    Announce(*request.mutable_announcement());
    return CallStub(*stub_, &SessionStub::CreateSession, request).status();
  }
  absl::Status Regenerate() {
    v1::RegenerateSessionRequest request;
    request.mutable_session()->set_session_id(id_);
    request.set_keep_data(true);
    request.set_reason(v1::END_REASON_LOGIN);
    AddClaim("zoe", request);
    Announce(*request.mutable_announcement());
    return CallStub(*stub_, &SessionStub::RegenerateSession, request).status();
  }
  absl::Status Destroy() {
    v1::DestroySessionRequest request;
    request.mutable_session()->set_session_id(id_);
    return CallStub(*stub_, &SessionStub::DestroySession, request).status();
  }
  absl::Status Get() {
    v1::GetSessionRequest request;
    request.mutable_session()->set_session_id(id_);
    return CallStub(*stub_, &SessionStub::GetSession, request).status();
  }

  static void ExpectUnavailable(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_EQ(ReasonOf(status), "REDIS_UNAVAILABLE");
    EXPECT_GT(DetailsOf(status).retry_after.value_or(std::chrono::milliseconds(0)), std::chrono::milliseconds(0));
  }
  void ExpectNoWrite() {
    for (const auto& write :
         std::vector<std::function<absl::Status()>>{[this] { return Rename("bob"); }, [this] { return Create(); },
                                                    [this] { return Regenerate(); }, [this] { return Destroy(); }}) {
      ExpectUnavailable(write());
    }
  }

  // All that belongs to sessions, byte for byte.
  std::map<std::string, std::string> Contents() {
    std::map<std::string, std::string> contents;
    const std::string list = redis_.Command({"KEYS", "*"});
    for (const absl::string_view key : absl::StrSplit(list, '\n', absl::SkipEmpty())) {
      const std::string name(key);
      for (const char* kind : {"sess:", "sesior:meta:", "sesior:tomb:", "sesior:claim:", "sesior:seq:", "sesior:hist:",
                               "sesior:marks:", "sesior:on:"}) {
        if (name.starts_with(kind)) contents[name] = redis_.Command({"DUMP", name});
      }
    }
    return contents;
  }

  // Writes fail between `enter` and `leave`, and all is as it was.
  void Endure(const std::function<void()>& enter, const std::function<void()>& leave) {
    const std::map<std::string, std::string> before = Contents();
    EXPECT_EQ(before.size(), 3U) << "record, sidecar, claim";
    enter();
    ExpectNoWrite();
    leave();
    EXPECT_EQ(Contents(), before);
    ASSERT_TRUE(WaitFor([this] { return Rename("bob").ok(); }));
    v1::GetSessionRequest request;
    request.mutable_session()->set_session_id(id_);
    EXPECT_EQ(CallStub(*stub_, &SessionStub::GetSession, request)->session().data_json(),
              R"({"cart":[2],"userName":"bob"})");
  }

  RedisServer redis_;
  Replica replica_{redis_.url()};
  std::unique_ptr<SessionStub> stub_ = StubFor(replica_.address());
  std::string id_;
};

TEST_F(RedisStates, Full) {
  redis_.Command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  Endure(
      [this] {
        redis_.Command({"CONFIG", "SET", "maxmemory", "1"});
        EXPECT_TRUE(Get().ok()) << "reading goes on";
      },
      [this] {
        redis_.Command({"CONFIG", "SET", "maxmemory", "0"});
      });
}

TEST_F(RedisStates, ShortOfReplicas) {
  Endure(
      [this] {
        redis_.Command({"CONFIG", "SET", "min-replicas-to-write", "1"});
      },
      [this] {
        redis_.Command({"CONFIG", "SET", "min-replicas-to-write", "0"});
      });
}

TEST_F(RedisStates, AReplicaAfterAFailover) {
  Endure(
      [this] {
        redis_.Command({"REPLICAOF", "127.0.0.1", "1"});  // points nowhere: enough to make it read-only
        ExpectUnavailable(Rename("bob"));
        ASSERT_TRUE(WaitFor([this] { return !replica_.serving(); })) << "it is no primary: asked again where that is";
        ExpectUnavailable(Get());
      },
      [this] {
        redis_.Command({"REPLICAOF", "NO", "ONE"});
      });
}

class RedisThatSaves : public RedisStates {
 protected:
  RedisThatSaves() : RedisStates({"--save", "3600 100000"}) {}
  bool SaveEndsWith(const std::string& status) {
    redis_.Command({"BGSAVE"});
    return WaitFor([&] {
      const std::string info = redis_.Command({"INFO", "persistence"});
      return info.find("rdb_bgsave_in_progress:0") != std::string::npos &&
             info.find("rdb_last_bgsave_status:" + status) != std::string::npos;
    });
  }
};

TEST_F(RedisThatSaves, StopsWritesWhenItCannot) {
  const std::filesystem::path dump = std::filesystem::path(redis_.socket_path()).parent_path() / "dump.rdb";
  Endure(
      [&] {
        std::filesystem::create_directories(dump / "in-the-way");
        ASSERT_TRUE(SaveEndsWith("err"));
        EXPECT_THAT(redis_.Command({"SET", "x", "y"}), HasSubstr("MISCONF"));
        EXPECT_TRUE(Get().ok()) << "reading goes on";
      },
      [&] {
        std::filesystem::remove_all(dump);
        ASSERT_TRUE(SaveEndsWith("ok"));
      });
}

class RedisThatLoadsSlowly : public RedisStates {
 protected:
  RedisThatLoadsSlowly()
      : RedisStates({"--enable-debug-command", "yes", "--key-load-delay", "500",
                     "--loading-process-events-interval-bytes", "1024"}) {}
};

TEST_F(RedisThatLoadsSlowly, IsWaitedFor) {
  redis_.Command({"EVAL", "for i = 1, 6000 do redis.call('SET', 'filler:' .. i, string.rep('x', 100)) end", "0"});
  std::thread reload;
  Endure(
      [&] {
        reload = std::thread([this] { EXPECT_EQ(redis_.Command({"DEBUG", "RELOAD"}), "OK"); });
        ASSERT_TRUE(WaitFor([this] { return redis_.Command({"GET", "x"}).find("LOADING") == 0; }));
        ExpectUnavailable(Get());
      },
      [&] {
        EXPECT_THAT(redis_.Command({"GET", "x"}), HasSubstr("LOADING")) << "it was loading all the while";
        reload.join();
      });
}

}  // namespace
}  // namespace sesior::testing
