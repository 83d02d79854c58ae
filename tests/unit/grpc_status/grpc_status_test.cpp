#include "sesior/grpc_status/grpc_status.hpp"

#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"

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

TEST(GrpcStatus, CarriesMetadataOverBothWires) {
  absl::Status sent = Error(StatusCode::kAborted, "x", {.reason = "R", .field = "etag", .retry_after = {}});
  sent = WithMetadata(WithMetadata(std::move(sent), "current_etag", "\"abc\""), "tries", "8");
  for (const absl::Status& got : {FromProto(ToProto(sent)), FromGrpc(ToGrpc(sent))}) {
    EXPECT_EQ(MetadataOf(got), (std::map<std::string, std::string>{{"current_etag", "\"abc\""}, {"tries", "8"}}));
    EXPECT_EQ(DetailsOf(got).field, "etag");
  }
  EXPECT_TRUE(MetadataOf(absl::OkStatus()).empty());
}

TEST(GrpcStatus, SaysWhatIsExhausted) {
  const internal::v1::Status proto = ToProto(
      Error(StatusCode::kResourceExhausted, "too many", {.reason = "R", .field = "device.address", .retry_after = {}}));
  ASSERT_EQ(proto.details_size(), 3);
  EXPECT_EQ(proto.details(2).type_url(), "type.googleapis.com/google.rpc.QuotaFailure");
  internal::v1::BadRequest same_shape;
  ASSERT_TRUE(same_shape.ParseFromString(proto.details(2).value()));
  EXPECT_EQ(same_shape.field_violations(0).field(), "device.address");
  EXPECT_EQ(same_shape.field_violations(0).description(), "too many");
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
