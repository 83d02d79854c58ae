#include "sesior/grpc_status/grpc_status.hpp"

#include "gtest/gtest.h"
#include "sesior/base/error.hpp"

namespace sesior::grpc_status {
namespace {

using absl::StatusCode;
using std::chrono::milliseconds;

struct Row {
  StatusCode code;
  const char* message;
  ErrorDetails details;
};

class EveryStatus : public testing::TestWithParam<Row> {};

TEST_P(EveryStatus, ComesBackAsItWentOverBothWires) {
  const absl::Status sent = Error(GetParam().code, GetParam().message, GetParam().details);
  for (const absl::Status& got : {FromProto(ToProto(sent)), FromGrpc(ToGrpc(sent))}) {
    EXPECT_EQ(got.code(), sent.code());
    EXPECT_EQ(got.message(), sent.message());
    const ErrorDetails details = DetailsOf(got);
    EXPECT_EQ(details.reason, GetParam().details.reason);
    EXPECT_EQ(details.field, GetParam().details.field);
    EXPECT_EQ(details.retry_after, GetParam().details.retry_after);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, EveryStatus,
    testing::Values(
        Row{StatusCode::kNotFound, "no such session", {.reason = "SESSION_NOT_FOUND", .field = {}, .retry_after = {}}},
        Row{StatusCode::kInvalidArgument, "bad", {.reason = "RESERVED_MEMBER", .field = "cookie", .retry_after = {}}},
        Row{StatusCode::kUnavailable,
            "Redis is away",
            {.reason = "REDIS_UNAVAILABLE", .field = {}, .retry_after = milliseconds(1500)}},
        Row{StatusCode::kAborted, "", {}}, Row{StatusCode::kUnauthenticated, "x", {}},
        Row{StatusCode::kDataLoss, "x", {.reason = "RECORD_CORRUPT", .field = {}, .retry_after = {}}},
        Row{StatusCode::kCancelled, "x", {}}));

TEST(GrpcStatus, OkStaysOk) {
  EXPECT_TRUE(FromProto(ToProto(absl::OkStatus())).ok());
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus())).ok());
}

TEST(GrpcStatus, UsesTheNamesThatOtherLanguagesKnow) {
  const internal::v1::Status proto =
      ToProto(Error(StatusCode::kUnavailable, "x", {.reason = "R", .field = "f", .retry_after = milliseconds(1)}));
  ASSERT_EQ(proto.details_size(), 3);
  EXPECT_EQ(proto.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_EQ(proto.details(1).type_url(), "type.googleapis.com/google.rpc.BadRequest");
  EXPECT_EQ(proto.details(2).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
}

TEST(GrpcStatus, SurvivesDetailsThatAreGarbage) {
  EXPECT_EQ(FromGrpc(grpc::Status(grpc::StatusCode::ABORTED, "m", "\xff\xff")).code(), StatusCode::kAborted);
  internal::v1::Status proto;
  proto.set_code(4711);
  proto.add_details()->set_value("\xff");
  EXPECT_EQ(FromProto(proto).code(), StatusCode::kUnknown);
}

}  // namespace
}  // namespace sesior::grpc_status
