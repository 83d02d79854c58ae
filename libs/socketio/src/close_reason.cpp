#include "sesior/socketio/close_reason.hpp"

#include <array>
#include <cstddef>

namespace sesior::socketio {
namespace {

struct Row {
  std::string_view text;
  bool recoverable;
  std::uint16_t websocket_code;
  bool discards_queue;
};

// In the order of the enum.
constexpr std::array<Row, kCloseReasonCount> kRows = {{
    {"transport error", true, 0, true},
    {"transport close", true, 0, true},
    {"forced close", true, 0, false},
    {"ping timeout", true, 0, true},
    {"parse error", true, 0, false},
    {"server shutting down", true, 0, false},
    {"forced server close", true, 0, false},
    {"client namespace disconnect", false, 0, false},
    {"server namespace disconnect", false, 0, false},
    {"slow client", true, 1008, true},
    {"too many packets", true, 1008, true},
    {"session ended", false, 0, false},
    {"maximum age", true, 0, false},
}};

const Row& RowOf(CloseReason reason) { return kRows[static_cast<std::size_t>(reason)]; }

}  // namespace

std::string_view Text(CloseReason reason) { return RowOf(reason).text; }
bool IsRecoverable(CloseReason reason) { return RowOf(reason).recoverable; }
std::uint16_t WebSocketCode(CloseReason reason) { return RowOf(reason).websocket_code; }
bool DiscardsQueue(CloseReason reason) { return RowOf(reason).discards_queue; }

}  // namespace sesior::socketio
