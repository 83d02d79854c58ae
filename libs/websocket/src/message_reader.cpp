#include "sesior/websocket/message_reader.hpp"

#include <utility>
#include <websocketpp/close.hpp>
#include <websocketpp/common/network.hpp>
#include <websocketpp/utf8_validator.hpp>

#include "engine.hpp"

namespace sesior::websocket {
namespace {

using OpcodeValue = websocketpp::frame::opcode::value;
namespace error = websocketpp::processor::error;

constexpr std::size_t kCloseCodeBytes = 2;

// May a peer send this code? RFC 6455 section 7.4, and the registered 1012 to 1014.
bool IsValidCloseCode(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

// Does this text, valid so far, end in the middle of a code point? hybi13 asks that of messages of one frame only.
bool EndsInsideCodePoint(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) return false;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4u : byte >= 0xe0 ? 3u : 2u);
  }
  return false;
}

EventKind KindOf(OpcodeValue opcode) {
  switch (opcode) {
    case OpcodeValue::text:
      return EventKind::kText;
    case OpcodeValue::binary:
      return EventKind::kBinary;
    case OpcodeValue::ping:
      return EventKind::kPing;
    case OpcodeValue::pong:
      return EventKind::kPong;
    default:
      return EventKind::kClose;
  }
}

std::uint16_t CloseCodeFor(const std::error_code& problem) {
  if (problem == error::make_error_code(error::message_too_big)) return kTooBig;
  if (problem == error::make_error_code(error::invalid_utf8)) return kInvalidPayload;
  return kProtocolError;
}

// The words of websocketpp's own table, which need no storage there either.
const char* WordsFor(const std::error_code& problem) {
  switch (problem.value()) {
    case error::message_too_big:
      return "message too big";
    case error::invalid_utf8:
      return "text is not valid UTF-8";
    case error::control_too_big:
      return "control frame over 125 bytes";
    case error::invalid_rsv_bit:
      return "reserved bit set";
    case error::invalid_opcode:
      return "reserved opcode";
    case error::fragmented_control:
      return "fragmented control frame";
    case error::invalid_continuation:
      return "fragments out of order";
    case error::masking_required:
      return "frame without mask";
    case error::non_minimal_encoding:
      return "length not minimally encoded";
    default:
      return "protocol error";
  }
}

}  // namespace

Shared& SharedState() {
  static Shared shared;
  return shared;
}

void Initialize() {
  SharedState();
  (void)websocketpp::lib::net::_htonll(1);
}

// Opens what hybi13 keeps protected: whether it is between messages, and how much of one it holds.
class MessageReader::Engine : public Processor {
 public:
  explicit Engine(std::size_t max_message_bytes) : Processor(false, true, SharedState().messages, SharedState().rng) {
    set_max_message_size(max_message_bytes);
  }

  bool between_messages() const {
    return m_state == HEADER_BASIC && m_bytes_needed == websocketpp::frame::BASIC_HEADER_LENGTH && !m_data_msg.msg_ptr;
  }
  std::size_t held_bytes() const { return m_data_msg.msg_ptr ? m_data_msg.msg_ptr->get_payload().size() : 0; }

  message_ptr message;  // the one Next() has told about
};

MessageReader::MessageReader(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}
MessageReader::~MessageReader() = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;
MessageReader& MessageReader::operator=(MessageReader&&) noexcept = default;

Event MessageReader::Next(char*& data, std::size_t& size) {
  if (finished_) {
    data += std::exchange(size, 0);
    return {};
  }
  if (size == 0) {
    if (engine_) engine_->message.reset();
    if (engine_ && engine_->between_messages()) engine_.reset();
    return {};
  }
  if (!engine_) engine_ = std::make_unique<Engine>(max_message_bytes_);
  engine_->message.reset();

  std::error_code problem;
  const std::size_t taken = engine_->consume(reinterpret_cast<std::uint8_t*>(data), size, problem);
  data += taken;
  size -= taken;
  if (problem) return Fail(CloseCodeFor(problem), WordsFor(problem));
  // hybi13 adds the lengths of fragments without looking for an overflow.
  if (engine_->held_bytes() > max_message_bytes_) return Fail(kTooBig, "message too big");
  if (!engine_->ready()) return Next(data, size);

  engine_->message = engine_->get_message();
  const std::string& payload = engine_->message->get_payload();
  const EventKind kind = KindOf(engine_->message->get_opcode());
  if (kind == EventKind::kClose) return OnClose(payload);
  if (kind == EventKind::kText && EndsInsideCodePoint(payload)) {
    return Fail(kInvalidPayload, "text is not valid UTF-8");
  }
  return {kind, 0, payload};
}

Event MessageReader::Fail(std::uint16_t code, const char* words) {
  finished_ = true;
  engine_.reset();
  return {EventKind::kError, code, words};
}

Event MessageReader::OnClose(std::string_view payload) {
  std::uint16_t code = 0;
  if (!payload.empty()) {
    if (payload.size() < kCloseCodeBytes) return Fail(kProtocolError, "close frame of one byte");
    code = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                      static_cast<unsigned char>(payload[1]));
    if (!IsValidCloseCode(code)) return Fail(kProtocolError, "close code that may not be sent");
    if (!websocketpp::utf8_validator::validate(std::string(payload.substr(kCloseCodeBytes)))) {
      return Fail(kInvalidPayload, "close reason is not valid UTF-8");
    }
  }
  finished_ = true;
  return {EventKind::kClose, code, payload.empty() ? payload : payload.substr(kCloseCodeBytes)};
}

std::string EncodeFrame(Opcode opcode, std::string_view payload) {
  const websocketpp::frame::basic_header basic(static_cast<OpcodeValue>(opcode), payload.size(), true, false);
  const websocketpp::frame::extended_header extended(payload.size());
  std::string frame = websocketpp::frame::prepare_header(basic, extended);
  frame.append(payload);
  return frame;
}

std::string EncodeClose(std::uint16_t code, std::string_view reason) {
  if (code == 0) return EncodeFrame(Opcode::kClose, {});
  std::string payload;
  payload.push_back(static_cast<char>(code >> 8));
  payload.push_back(static_cast<char>(code & 0xff));
  payload.append(reason.substr(0, 125 - kCloseCodeBytes));
  return EncodeFrame(Opcode::kClose, payload);
}

}  // namespace sesior::websocket
