// The batched stream at its limits.
#include <algorithm>
#include <map>

#include "rpc_world.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_status/grpc_status.hpp"
#include "sesior/internal/v1/exchange.grpc.pb.h"

namespace sesior::session {
namespace {

using internal::v1::Call;
using internal::v1::ExchangeRequest;
using internal::v1::ExchangeResponse;
using internal::v1::Reply;

class ExchangeStream : public ::testing::Test {
 protected:
  ~ExchangeStream() override { context_.TryCancel(); }

  static Call& AddGet(ExchangeRequest& request, std::uint64_t id, std::uint32_t timeout_ms = 20'000) {
    Call& call = *request.add_calls();
    call.set_id(id);
    call.set_timeout_ms(timeout_ms);
    call.mutable_get_session()->mutable_session()->set_session_id("nobody");
    return call;
  }
  static Call& AddCreate(ExchangeRequest& request, std::uint64_t id, std::uint32_t timeout_ms = 20'000) {
    Call& call = *request.add_calls();
    call.set_id(id);
    call.set_timeout_ms(timeout_ms);
    call.mutable_create_session();
    return call;
  }
  // Reads until `count` replies are there or the stream ends.
  std::map<std::uint64_t, Reply> Replies(std::size_t count) {
    std::map<std::uint64_t, Reply> replies;
    ExchangeResponse response;
    while (replies.size() < count && stream_->Read(&response)) {
      ++messages_;
      go_away_ = go_away_ || response.go_away();
      for (const Reply& reply : response.replies()) EXPECT_TRUE(replies.emplace(reply.id(), reply).second);
    }
    return replies;
  }
  static absl::Status StatusOf(const Reply& reply) { return grpc_status::FromProto(reply.status()); }

  testing::RpcWorld world_;
  std::unique_ptr<internal::v1::ExchangeService::Stub> stub_ = internal::v1::ExchangeService::NewStub(world_.channel);
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<ExchangeRequest, ExchangeResponse>> stream_ = stub_->Exchange(&context_);
  int messages_ = 0;
  bool go_away_ = false;
};

TEST_F(ExchangeStream, SendsInitialMetadataBeforeAnyCall) {
  stream_->WaitForInitialMetadata();
  EXPECT_TRUE(world_.WaitUntil([this] { return world_.metrics.exchange_streams.Value() == 1; }));
}

TEST_F(ExchangeStream, AnswersABatchInFewMessages) {
  ExchangeRequest request;
  for (std::uint64_t id = 1; id <= 500; ++id) AddGet(request, id);
  stream_->Write(request);
  const auto replies = Replies(500);
  ASSERT_EQ(replies.size(), 500U);
  for (const auto& [id, reply] : replies) EXPECT_EQ(ReasonOf(StatusOf(reply)), "SESSION_NOT_FOUND");
  EXPECT_LT(messages_, 250);
}

TEST_F(ExchangeStream, RunsCallsOnOneSessionInTheOrderTheyArrive) {
  const std::string session = world_.Create();
  ExchangeRequest request;
  for (std::uint64_t id = 1; id <= 50; ++id) {
    Call& call = *request.add_calls();
    call.set_id(id);
    call.set_timeout_ms(20'000);
    call.mutable_update_session()->mutable_session()->set_session_id(session);
    call.mutable_update_session()->set_merge_patch_json("{\"n\":" + std::to_string(id) + "}");
  }
  stream_->Write(request);
  const auto replies = Replies(50);
  ASSERT_EQ(replies.size(), 50U);
  for (const auto& [id, reply] : replies) {
    EXPECT_EQ(reply.update_session().session().data_json(), "{\"n\":" + std::to_string(id) + "}");
  }
}

TEST_F(ExchangeStream, DropsCallsPastTheirDeadlineUnexecuted) {
  ExchangeRequest request;
  AddCreate(request, 1, 1);
  AddCreate(request, 2);
  {
    const testing::RpcWorld::Held held(world_);
    stream_->Write(request);
    ASSERT_TRUE(world_.WaitUntil([this] { return world_.metrics.calls_stream.Value() == 2; }));
    // The deadline lies behind by the time the core goes on.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto replies = Replies(2);
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_TRUE(absl::IsDeadlineExceeded(StatusOf(replies.at(1))));
  EXPECT_TRUE(replies.at(2).has_create_session());
  EXPECT_EQ(world_.CountRecords(), 1U);
}

TEST_F(ExchangeStream, DropsCancelledCallsUnexecutedAndUnanswered) {
  {
    const testing::RpcWorld::Held held(world_);
    ExchangeRequest first;
    AddCreate(first, 1);
    AddCreate(first, 2);
    stream_->Write(first);
    ExchangeRequest second;
    second.add_cancel(1);
    second.add_cancel(4711);  // not open: nothing happens
    AddCreate(second, 3);
    stream_->Write(second);
    ASSERT_TRUE(world_.WaitUntil([this] { return world_.metrics.calls_stream.Value() == 3; }));
  }
  stream_->WritesDone();
  const auto replies = Replies(3);
  EXPECT_EQ(replies.count(1), 0U);
  EXPECT_EQ(replies.size(), 2U);
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_EQ(world_.CountRecords(), 2U);
}

TEST_F(ExchangeStream, RefusesCallsOverTheLimitAtOnceAndRunsTheOthers) {
  std::map<std::uint64_t, Reply> refused;
  {
    const testing::RpcWorld::Held held(world_);
    ExchangeRequest request;
    for (std::uint64_t id = 1; id <= 1100; ++id) AddGet(request, id);
    stream_->Write(request);
    refused = Replies(76);  // while the core stands still
  }
  ASSERT_EQ(refused.size(), 76U);
  for (const auto& [id, reply] : refused) {
    EXPECT_GT(id, 1024U);
    EXPECT_EQ(ReasonOf(StatusOf(reply)), "TOO_MANY_CALLS");
    EXPECT_TRUE(absl::IsResourceExhausted(StatusOf(reply)));
  }
  EXPECT_EQ(Replies(1024).size(), 1024U);
  ExchangeRequest again;
  AddGet(again, 2000);
  stream_->Write(again);
  EXPECT_EQ(ReasonOf(StatusOf(Replies(1).at(2000))), "SESSION_NOT_FOUND");
}

TEST_F(ExchangeStream, RefusesBytesOverTheLimit) {
  std::map<std::uint64_t, Reply> refused;
  {
    const testing::RpcWorld::Held held(world_);
    for (std::uint64_t id = 1; id <= 5; ++id) {
      ExchangeRequest request;
      AddCreate(request, id).mutable_create_session()->set_data_json(std::string(1'000'000, ' '));
      stream_->Write(request);
    }
    refused = Replies(1);
  }
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused.begin()->first, 5U);
  EXPECT_EQ(ReasonOf(StatusOf(refused.begin()->second)), "TOO_MANY_CALLS");
  EXPECT_EQ(Replies(4).size(), 4U);
}

TEST_F(ExchangeStream, EndsTheStreamOfAClientThatSendsAndNeverReads) {
  std::uint64_t id = 0;
  bool writable = true;
  for (int i = 0; i < 100'000 && writable; ++i) {
    ExchangeRequest request;
    for (int k = 0; k < 100; ++k) AddGet(request, ++id);
    writable = stream_->Write(request);
  }
  EXPECT_FALSE(writable);
  ExchangeResponse response;
  while (stream_->Read(&response)) {
  }
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ExchangeStream, EndsTheStreamOfAClientThatUsesAnIdTwice) {
  const testing::RpcWorld::Held held(world_);
  ExchangeRequest request;
  AddGet(request, 1);
  AddGet(request, 1);
  stream_->Write(request);
  ExchangeResponse response;
  EXPECT_FALSE(stream_->Read(&response));
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ExchangeStream, AnswersAnUnknownOperation) {
  ExchangeRequest request;
  request.add_calls()->set_id(1);
  request.mutable_calls(0)->set_timeout_ms(20'000);
  stream_->Write(request);
  EXPECT_TRUE(absl::IsUnimplemented(StatusOf(Replies(1).at(1))));
}

TEST_F(ExchangeStream, AnswersWhatIsOpenAfterAHalfClose) {
  {
    const testing::RpcWorld::Held held(world_);
    ExchangeRequest request;
    for (std::uint64_t id = 1; id <= 10; ++id) AddCreate(request, id);
    stream_->Write(request);
    stream_->WritesDone();
  }
  EXPECT_EQ(Replies(11).size(), 10U);
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(ExchangeStream, KeepsEveryMessageWellBelowWhatAClientTakes) {
  const std::string session = world_.Create();
  world_.Change(session, "{\"a\":\"" + std::string(60'000, 'x') + "\"}");
  std::map<std::uint64_t, Reply> replies;
  {
    const testing::RpcWorld::Held held(world_);
    ExchangeRequest request;
    for (std::uint64_t id = 1; id <= 500; ++id) {
      AddGet(request, id).mutable_get_session()->mutable_session()->set_session_id(session);
    }
    stream_->Write(request);
  }
  // 30 MB of answers; the channel has gRPC's default limit of 4 MiB a message.
  EXPECT_EQ(Replies(500).size(), 500U);
}

TEST_F(ExchangeStream, IsAskedToGoBeforeTheServerStopsAndStillAnswered) {
  stream_->WaitForInitialMetadata();
  std::thread drain;
  {
    const testing::RpcWorld::Held held(world_);
    ExchangeRequest request;
    AddCreate(request, 1);
    stream_->Write(request);
    ASSERT_TRUE(world_.WaitUntil([this] { return world_.metrics.calls_stream.Value() == 1; }));
    drain = std::thread([this] { world_.server.Drain(std::chrono::steady_clock::now() + std::chrono::seconds(20)); });
    ExchangeResponse response;
    ASSERT_TRUE(stream_->Read(&response));
    EXPECT_TRUE(response.go_away());
    stream_->WritesDone();
  }
  EXPECT_EQ(Replies(1).size(), 1U);
  ExchangeResponse response;
  EXPECT_FALSE(stream_->Read(&response));
  drain.join();
}

TEST_F(ExchangeStream, EndsAtTheDeadlineOfADrainWhenItsClientStays) {
  stream_->WaitForInitialMetadata();
  const auto start = std::chrono::steady_clock::now();
  world_.server.Drain(start + std::chrono::milliseconds(200));
  world_.server.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  ExchangeResponse response;
  while (stream_->Read(&response)) {
  }
  EXPECT_FALSE(stream_->Finish().ok());
}

}  // namespace
}  // namespace sesior::session
