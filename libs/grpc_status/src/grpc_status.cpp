#include "sesior/grpc_status/grpc_status.hpp"

#include <map>
#include <string>
#include <utility>

#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"

namespace sesior::grpc_status {

namespace {

constexpr char kPrefix[] = "type.googleapis.com/google.rpc.";

// The messages are wire-equal to google.rpc's and travel under its names.
template <typename Message>
void Pack(const Message& message, const char* name, internal::v1::Status& status) {
  google::protobuf::Any& any = *status.add_details();
  any.set_type_url(std::string(kPrefix) + name);
  message.SerializeToString(any.mutable_value());
}

template <typename Message>
bool Unpack(const google::protobuf::Any& any, const char* name, Message& message) {
  return any.type_url() == std::string(kPrefix) + name && message.ParseFromString(any.value());
}

absl::StatusCode ToCode(int code) {
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown;
}

}  // namespace

internal::v1::Status ToProto(const absl::Status& status) {
  internal::v1::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(std::string(status.message()));
  const ErrorDetails details = DetailsOf(status);
  if (!details.reason.empty()) {
    internal::v1::ErrorInfo info;
    info.set_reason(details.reason);
    info.set_domain("sesior");
    for (const auto& [name, value] : MetadataOf(status)) (*info.mutable_metadata())[name] = value;
    if (!details.field.empty()) (*info.mutable_metadata())["field"] = details.field;
    Pack(info, "ErrorInfo", proto);
  }
  if (!details.field.empty()) {
    internal::v1::BadRequest bad_request;
    auto& violation = *bad_request.add_field_violations();
    violation.set_field(details.field);
    violation.set_description(proto.message());
    Pack(bad_request, "BadRequest", proto);
  }
  if (status.code() == absl::StatusCode::kResourceExhausted && !details.reason.empty()) {
    // google.rpc.QuotaFailure has the shape of BadRequest: a list of pairs, here of subject and description.
    internal::v1::BadRequest quota_failure;
    auto& violation = *quota_failure.add_field_violations();
    violation.set_field(details.field.empty() ? "service" : details.field);
    violation.set_description(proto.message());
    Pack(quota_failure, "QuotaFailure", proto);
  }
  if (details.retry_after) {
    internal::v1::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(details.retry_after->count() / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(details.retry_after->count() % 1000) * 1'000'000);
    Pack(retry, "RetryInfo", proto);
  }
  return proto;
}

absl::Status FromProto(const internal::v1::Status& proto) {
  if (proto.code() == 0) return absl::OkStatus();
  ErrorDetails details;
  std::map<std::string, std::string> metadata;
  for (const google::protobuf::Any& any : proto.details()) {
    internal::v1::ErrorInfo info;
    internal::v1::BadRequest bad_request;
    internal::v1::RetryInfo retry;
    if (Unpack(any, "ErrorInfo", info)) {
      details.reason = info.reason();
      metadata.insert(info.metadata().begin(), info.metadata().end());
    } else if (Unpack(any, "BadRequest", bad_request)) {
      if (bad_request.field_violations_size() > 0) details.field = bad_request.field_violations(0).field();
    } else if (Unpack(any, "RetryInfo", retry)) {
      details.retry_after = std::chrono::seconds(retry.retry_delay().seconds()) +
                            std::chrono::milliseconds(retry.retry_delay().nanos() / 1'000'000);
    }
  }
  absl::Status status = Error(ToCode(proto.code()), proto.message(), std::move(details));
  metadata.erase("field");  // said by `details`
  for (const auto& [name, value] : metadata) status = WithMetadata(std::move(status), name, value);
  return status;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const internal::v1::Status proto = ToProto(status);
  return grpc::Status(static_cast<grpc::StatusCode>(proto.code()), proto.message(),
                      proto.details_size() > 0 ? proto.SerializeAsString() : std::string());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  internal::v1::Status proto;
  if (!proto.ParseFromString(status.error_details())) proto.Clear();
  // The details repeat code and message; the transport's own are the ones that count.
  proto.set_code(static_cast<int>(status.error_code()));
  proto.set_message(status.error_message());
  return FromProto(proto);
}

}  // namespace sesior::grpc_status
