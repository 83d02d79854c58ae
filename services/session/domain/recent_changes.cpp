#include "services/session/domain/recent_changes.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/session/domain/json_text.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

namespace {

constexpr std::size_t kMaxChanges = 6;
constexpr std::size_t kMaxNameBytes = 64;
constexpr char kNone[] = "-";  // the hash of a member that is not there

// Fields end with U+001F, changes with U+001E; neither occurs in a name as JSON writes it.
struct Change {
  std::int64_t seconds = 0;  // wall clock
  std::string_view before;   // 12 hex digits, or kNone
  std::string_view after;
  std::string_view raw_name;  // with its quotes
};

// FNV-1a, 48 bits of it: says "the same value as then" of one member of one session.
std::string ValueHash(std::string_view value) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : value) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return absl::StrCat(absl::Hex((hash ^ (hash >> 48)) & 0xFFFFFFFFFFFF, absl::kZeroPad12));
}

std::string HashOf(const std::vector<JsonMember>& members, std::string_view name) {
  const std::optional<std::string_view> value = FindMember(members, name);
  return value ? ValueHash(*value) : kNone;
}

std::vector<Change> Read(std::string_view text, std::int64_t now_ms) {
  std::vector<Change> changes;
  const auto field = [&text](char end) {
    const std::size_t at = text.find(end);
    const std::string_view value = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return value;
  };
  while (!text.empty()) {
    Change change;
    const bool is_number = absl::SimpleAtoi(ToAbsl(field('\x1f')), &change.seconds);
    change.before = field('\x1f');
    change.after = field('\x1f');
    change.raw_name = field('\x1e');
    const bool is_recent = change.seconds * 1000 + std::chrono::milliseconds(kRecent).count() > now_ms;
    if (is_number && is_recent && change.raw_name.size() >= 2) changes.push_back(change);
  }
  return changes;
}

void Append(std::string& text, const Change& change) {
  absl::StrAppend(&text, change.seconds, "\x1f", ToAbsl(change.before), "\x1f", ToAbsl(change.after), "\x1f",
                  ToAbsl(change.raw_name), "\x1e");
}

}  // namespace

std::string NoteChanges(std::string_view recent, std::string_view before, std::string_view after, std::int64_t now_ms) {
  const auto old_members = JsonMembers(before, kAnyDepth);
  const auto new_members = JsonMembers(after, kAnyDepth);
  if (!old_members.ok() || !new_members.ok()) return {};
  std::vector<Change> changes = Read(recent, now_ms);
  std::deque<std::string> hashes;  // what the new changes refer to
  const auto note = [&](std::string_view raw_name, std::string was, std::string is) {
    if (was == is || raw_name.size() > kMaxNameBytes + 2) return;
    // One line for each value that a stale copy may hold.
    std::erase_if(changes, [&](const Change& c) { return c.raw_name == raw_name && c.before == was; });
    const std::string_view before_hash = hashes.emplace_back(std::move(was));
    changes.push_back({now_ms / 1000, before_hash, hashes.emplace_back(std::move(is)), raw_name});
  };
  // A merge keeps members in their order and as they are named, and puts new ones last.
  auto is = new_members->begin();
  for (const JsonMember& was : *old_members) {
    if (is == new_members->end() || is->raw_name != was.raw_name) {
      note(was.raw_name, ValueHash(was.value), kNone);
      continue;
    }
    if (is->value != was.value) note(was.raw_name, ValueHash(was.value), ValueHash(is->value));
    ++is;
  }
  for (; is != new_members->end(); ++is) note(is->raw_name, kNone, ValueHash(is->value));
  std::string text;
  const std::size_t first = changes.size() > kMaxChanges ? changes.size() - kMaxChanges : 0;
  for (std::size_t i = first; i < changes.size(); ++i) Append(text, changes[i]);
  return text;
}

std::vector<std::string> SetBack(std::string_view recent, std::string_view record, std::int64_t now_ms) {
  const std::vector<Change> changes = Read(recent, now_ms);
  if (changes.empty()) return {};
  const auto members = JsonMembers(record, kAnyDepth);
  if (!members.ok()) return {};
  std::vector<std::string> names;
  for (const Change& change : changes) {
    std::string name = DecodeJsonString(change.raw_name);
    const std::string present = HashOf(*members, name);
    // What the newest change wrote is no stale copy, even when an older one had replaced it.
    const auto newest =
        std::find_if(changes.rbegin(), changes.rend(), [&](const Change& c) { return c.raw_name == change.raw_name; });
    if (present != change.before || present == newest->after) continue;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

std::string ForgetChanges(std::string_view recent, const std::vector<std::string>& members) {
  std::string text;
  for (const Change& change : Read(recent, 0)) {
    const bool is_forgotten = std::any_of(members.begin(), members.end(),
                                          [&](const std::string& name) { return IsNamed(change.raw_name, name); });
    if (!is_forgotten) Append(text, change);
  }
  return text;
}

}  // namespace sesior::session
