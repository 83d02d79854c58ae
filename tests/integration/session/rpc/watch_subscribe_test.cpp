// WatchSessions and Subscribe with clients that do not keep up.
#include "rpc_world.hpp"

namespace sesior::session {
namespace {

using broadcast::v1::SubscribeRequest;
using broadcast::v1::SubscribeResponse;
using session::v1::WatchSessionsRequest;
using session::v1::WatchSessionsResponse;

class WatchStream : public ::testing::Test {
 protected:
  ~WatchStream() override { context_.TryCancel(); }

  WatchSessionsRequest AddOf(std::uint64_t watch_id, const std::string& session) {
    WatchSessionsRequest request;
    request.add_add()->set_watch_id(watch_id);
    request.mutable_add(0)->mutable_session()->set_session_id(session);
    return request;
  }
  WatchSessionsResponse::Event Next() {
    while (events_.empty()) {
      WatchSessionsResponse response;
      if (!stream_->Read(&response)) {
        ADD_FAILURE() << "the stream has ended: " << stream_->Finish().error_message();
        return {};
      }
      for (auto& event : *response.mutable_events()) events_.push_back(std::move(event));
    }
    WatchSessionsResponse::Event event = std::move(events_.front());
    events_.erase(events_.begin());
    return event;
  }

  testing::RpcWorld world_;
  std::unique_ptr<session::v1::SessionService::Stub> stub_ = session::v1::SessionService::NewStub(world_.channel);
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<WatchSessionsRequest, WatchSessionsResponse>> stream_ =
      stub_->WatchSessions(&context_);
  std::vector<WatchSessionsResponse::Event> events_;
};

TEST_F(WatchStream, KeepsOnlyTheNewestStateForAClientThatDoesNotRead) {
  const std::string session = world_.Create();
  stream_->Write(AddOf(1, session));
  EXPECT_EQ(Next().kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
  // 24 MB of states: far above what lies in the sockets.
  const std::string filler(60'000, 'x');
  for (int i = 1; i <= 400; ++i) world_.Change(session, "{\"n\":" + std::to_string(i) + ",\"f\":\"" + filler + "\"}");
  int read = 0;
  for (;; ++read) {
    const WatchSessionsResponse::Event event = Next();
    ASSERT_EQ(event.kind(), session::v1::WATCH_EVENT_KIND_UPDATED);
    if (event.session().data_json().find("\"n\":400,") != std::string::npos) break;
  }
  EXPECT_LT(read, 350);
}

TEST_F(WatchStream, CountsOnlyWatchesThatLiveAgainstTheLimit) {
  constexpr int kBatches = 21;
  constexpr int kAdds = 10'000;
  // More than 200,000 over the life of the stream; each is refused, so none is left.
  for (int batch = 0; batch < kBatches; ++batch) {
    WatchSessionsRequest request;
    for (int i = 0; i < kAdds; ++i) {
      WatchSessionsRequest::Add& add = *request.add_add();
      add.set_watch_id(static_cast<std::uint64_t>(batch * kAdds + i + 1));
      add.mutable_session()->set_cookie_header("connect.sid=nonsense");
    }
    ASSERT_TRUE(stream_->Write(request));
    for (int i = 0; i < kAdds; ++i) ASSERT_EQ(Next().kind(), session::v1::WATCH_EVENT_KIND_REFUSED);
  }
}

TEST_F(WatchStream, AllowsToRemoveWhatIsNotWatched) {
  WatchSessionsRequest request;
  request.add_remove(4711);
  stream_->Write(request);
  stream_->Write(AddOf(1, world_.Create()));
  EXPECT_EQ(Next().kind(), session::v1::WATCH_EVENT_KIND_CURRENT);
}

TEST_F(WatchStream, ForgetsItsWatchesWhenTheClientIsGone) {
  stream_->Write(AddOf(1, world_.Create()));
  Next();
  context_.TryCancel();
  EXPECT_TRUE(world_.WaitUntil([this] {
    std::size_t watched = 1;
    world_.OnCore([&] { watched = world_.watches.watched_sessions(); });
    return watched == 0;
  }));
}

class Subscriber {
 public:
  explicit Subscriber(testing::RpcWorld& world)
      : stub_(broadcast::v1::BroadcastService::NewStub(world.channel)), stream_(stub_->Subscribe(&context_)) {
    SubscribeRequest request;
    request.set_replica_id("r1");
    request.add_add()->set_namespace_("/");
    stream_->Write(request);
    SubscribeResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    EXPECT_EQ(response.started_size(), 1);
  }
  ~Subscriber() { context_.TryCancel(); }
  // The number of the newest delivery, read until `offset` has come or the stream ends.
  std::uint64_t ReadTo(std::uint64_t offset) {
    SubscribeResponse response;
    while (newest_ < offset && stream_->Read(&response)) {
      for (const auto& delivery : response.deliveries()) {
        EXPECT_EQ(delivery.offset(), newest_ + 1);
        newest_ = delivery.offset();
      }
      EXPECT_EQ(response.gaps_size(), 0);
    }
    return newest_;
  }
  grpc::Status Finish() {
    context_.TryCancel();
    return stream_->Finish();
  }
  grpc::Status DrainAndFinish() {
    SubscribeResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }

 private:
  std::unique_ptr<broadcast::v1::BroadcastService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<SubscribeRequest, SubscribeResponse>> stream_;
  std::uint64_t newest_ = 0;
};

class SubscribeStream : public ::testing::Test {
 protected:
  void Send(int count, std::size_t bytes) {
    broadcast::v1::Broadcast broadcast;
    broadcast.set_namespace_("/");
    broadcast.mutable_packet()->set_args_json("[\"" + std::string(bytes, 'x') + "\"]");
    const std::string payload = broadcast.SerializeAsString();
    for (int i = 0; i < count; ++i) {
      world_.OnCore(
          [&] { world_.bus.Send(BroadcastChannel("/"), "memory " + std::to_string(++sent_) + "\n" + payload); });
    }
  }

  testing::RpcWorld world_;
  std::uint64_t sent_ = 0;
};

TEST_F(SubscribeStream, DeliversInOrderToAll) {
  Subscriber first(world_);
  Subscriber second(world_);
  Send(200, 100);
  EXPECT_EQ(first.ReadTo(200), 200U);
  EXPECT_EQ(second.ReadTo(200), 200U);
}

TEST_F(SubscribeStream, EndsASubscriberThatDoesNotKeepUpAndNobodyElse) {
  Subscriber slow(world_);
  Subscriber good(world_);
  for (int i = 0; i < 60; ++i) {
    Send(10, 60'000);  // 36 MB in all
    EXPECT_EQ(good.ReadTo(sent_), sent_);
  }
  const grpc::Status status = slow.DrainAndFinish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_EQ(world_.metrics.slow_subscribers.Value(), 1);
  Send(1, 100);
  EXPECT_EQ(good.ReadTo(sent_), sent_);
}

TEST_F(SubscribeStream, LetsGoOfASubscriberThatNeverReads) {
  Subscriber stalled(world_);
  Send(600, 60'000);
  // The status cannot pass the write that hangs: after a grace the stream is cancelled.
  EXPECT_TRUE(world_.WaitUntil([this] { return world_.metrics.subscribe_streams.Value() == 0; }));
}

TEST_F(SubscribeStream, KeepsEveryMessageWellBelowWhatAClientTakes) {
  Subscriber late(world_);
  // 7 MB wait; the channel has gRPC's default limit of 4 MiB a message.
  Send(116, 60'000);
  EXPECT_EQ(late.ReadTo(sent_), sent_);
}

TEST_F(SubscribeStream, NamesWhatIsWrongWithARequest) {
  const auto status_of = [this](const std::string& name_space, const std::string& room) {
    const auto stub = broadcast::v1::BroadcastService::NewStub(world_.channel);
    grpc::ClientContext context;
    const auto stream = stub->Subscribe(&context);
    SubscribeRequest request;
    request.add_add()->set_namespace_(name_space);
    request.mutable_add(0)->set_room(room);
    stream->Write(request);
    SubscribeResponse response;
    EXPECT_FALSE(stream->Read(&response));
    return stream->Finish().error_code();
  };
  EXPECT_EQ(status_of("nonsense", ""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_of("/", "room"), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace sesior::session
