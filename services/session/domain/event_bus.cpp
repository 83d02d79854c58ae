#include "services/session/domain/event_bus.hpp"

#include "absl/strings/str_cat.h"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

std::string BroadcastChannel(std::string_view name_space) {
  return absl::StrCat("sesior:bc:{", ToAbsl(name_space), "}");
}

}  // namespace sesior::session
