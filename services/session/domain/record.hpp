// The session record as connect-redis keeps it: one JSON object with a member `cookie`, which belongs to Express and is
// never changed here; all other members are the application's. Threading: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sesior::session {

// The attributes of the session cookie; what of them goes into a new record is what express-session would put there.
struct CookieAttributes {
  enum class SameSite { kUnset, kLax, kStrict, kNone };
  enum class Priority { kUnset, kLow, kMedium, kHigh };
  std::string name = "connect.sid";
  std::string path = "/";
  std::string domain;                                // empty: no Domain attribute
  std::optional<std::chrono::milliseconds> max_age;  // unset: a cookie of the browser's session, no Expires
  bool http_only = true;
  bool secure = false;
  bool partitioned = false;
  SameSite same_site = SameSite::kUnset;
  Priority priority = Priority::kUnset;
};

// What Express and SESIOR have to know of a record to use it.
struct RecordInfo {
  std::optional<std::chrono::milliseconds> original_max_age;  // unset: null or absent
  std::string data_json;                                      // the record without `cookie`: what the application sees
  std::string cookie_json;                                    // that member
};

// The record of a new session: its member `cookie` only.
std::string NewRecord(const CookieAttributes& cookie, std::int64_t now_ms);

// The record with another member `cookie`, at the place of the old one. kDataLoss RECORD_CORRUPT: no JSON object.
absl::StatusOr<std::string> WithCookie(std::string_view record, std::string_view cookie_json);

// kDataLoss RECORD_CORRUPT where Express would answer 500: not JSON, not an object, no `cookie` object.
absl::StatusOr<RecordInfo> InspectRecord(std::string_view record);
// The empty string and `null` count as no session.
bool IsAbsentRecord(std::string_view record);

// How long the session lives without use.
std::chrono::milliseconds IdleLimit(const RecordInfo& info, std::chrono::milliseconds default_ttl);

// The member `name` when it is a string; nullopt when it is absent, of another type, or no valid UTF-8 (a lone
// surrogate).
std::optional<std::string> StringMember(std::string_view record, std::string_view name);

// True for the names that express-session cannot load, drops, and erases with its next save.
bool IsReservedMember(std::string_view name);

absl::Status RecordCorrupt();

}  // namespace sesior::session
