#include "services/session/domain/json_merge.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "services/session/domain/json_text.hpp"
#include "services/session/domain/record.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/status_macros.hpp"
#include "sesior/base/string_view.hpp"
#include "sesior/base/utf8.hpp"

namespace sesior::session {

namespace {

// One object being merged; the frames of nested ones lie above it on a stack of our own.
class Frame {
 public:
  Frame(std::vector<JsonMember> target, std::vector<JsonMember> patch, std::size_t place_in_parent)
      : parent_place(place_in_parent), patch_(std::move(patch)) {
    slots_.reserve(target.size() + patch_.size());
    for (const JsonMember& member : target) slots_.push_back({member.raw_name, member.value, {}, false});
    constexpr std::size_t kFew = 16;
    if (slots_.size() > kFew && patch_.size() > 1) {
      places_.emplace();
      for (std::size_t i = 0; i < slots_.size(); ++i) places_->emplace(DecodeJsonString(slots_[i].raw_name), i);
    }
  }

  // The next member of the patch, nullptr when all are done.
  const JsonMember* Next() { return next_ < patch_.size() ? &patch_[next_++] : nullptr; }

  std::optional<std::size_t> Find(std::string_view raw_name) const {
    const std::string name = DecodeJsonString(raw_name);
    if (places_) {
      const auto found = places_->find(name);
      return found == places_->end() ? std::nullopt : std::optional(found->second);
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (IsNamed(slots_[i].raw_name, name)) return i;
    }
    return std::nullopt;
  }

  std::size_t Append(std::string_view raw_name) {
    slots_.push_back({raw_name, {}, {}, false});
    return slots_.size() - 1;
  }

  std::string_view Value(std::size_t place) const { return slots_[place].value; }
  void SetValue(std::size_t place, std::string_view value) {
    changed = changed || slots_[place].value != value;
    slots_[place].value = value;
  }
  void SetOwned(std::size_t place, std::string value) {
    changed = true;
    slots_[place].owned = std::make_unique<std::string>(std::move(value));
    slots_[place].value = *slots_[place].owned;
  }
  void Remove(std::size_t place) {
    changed = true;
    slots_[place].removed = true;
  }

  std::string Text() const {
    std::size_t size = 2;
    for (const Slot& slot : slots_) size += slot.raw_name.size() + slot.value.size() + 2;
    std::string text;
    text.reserve(size);
    text.push_back('{');
    for (const Slot& slot : slots_) {
      if (slot.removed) continue;
      if (text.size() > 1) text.push_back(',');
      text += slot.raw_name;
      text.push_back(':');
      text += slot.value;
    }
    text.push_back('}');
    return text;
  }

  const std::size_t parent_place;  // where the result goes in the frame below
  bool changed = false;

 private:
  struct Slot {
    std::string_view raw_name;
    std::string_view value;
    std::unique_ptr<std::string> owned;  // holds `value` when it is the result of a nested merge
    bool removed;
  };
  std::vector<Slot> slots_;
  std::vector<JsonMember> patch_;
  std::size_t next_ = 0;
  std::optional<absl::flat_hash_map<std::string, std::size_t>> places_;
};

constexpr char kWholePatch[] = "merge_patch_json";

absl::Status PatchInvalid(std::string_view why, std::string field = kWholePatch) {
  return Error(absl::StatusCode::kInvalidArgument, absl::StrCat("merge patch: ", ToAbsl(why)),
               {.reason = "INVALID_PATCH", .field = std::move(field), .retry_after = {}});
}

// The name of a member as an error may tell it; one that is long or no text counts as the patch as a whole.
std::string FieldOf(const JsonMember& member) {
  constexpr std::size_t kMaxFieldBytes = 64;
  std::string name = DecodeJsonString(member.raw_name);
  return name.empty() || name.size() > kMaxFieldBytes || !IsValidUtf8(name) ? kWholePatch : name;
}

absl::Status TooDeep(std::string_view patch, int max_depth) {
  std::string field = kWholePatch;
  if (const absl::StatusOr<std::vector<JsonMember>> members = JsonMembers(patch, kAnyDepth); members.ok()) {
    const auto deep = std::find_if(members->begin(), members->end(), [max_depth](const JsonMember& member) {
      return absl::IsOutOfRange(CheckJson(member.value, max_depth - 1));
    });
    if (deep != members->end()) field = FieldOf(*deep);
  }
  return PatchInvalid(absl::StrCat("\"", field, "\" nests deeper than ", max_depth, " levels"), field);
}

absl::Status TooLarge(const std::vector<JsonMember>& patch, std::size_t limit) {
  const auto largest = std::max_element(patch.begin(), patch.end(), [](const JsonMember& a, const JsonMember& b) {
    return a.value.size() < b.value.size();
  });
  std::string field = largest == patch.end() ? kWholePatch : FieldOf(*largest);
  const std::string message = absl::StrCat("the session's record would exceed ", limit, " bytes (\"", field, "\")");
  return Error(absl::StatusCode::kResourceExhausted, message,
               {.reason = "RECORD_TOO_LARGE", .field = std::move(field), .retry_after = {}});
}

absl::Status CheckNames(const std::vector<JsonMember>& patch, const std::vector<std::string>& refused) {
  for (const JsonMember& member : patch) {
    const std::string name = DecodeJsonString(member.raw_name);
    const bool is_refused = std::find(refused.begin(), refused.end(), name) != refused.end();
    if (!is_refused && !IsReservedMember(name)) continue;
    return Error(absl::StatusCode::kInvalidArgument,
                 absl::StrCat("member \"", name, "\" cannot be set by a merge patch"),
                 {.reason = is_refused ? "CLAIMED_MEMBER" : "RESERVED_MEMBER", .field = name, .retry_after = {}});
  }
  return absl::OkStatus();
}

// The merged text, nullopt when nothing changes. The slices must outlive the call.
std::optional<std::string> Merge(std::vector<JsonMember> target, std::vector<JsonMember> patch) {
  std::deque<Frame> frames;
  frames.emplace_back(std::move(target), std::move(patch), 0);
  while (true) {
    Frame& frame = frames.back();
    const JsonMember* member = frame.Next();
    if (member == nullptr) {
      // An object in which nothing changed keeps its own text, blanks and all.
      std::optional<std::string> text = frame.changed ? std::optional(frame.Text()) : std::nullopt;
      const std::size_t place = frame.parent_place;
      frames.pop_back();
      if (frames.empty()) return text;
      if (text) frames.back().SetOwned(place, *std::move(text));
      continue;
    }
    const std::optional<std::size_t> place = frame.Find(member->raw_name);
    if (member->value == "null") {
      if (place) frame.Remove(*place);
    } else if (IsJsonObject(member->value)) {
      const bool into = place && IsJsonObject(frame.Value(*place));
      std::vector<JsonMember> inner_target;
      if (into) inner_target = *JsonMembers(frame.Value(*place), kAnyDepth);
      const std::size_t where = place ? *place : frame.Append(member->raw_name);
      frames.emplace_back(std::move(inner_target), *JsonMembers(member->value, kAnyDepth), where);
      frames.back().changed = !into;
    } else {
      frame.SetValue(place ? *place : frame.Append(member->raw_name), member->value);
    }
  }
}

}  // namespace

absl::StatusOr<std::string> MergePatch(std::string_view record, std::string_view patch, const MergeLimits& limits,
                                       const std::vector<std::string>& refused) {
  absl::StatusOr<std::vector<JsonMember>> target = JsonMembers(record, kAnyDepth);
  if (!target.ok()) return RecordCorrupt();
  absl::StatusOr<std::vector<JsonMember>> change = JsonMembers(patch, limits.max_patch_depth);
  if (absl::IsOutOfRange(change.status())) return TooDeep(patch, limits.max_patch_depth);
  if (!change.ok()) return PatchInvalid(ToStd(change.status().message()));
  SESIOR_RETURN_IF_ERROR(CheckNames(*change, refused));
  std::optional<std::string> result = Merge(*std::move(target), *change);
  if (!result) return std::string(record);
  if (result->size() > limits.max_result_bytes && result->size() > record.size()) {
    return TooLarge(*change, limits.max_result_bytes);
  }
  return *std::move(result);
}

}  // namespace sesior::session
