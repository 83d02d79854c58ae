// Any record and patch, with a line feed between them: no crash; a result is JSON again, merging twice changes nothing
// more, and the members of the record that the patch does not name are there, byte for byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "services/session/domain/json_merge.hpp"
#include "services/session/domain/json_text.hpp"

using namespace sesior::session;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  const std::string_view record = input.substr(0, line);
  const std::string_view patch = input.substr(line + 1);
  const absl::StatusOr<std::string> merged = MergePatch(record, patch, {});
  if (!merged.ok()) return 0;
  const auto after = JsonMembers(*merged, kAnyDepth);
  if (!after.ok()) std::abort();
  const absl::StatusOr<std::string> twice = MergePatch(*merged, patch, {});
  if (!twice.ok() || *twice != *merged) std::abort();
  const auto changes = *JsonMembers(patch, kAnyDepth);
  const auto before = *JsonMembers(record, kAnyDepth);
  for (const JsonMember& member : before) {
    const std::string name = DecodeJsonString(member.raw_name);
    if (!FindMember(changes, name) && FindMember(*after, name) != member.value) std::abort();
  }
  return 0;
}
