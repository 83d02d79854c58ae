// The session record as connect-redis keeps it: one JSON object with a member `cookie`, which belongs to Express and is
// never changed here; all other members are the application's. Threading: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/session/domain/json_merge.hpp"

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
};

// The record of a new session: `cookie` first, then the members of `data_json`.
// Errors: as MergePatch gives them for `data_json` (not an object, reserved member).
absl::StatusOr<std::string> NewRecord(const CookieAttributes& cookie, std::string_view data_json, std::int64_t now_ms,
                                      const MergeLimits& limits, const std::vector<std::string>& refused = {});

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
