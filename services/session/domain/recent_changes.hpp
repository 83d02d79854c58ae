// What our writes of the last two minutes changed in a record, so that a stale copy can be told from a change: Express
// loads a record, we write to it, Express saves what it had loaded. Such a write cannot be refused in Redis, but it
// sets a member back to exactly the value that our write replaced. Kept in the sidecar as text; values as short hashes.
// At most 6 changes, of members with names up to 64 bytes. Threading: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sesior::session {

inline constexpr std::chrono::minutes kRecent{2};

// `recent` with what a merge patch changed from the record `before` to `after`, members at the top only, and without
// what is too old. Empty when a record cannot be read.
std::string NoteChanges(std::string_view recent, std::string_view before, std::string_view after, std::int64_t now_ms);

// The members that `record` holds, or lacks, as they were before a recent change of ours. An empty list for a record
// that cannot be read.
std::vector<std::string> SetBack(std::string_view recent, std::string_view record, std::int64_t now_ms);

// `recent` without what concerns these members.
std::string ForgetChanges(std::string_view recent, const std::vector<std::string>& members);

}  // namespace sesior::session
