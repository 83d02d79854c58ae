#include "sesior/socketio/engine_session.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "sesior/base/check.hpp"

namespace sesior::socketio {
namespace {

using std::chrono::milliseconds;

// How long a GET that comes in the middle of an upgrade may wait before a noop ends it. The client cannot finish the
// upgrade while it waits; without a pause a client slow to read "3probe" would poll in a tight loop.
constexpr milliseconds kNoopDelay{20};

const FramePtr& PingFrame() {
  static const FramePtr frame = Frame::Text("2");
  return frame;
}

const FramePtr& ProbeFrame() {
  static const FramePtr frame = Frame::Text("3probe");
  return frame;
}

// "text/plain; charset=x" -> is it `type`? Case does not matter.
bool HasContentType(std::string_view value, std::string_view type) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return value.size() == type.size() && std::equal(value.begin(), value.end(), type.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

}  // namespace

struct EngineSession::Polling {
  std::vector<FramePtr> queue;
  std::size_t queued_bytes = 0;
  Time upgrade_deadline = kNever;
  Time noop_deadline = kNever;
  bool poll_waiting = false;
  bool post_in_progress = false;
};

EngineSession::EngineSession(const EngineOptions& options, Owner& owner) : options_(options), owner_(owner) {}
EngineSession::~EngineSession() = default;

// -- start --

void EngineSession::OpenPolling(std::string_view sid, Time now) {
  polling_ = std::make_unique<Polling>();
  Start(now);
  Send(Frame::Text(EncodeOpenPacket(sid, EngineTransport::kPolling, options_)));
}

void EngineSession::OpenWebSocket(std::string_view sid, Time now) {
  websocket_ = true;
  Start(now);
  Send(Frame::Text(EncodeOpenPacket(sid, EngineTransport::kWebSocket, options_)));
}

void EngineSession::Start(Time now) {
  SESIOR_CHECK(state_ == State::kNew);
  state_ = State::kOpen;
  heartbeat_ = now + options_.ping_interval;
  Rearm();
}

// -- long-polling --

EngineAnswer EngineSession::Refusal() const {
  return {400, ErrorBody(websocket_ ? EngineError::kBadRequest : EngineError::kUnknownSession)};
}

std::optional<EngineAnswer> EngineSession::OnPoll(Time now) {
  if (heartbeat_ <= now) OnTimer(now);  // the timer may be a moment late; a client that is overdue is not served
  if (!polling_) return Refusal();
  if (polling_->poll_waiting) {  // two at once: the client has lost count
    End(CloseReason::kTransportError, "1");
    return EngineAnswer{400, {}};
  }
  if (!polling_->queue.empty()) return EngineAnswer{200, TakePayload()};
  if (state_ == State::kDraining) {
    End(CloseReason::kForcedClose, {});
    return EngineAnswer{200, "1"};
  }
  polling_->poll_waiting = true;
  if (upgrade_ == Upgrade::kProbed) {
    polling_->noop_deadline = now + kNoopDelay;
    Rearm();
  }
  return std::nullopt;
}

void EngineSession::OnPollAborted(Time) {
  if (!polling_ || !polling_->poll_waiting) return;
  polling_->poll_waiting = false;
  End(CloseReason::kTransportError, {});
}

std::optional<EngineAnswer> EngineSession::OnPostBegin(std::string_view content_type, Time) {
  if (!polling_) return Refusal();
  if (polling_->post_in_progress || HasContentType(content_type, "application/octet-stream")) {
    End(CloseReason::kTransportError, "1");
    return EngineAnswer{400, {}};
  }
  polling_->post_in_progress = true;
  return std::nullopt;
}

EngineAnswer EngineSession::OnPost(std::string_view body, Time now) {
  if (!polling_ || !polling_->post_in_progress) return Refusal();
  polling_->post_in_progress = false;
  PayloadReader reader(body);
  for (std::size_t count = 0; reader.Next(); ++count) {
    if (reader.packet().type == EnginePacketType::kClose) {
      End(CloseReason::kTransportClose, "6");
      return {200, "ok"};
    }
    if (count == options_.max_packets_per_post) {
      End(CloseReason::kParseError, "1");
      return {400, {}};
    }
    if (!OnPacket(reader.packet(), now)) return {400, {}};
    if (finished()) return {200, "ok"};  // what stood behind is lost, as it would be on the way
  }
  if (reader.failed()) {
    End(CloseReason::kParseError, "1");
    return {400, {}};
  }
  return {200, "ok"};
}

EngineAnswer EngineSession::OnPostTooLarge() {
  if (polling_) polling_->post_in_progress = false;
  return {413, {}};
}

void EngineSession::OnPostAborted(Time) {
  if (!polling_ || !polling_->post_in_progress) return;
  polling_->post_in_progress = false;
  End(CloseReason::kTransportError, "1");
}

// -- WebSocket --

bool EngineSession::OnWebSocketOpen(Time now) {
  if (state_ != State::kOpen || websocket_ || upgrade_ != Upgrade::kNone || !options_.allow_upgrades) return false;
  upgrade_ = Upgrade::kOpened;
  polling_->upgrade_deadline = now + options_.upgrade_timeout;
  Rearm();
  return true;
}

void EngineSession::OnWebSocketText(std::string_view text, Time now) {
  if (upgrade_ != Upgrade::kNone) return OnCandidateText(text, now);
  if (!websocket_ || state_ != State::kOpen) return;
  std::string decoded;
  const std::optional<EnginePacket> packet = ParseEnginePacket(text, decoded);
  if (!packet) return End(CloseReason::kParseError, {});
  if (packet->type == EnginePacketType::kClose) return End(CloseReason::kTransportClose, {});
  OnPacket(*packet, now);
}

void EngineSession::OnWebSocketBinary(std::string_view bytes, Time now) {
  if (upgrade_ != Upgrade::kNone) return DropCandidate();
  if (!websocket_ || state_ != State::kOpen) return;
  OnPacket({EnginePacketType::kMessage, bytes, true}, now);
}

void EngineSession::OnWebSocketClosed(bool clean, Time) {
  if (upgrade_ != Upgrade::kNone) return ForgetCandidate();  // polling goes on
  if (!websocket_) return;
  websocket_ = false;  // nothing to close any more
  End(clean ? CloseReason::kTransportClose : CloseReason::kTransportError, {});
}

void EngineSession::OnCandidateText(std::string_view text, Time now) {
  if (text == "2probe") {
    owner_.WriteWebSocket(ProbeFrame());
    upgrade_ = Upgrade::kProbed;
    ReleasePoll();  // the client finishes its poll before it sends "5"
  } else if (text.starts_with('5')) {
    CompleteUpgrade(now);
  } else {
    DropCandidate();
  }
}

void EngineSession::CompleteUpgrade(Time now) {
  ForgetCandidate();
  const std::unique_ptr<Polling> old = std::move(polling_);
  websocket_ = true;
  owner_.OnPollQueue(-static_cast<std::ptrdiff_t>(old->queued_bytes));
  if (old->poll_waiting) owner_.AnswerPoll("6");
  for (const FramePtr& frame : old->queue) owner_.WriteWebSocket(frame);
  if (state_ == State::kDraining) return End(CloseReason::kForcedClose, {});
  if (awaiting_pong_) {
    // The ping may have been lost between the transports, or its pong be late: neither is a failure. Ask again.
    awaiting_pong_ = false;
    heartbeat_ = now + options_.ping_interval;
    Rearm();
  }
}

void EngineSession::ForgetCandidate() {
  upgrade_ = Upgrade::kNone;
  polling_->upgrade_deadline = polling_->noop_deadline = kNever;
}

void EngineSession::DropCandidate() {
  ForgetCandidate();
  owner_.CloseWebSocket(0, false);
}

// -- both --

// False: the packet broke the protocol and the session has ended.
bool EngineSession::OnPacket(const EnginePacket& packet, Time now) {
  if (state_ != State::kOpen) return true;
  switch (packet.type) {
    case EnginePacketType::kMessage:
      owner_.OnMessage(packet.data, packet.binary);
      return true;
    case EnginePacketType::kPong:
      awaiting_pong_ = false;
      heartbeat_ = now + options_.ping_interval;
      Rearm();
      return true;
    case EnginePacketType::kPing:  // pings are the server's business since protocol 4
      End(CloseReason::kTransportError, "1");
      return false;
    default:
      return true;
  }
}

SendResult EngineSession::Send(FramePtr frame, bool is_volatile) {
  if (state_ != State::kOpen || overflow_) return SendResult::kDropped;
  const std::size_t frame_bytes = frame->size_bytes();
  std::size_t waiting_bytes = 0;
  bool writable = false;
  if (websocket_) {
    writable = !owner_.WebSocketBlocked();
    if (is_volatile && !writable) return SendResult::kDropped;
    waiting_bytes = owner_.WriteWebSocket(frame);
  } else {
    writable = polling_->poll_waiting;
    if (is_volatile && !writable) return SendResult::kDropped;
    if (writable && polling_->queue.empty()) owner_.ScheduleFlush();
    waiting_bytes = polling_->queued_bytes += frame_bytes;
    polling_->queue.push_back(std::move(frame));
    if (!owner_.OnPollQueue(static_cast<std::ptrdiff_t>(frame_bytes)) && !writable) {
      waiting_bytes = std::numeric_limits<std::size_t>::max();
    }
  }
  if (waiting_bytes > options_.send_queue_limit_bytes && waiting_bytes > frame_bytes) {
    overflow_ = true;
    owner_.ScheduleFlush();
    return SendResult::kDropped;
  }
  return writable ? SendResult::kSent : SendResult::kQueued;
}

void EngineSession::Flush(Time now) {
  if (overflow_) Close(CloseReason::kSlow, now);
  if (polling_ && polling_->poll_waiting && !polling_->queue.empty()) AnswerWaitingPoll(TakePayload());
}

void EngineSession::Close(CloseReason reason, Time now) {
  if (state_ != State::kOpen) return;
  if (websocket_ || DiscardsQueue(reason)) return End(reason, "1");
  // The close packet comes alone, as from the reference: a client that gets it together with events drops those.
  if (polling_->poll_waiting && polling_->queue.empty()) return End(reason, "1");
  if (polling_->poll_waiting) AnswerWaitingPoll(TakePayload());
  state_ = State::kDraining;
  heartbeat_ = now + options_.close_timeout;
  owner_.OnClosed(reason);
  Rearm();
}

void EngineSession::OnTimer(Time now) {
  armed_ = kNever;
  if (polling_ && polling_->upgrade_deadline <= now) DropCandidate();
  if (polling_ && polling_->noop_deadline <= now) ReleasePoll();  // so that the client can go on with the upgrade
  if (heartbeat_ <= now) {
    if (state_ == State::kDraining) return End(CloseReason::kForcedClose, {});
    if (awaiting_pong_) return End(CloseReason::kPingTimeout, "1");
    awaiting_pong_ = true;
    // Counted from when the ping was due, so that a busy machine does not stretch the timeout; but after a standstill
    // of ours clients still get half of it.
    heartbeat_ = std::max(heartbeat_ + options_.ping_timeout, now + options_.ping_timeout / 2);
    Send(PingFrame());
  }
  Rearm();
}

// What the next poll gets; the rest stays.
std::string EngineSession::TakePayload() {
  std::vector<FramePtr>& queue = polling_->queue;
  const auto end = queue.begin() + static_cast<std::ptrdiff_t>(std::min(queue.size(), options_.max_packets_per_poll));
  std::string payload;
  std::size_t taken = 0;
  for (auto frame = queue.begin(); frame != end; ++frame) taken += (*frame)->size_bytes();
  payload.reserve(taken);
  for (auto frame = queue.begin(); frame != end; ++frame) AppendToPayload(**frame, payload);
  queue.erase(queue.begin(), end);
  polling_->queued_bytes -= taken;
  owner_.OnPollQueue(-static_cast<std::ptrdiff_t>(taken));
  return payload;
}

void EngineSession::AnswerWaitingPoll(std::string payload) {
  polling_->poll_waiting = false;
  polling_->noop_deadline = kNever;
  owner_.AnswerPoll(std::move(payload));
}

void EngineSession::ReleasePoll() {
  if (!polling_) return;
  polling_->noop_deadline = kNever;
  if (polling_->poll_waiting) AnswerWaitingPoll(polling_->queue.empty() ? "6" : TakePayload());
}

// Ends the session at once. A waiting GET is answered with `last_packet`, unless that is empty.
void EngineSession::End(CloseReason reason, std::string_view last_packet) {
  if (state_ == State::kFinished) return;
  const bool was_open = state_ == State::kOpen;
  state_ = State::kFinished;
  heartbeat_ = kNever;
  const std::unique_ptr<Polling> old = std::move(polling_);
  if (old) owner_.OnPollQueue(-static_cast<std::ptrdiff_t>(old->queued_bytes));
  const bool has_websocket = websocket_ || upgrade_ != Upgrade::kNone;
  websocket_ = false;
  upgrade_ = Upgrade::kNone;
  if (old && old->poll_waiting && !last_packet.empty()) owner_.AnswerPoll(std::string(last_packet));
  if (has_websocket) owner_.CloseWebSocket(WebSocketCode(reason), DiscardsQueue(reason));
  if (was_open) owner_.OnClosed(reason);
  owner_.OnFinished();
}

void EngineSession::Rearm() {
  Time next = heartbeat_;
  if (polling_) next = std::min({next, polling_->upgrade_deadline, polling_->noop_deadline});
  if (next >= armed_) return;
  armed_ = next;
  owner_.ArmTimer(next);
}

}  // namespace sesior::socketio
