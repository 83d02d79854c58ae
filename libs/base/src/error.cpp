#include "sesior/base/error.hpp"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sesior/base/error_metadata.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior {

namespace {
constexpr absl::string_view kReason = "sesior/reason";
constexpr absl::string_view kField = "sesior/field";
constexpr absl::string_view kRetryAfter = "sesior/retry_after_ms";
constexpr std::string_view kMetadata = "sesior/metadata/";

std::string Payload(const absl::Status& status, absl::string_view url) {
  const absl::optional<absl::Cord> cord = status.GetPayload(url);
  return cord ? std::string(*cord) : std::string();
}
}  // namespace

absl::Status Error(absl::StatusCode code, std::string_view message, ErrorDetails details) {
  absl::Status status(code, ToAbsl(message));
  if (!details.reason.empty()) status.SetPayload(kReason, absl::Cord(details.reason));
  if (!details.field.empty()) status.SetPayload(kField, absl::Cord(details.field));
  if (details.retry_after) status.SetPayload(kRetryAfter, absl::Cord(absl::StrCat(details.retry_after->count())));
  return status;
}

ErrorDetails DetailsOf(const absl::Status& status) {
  ErrorDetails details{.reason = Payload(status, kReason), .field = Payload(status, kField), .retry_after = {}};
  std::int64_t millis = 0;
  if (absl::SimpleAtoi(Payload(status, kRetryAfter), &millis)) details.retry_after = std::chrono::milliseconds(millis);
  return details;
}

std::string ReasonOf(const absl::Status& status) { return Payload(status, kReason); }

absl::Status WithMetadata(absl::Status status, std::string_view name, std::string_view value) {
  status.SetPayload(absl::StrCat(ToAbsl(kMetadata), ToAbsl(name)), absl::Cord(ToAbsl(value)));
  return status;
}

std::map<std::string, std::string> MetadataOf(const absl::Status& status) {
  std::map<std::string, std::string> values;
  status.ForEachPayload([&values](absl::string_view url, const absl::Cord& value) {
    const std::string_view name = ToStd(url);
    if (name.starts_with(kMetadata)) values.emplace(name.substr(kMetadata.size()), std::string(value));
  });
  return values;
}

}  // namespace sesior
