// EngineSession: one Engine.IO 4 session as a state machine: long-polling, WebSocket, the upgrade between them, the
// heartbeat, and the ways it ends. Calls come in with the time, the consequences go out through Owner.
//
// The owner holds the HTTP exchanges and the sockets. At any time a session has at most one waiting GET, one POST in
// progress, and one WebSocket (its transport, or the candidate of an upgrade), so none of them needs a name here.
//
// Life:      OpenPolling or OpenWebSocket once; then any calls; Owner::OnClosed once, when no message will come any
// more;
//            Owner::OnFinished once, after it, when nothing will go out any more and the owner may forget the session.
//            Calls after that are harmless and answer as for an unknown session.
// Ownership: does not own its Owner or options; both outlive it. The owner must not destroy the session from inside an
//            Owner call (post it).
// Threading: thread-compatible, confined to its owner's thread. Owner calls happen inside the session's own calls and
// may
//            call back in (Send, Close).
// Bounds:    what waits for the client counts against `send_queue_limit_bytes`; beyond it the frame is dropped and the
//            session closes as kSlow at the next Flush, never inside Send, so that a broadcast loop stays undisturbed.
//            A frame that finds nothing waiting is taken whatever its size. The owner may set a bound over all its
//            sessions (OnPollQueue). A poll takes at most `max_packets_per_poll`; the next one gets the rest.
// Memory:    a session on an idle WebSocket holds no buffer; the polling state is allocated only while needed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sesior/socketio/close_reason.hpp"
#include "sesior/socketio/engine_codec.hpp"
#include "sesior/socketio/frame.hpp"

namespace sesior::socketio {

using Time = std::chrono::steady_clock::time_point;
inline constexpr Time kNever = Time::max();

enum class SendResult : std::uint8_t {
  kSent,     // handed to a transport that takes it now
  kQueued,   // waits: no poll is there, an upgrade is under way, or the socket is blocked
  kDropped,  // closed, over the limit, or volatile and not writable
};

// The answer to one HTTP request of the session.
struct EngineAnswer {
  int status = 200;
  std::string body;  // 200: text/plain; charset=UTF-8 to a GET, text/html to a POST; else application/json, or empty
};

class EngineSession {
 public:
  class Owner {
   public:
    // Ends the waiting GET with status 200 and this payload.
    virtual void AnswerPoll(std::string payload) = 0;
    // What waits for a GET has grown or shrunk by so many bytes. False: there is no room for what was added; then the
    // frame is dropped and the session closes as if it were over its own limit. Asked only when no GET is there.
    virtual bool OnPollQueue(std::ptrdiff_t bytes) = 0;

    // Queues the frame on the session's WebSocket, to be written when this turn of the loop is over, and returns the
    // bytes that now wait there, this frame's included.
    virtual std::size_t WriteWebSocket(const FramePtr& frame) = 0;
    // Did the last attempt to write leave bytes behind?
    virtual bool WebSocketBlocked() const = 0;
    // The session's WebSocket is done: write what is queued (unless `discard_queue`), then a close frame (code 0: an
    // empty one), then close. The session has forgotten it already.
    virtual void CloseWebSocket(std::uint16_t code, bool discard_queue) = 0;

    // Call Flush once before the loop waits again.
    virtual void ScheduleFlush() = 0;
    // Call OnTimer at `deadline`. Called only when it is earlier than the one asked for before (or that one has
    // passed).
    virtual void ArmTimer(Time deadline) = 0;

    // A message from the client. The view ends with the call.
    virtual void OnMessage(std::string_view data, bool binary) = 0;
    virtual void OnClosed(CloseReason reason) = 0;
    virtual void OnFinished() = 0;

   protected:
    ~Owner() = default;
  };

  EngineSession(const EngineOptions& options, Owner& owner);
  ~EngineSession();
  EngineSession(const EngineSession&) = delete;
  EngineSession& operator=(const EngineSession&) = delete;

  // -- start: exactly one of them. `sid` goes into the open packet and is not kept. --
  // The request that opened the session is then given to OnPoll, which answers it at once.
  void OpenPolling(std::string_view sid, Time now);
  void OpenWebSocket(std::string_view sid, Time now);

  // -- long-polling (VerifyEngineRequest has let the request pass) --
  // A GET. nullopt: it waits, and AnswerPoll or OnPollAborted ends it.
  std::optional<EngineAnswer> OnPoll(Time now);
  // The connection of the waiting GET is gone. The session closes.
  void OnPollAborted(Time now);
  // Answers the waiting GET now, with a noop if nothing is queued: who carries it is going away. The session goes on.
  void ReleasePoll();
  // The head of a POST is there. An answer: send it instead of reading the body (the session has closed).
  // nullopt: exactly one of OnPost, OnPostTooLarge, OnPostAborted follows.
  std::optional<EngineAnswer> OnPostBegin(std::string_view content_type, Time now);
  EngineAnswer OnPost(std::string_view body, Time now);
  // The body exceeds max_payload_bytes: 413; the session goes on.
  EngineAnswer OnPostTooLarge();
  void OnPostAborted(Time now);

  // -- WebSocket --
  // A WebSocket with this session's id was opened. False: the session has no use for it; close it (the session is
  // untouched). True: it is the candidate of an upgrade, and what it brings goes to the calls below.
  bool OnWebSocketOpen(Time now);
  void OnWebSocketText(std::string_view text, Time now);
  void OnWebSocketBinary(std::string_view bytes, Time now);
  // It is gone: `clean` when the peer closed it in due form. Not called for one that CloseWebSocket has closed.
  void OnWebSocketClosed(bool clean, Time now);

  // -- both --
  // A volatile frame is dropped, whole, when it could not leave in this turn. Never closes (see Bounds).
  SendResult Send(FramePtr frame, bool is_volatile = false);
  // Answers the waiting poll with all that is queued; closes when the limit was exceeded.
  void Flush(Time now);
  // OnClosed(reason) comes from inside this call, unless the session is closed already. Queued frames still go out,
  // followed by a close, unless DiscardsQueue(reason).
  void Close(CloseReason reason, Time now);
  // Early calls are harmless.
  void OnTimer(Time now);

  EngineTransport transport() const { return websocket_ ? EngineTransport::kWebSocket : EngineTransport::kPolling; }
  // No more messages will come. (Over polling a closed session still answers one GET.)
  bool closed() const { return state_ != State::kOpen; }
  bool finished() const { return state_ == State::kFinished; }

 private:
  enum class State : std::uint8_t {
    kNew,
    kOpen,
    kDraining,
    kFinished
  };  // kDraining: closed, the next GET takes the rest
  enum class Upgrade : std::uint8_t { kNone, kOpened, kProbed };
  struct Polling;

  void Start(Time now);
  EngineAnswer Refusal() const;
  bool OnPacket(const EnginePacket& packet, Time now);
  void OnCandidateText(std::string_view text, Time now);
  void CompleteUpgrade(Time now);
  void ForgetCandidate();
  void DropCandidate();
  std::string TakePayload();
  void AnswerWaitingPoll(std::string payload);
  void End(CloseReason reason, std::string_view last_packet);
  void Rearm();

  const EngineOptions& options_;
  Owner& owner_;
  std::unique_ptr<Polling> polling_;  // null once the transport is the WebSocket
  Time heartbeat_ = kNever;           // next ping, or pong overdue; while draining: give up
  Time armed_ = kNever;               // what the owner was last asked for
  State state_ = State::kNew;
  Upgrade upgrade_ = Upgrade::kNone;  // how far the candidate has come; not kNone: there is one
  bool websocket_ = false;            // the transport is the WebSocket
  bool awaiting_pong_ = false;
  bool overflow_ = false;
};

}  // namespace sesior::socketio
