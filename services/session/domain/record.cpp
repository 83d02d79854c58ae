#include "services/session/domain/record.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "services/session/domain/json_text.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/status_macros.hpp"
#include "sesior/base/string_view.hpp"
#include "sesior/base/utf8.hpp"

namespace sesior::session {

namespace {

// Sorted. Express's own members, then what every JavaScript object has.
constexpr std::array<std::string_view, 21> kReserved = {"__defineGetter__",
                                                        "__defineSetter__",
                                                        "__lookupGetter__",
                                                        "__lookupSetter__",
                                                        "__proto__",
                                                        "constructor",
                                                        "cookie",
                                                        "destroy",
                                                        "hasOwnProperty",
                                                        "id",
                                                        "isPrototypeOf",
                                                        "propertyIsEnumerable",
                                                        "regenerate",
                                                        "reload",
                                                        "req",
                                                        "resetMaxAge",
                                                        "save",
                                                        "toLocaleString",
                                                        "toString",
                                                        "touch",
                                                        "valueOf"};

// In the order in which express-session writes the fields.
std::string CookieObject(const CookieAttributes& cookie, std::int64_t now_ms) {
  std::string text = "{\"originalMaxAge\":";
  if (cookie.max_age) {
    absl::StrAppend(&text, cookie.max_age->count());
  } else {
    text += "null";
  }
  if (cookie.partitioned) text += ",\"partitioned\":true";
  switch (cookie.priority) {
    case CookieAttributes::Priority::kUnset:
      break;
    case CookieAttributes::Priority::kLow:
      text += ",\"priority\":\"low\"";
      break;
    case CookieAttributes::Priority::kMedium:
      text += ",\"priority\":\"medium\"";
      break;
    case CookieAttributes::Priority::kHigh:
      text += ",\"priority\":\"high\"";
      break;
  }
  if (cookie.max_age) {
    absl::StrAppend(&text, ",\"expires\":\"",
                    absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(now_ms + cookie.max_age->count()),
                                     absl::UTCTimeZone()),
                    "\"");
  } else {
    text += ",\"expires\":null";
  }
  if (cookie.secure) text += ",\"secure\":true";
  absl::StrAppend(&text, ",\"httpOnly\":", cookie.http_only ? "true" : "false");
  if (!cookie.domain.empty()) absl::StrAppend(&text, ",\"domain\":", JsonString(cookie.domain));
  absl::StrAppend(&text, ",\"path\":", JsonString(cookie.path));
  switch (cookie.same_site) {
    case CookieAttributes::SameSite::kUnset:
      break;
    case CookieAttributes::SameSite::kLax:
      text += ",\"sameSite\":\"lax\"";
      break;
    case CookieAttributes::SameSite::kStrict:
      text += ",\"sameSite\":\"strict\"";
      break;
    case CookieAttributes::SameSite::kNone:
      text += ",\"sameSite\":\"none\"";
      break;
  }
  text.push_back('}');
  return text;
}

}  // namespace

std::string NewRecord(const CookieAttributes& cookie, std::int64_t now_ms) {
  return absl::StrCat("{\"cookie\":", CookieObject(cookie, now_ms), "}");
}

absl::StatusOr<std::string> WithCookie(std::string_view record, std::string_view cookie_json) {
  const absl::StatusOr<std::vector<JsonMember>> members = JsonMembers(record, kAnyDepth);
  if (!members.ok()) return RecordCorrupt();
  std::string text = "{";
  for (const JsonMember& member : *members) {
    if (text.size() > 1) text.push_back(',');
    const bool is_cookie = IsNamed(member.raw_name, "cookie");
    absl::StrAppend(&text, ToAbsl(member.raw_name), ":", ToAbsl(is_cookie ? cookie_json : member.value));
  }
  text.push_back('}');
  return text;
}

absl::Status RecordCorrupt() {
  return Error(absl::StatusCode::kDataLoss, "the session's record in Redis is damaged or not a session's",
               {.reason = "RECORD_CORRUPT", .field = {}, .retry_after = {}});
}

bool IsAbsentRecord(std::string_view record) { return record.empty() || record == "null"; }

absl::StatusOr<RecordInfo> InspectRecord(std::string_view record) {
  const absl::StatusOr<std::vector<JsonMember>> members = JsonMembers(record, kAnyDepth);
  if (!members.ok()) return RecordCorrupt();
  RecordInfo info;
  std::optional<std::string_view> cookie;
  info.data_json.reserve(record.size());
  info.data_json.push_back('{');
  for (const JsonMember& member : *members) {
    if (member.raw_name == "\"cookie\"" || DecodeJsonString(member.raw_name) == "cookie") {
      cookie = member.value;
      continue;
    }
    if (info.data_json.size() > 1) info.data_json.push_back(',');
    info.data_json.append(member.raw_name);
    info.data_json.push_back(':');
    info.data_json.append(member.value);
  }
  info.data_json.push_back('}');
  if (!cookie || !IsJsonObject(*cookie)) return RecordCorrupt();
  info.cookie_json = std::string(*cookie);
  const std::vector<JsonMember> fields = *JsonMembers(*cookie, kAnyDepth);
  double max_age = 0;
  const std::optional<std::string_view> text = FindMember(fields, "originalMaxAge");
  // A year's worth of milliseconds has 11 digits; what is no sensible number counts as absent.
  if (text && absl::SimpleAtod(ToAbsl(*text), &max_age) && max_age >= 1 && max_age < 1e13) {
    info.original_max_age = std::chrono::milliseconds(static_cast<std::int64_t>(max_age));
  }
  return info;
}

std::chrono::milliseconds IdleLimit(const RecordInfo& info, std::chrono::milliseconds default_ttl) {
  return info.original_max_age.value_or(default_ttl);
}

std::optional<std::string> StringMember(std::string_view record, std::string_view name) {
  const absl::StatusOr<std::vector<JsonMember>> members = JsonMembers(record, kAnyDepth);
  if (!members.ok()) return std::nullopt;
  const std::optional<std::string_view> value = FindMember(*members, name);
  if (!value || !IsJsonString(*value)) return std::nullopt;
  std::string text = DecodeJsonString(*value);
  return IsValidUtf8(text) ? std::optional(std::move(text)) : std::nullopt;
}

bool IsReservedMember(std::string_view name) { return std::binary_search(kReserved.begin(), kReserved.end(), name); }

}  // namespace sesior::session
