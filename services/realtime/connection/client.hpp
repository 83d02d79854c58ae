// Client: one Engine.IO client with its Socket.IO sockets: joins the state machines of libs/socketio to a connection
// below and to the hub above.
//
// Life:      made for a handshake; ends itself when its session has finished (ClientContext::on_finished, posted by the
//            owner); its sockets have left the hub by then.
// Sessions:  a namespace is joined only when the session behind the handshake's cookie is good; that session is watched
//            as long as the client lives, and when it ends, the client's sockets are told why ("session:ended"
//            {reason}) and disconnected by the server. After a standstill of the thread (SessionWatches) nothing that
//            the client has sent is handled before the session is known to be good. Changes of listed members are told
//            ("session:changed" {member: value}).
// Threading: confined to its loop.
// Memory:    about 700 bytes with one socket, beside the hub's part and the session.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "services/realtime/connection/address_limits.hpp"
#include "services/realtime/connection/answer_packer.hpp"
#include "services/realtime/connection/engine_id.hpp"
#include "services/realtime/connection/session_watches.hpp"
#include "services/realtime/hub/handshake.hpp"
#include "services/realtime/hub/hub.hpp"
#include "services/realtime/metrics.hpp"
#include "services/realtime/transport/channel.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/socketio/engine_session.hpp"
#include "sesior/socketio/server_connection.hpp"

namespace sesior::realtime {

// Takes the messages of Engine.IO as they come, where no Socket.IO is wanted above it. Called on the client's loop.
class RawMessages {
 public:
  virtual ~RawMessages() = default;
  virtual void OnMessage(socketio::EngineSession& session, std::string_view data, bool binary) = 0;
};

// What the clients of one loop share.
struct ClientContext {
  Loop& loop;
  const socketio::EngineOptions& engine;
  const socketio::ServerConnectionOptions& socketio;
  const std::string& cookie_name;
  hub::Hub& hub;
  std::chrono::milliseconds max_age;                // of a client, give or take a tenth; then it has to connect again
  SessionWatches* sessions;                         // null: no session is demanded
  const std::vector<std::string>& changed_members;  // whose changes clients are told; empty: of none
  LoopTallies& tallies;
  AnswerPacker& packer;
  AddressLimits& addresses;
  std::size_t queue_limit_bytes;                          // waiting for the clients of the loop; more: closed as slow
  RawMessages* raw;                                       // null: Socket.IO
  std::function<void(const EngineId::Key&)> on_finished;  // destroy the client, but not inside this call
};

class Client final : public WebSocketUser,
                     private socketio::EngineSession::Owner,
                     private socketio::ServerConnection::Owner,
                     private Timer {
 public:
  // The address has been admitted; it is released with the client. `cookie_header`: of the handshake, empty: none.
  Client(ClientContext& context, const EngineId::Key& key, hub::Handshake handshake, std::string cookie_header);
  ~Client() override;

  // -- from the HTTP front; the exchange is answered now or later --
  void OpenPolling(std::string_view sid, const ExchangePtr& exchange);
  void OpenWebSocket(std::string_view sid, std::shared_ptr<Channel> channel);
  void OnPoll(const ExchangePtr& exchange);
  // The head of a POST. True: answered, its body is not wanted. Else OnPost follows with the same exchange, or
  // OnPostTooLarge.
  bool OnPostBegin(std::string_view content_type, const ExchangePtr& exchange);
  void OnPost(std::string_view content_type, std::string_view body, const ExchangePtr& exchange);
  socketio::EngineAnswer OnPostTooLarge(bool begun);
  // A WebSocket with this client's id has been opened.
  void OnUpgrade(std::shared_ptr<Channel> channel);

  void Close(socketio::CloseReason reason);
  socketio::EngineTransport transport() const { return session_.transport(); }
  // Nothing more comes from it, though its last poll may still be due.
  bool closed() const { return session_.closed(); }
  bool finished() const { return session_.finished(); }

 private:
  class Link;
  struct Self;
  using Slot = socketio::ServerConnection::Slot;
  enum class SessionState : std::uint8_t { kUnknown, kAsked, kCurrent };

  // WebSocketUser
  void OnText(std::string_view text) override;
  void OnBinary(std::string_view bytes) override;
  void OnGone(bool clean) override;
  bool MayRead() override;
  // EngineSession::Owner
  void AnswerPoll(std::string payload) override;
  bool OnPollQueue(std::ptrdiff_t bytes) override;
  std::size_t WriteWebSocket(const socketio::FramePtr& frame) override;
  bool WebSocketBlocked() const override;
  void CloseWebSocket(std::uint16_t code, bool discard_queue) override;
  void ScheduleFlush() override;
  void ArmTimer(Time deadline) override;
  void OnMessage(std::string_view data, bool binary) override;
  void OnClosed(socketio::CloseReason reason) override;
  void OnFinished() override;
  // ServerConnection::Owner
  socketio::SendResult SendFrame(socketio::FramePtr frame, bool is_volatile) override;
  void CloseEngine(socketio::CloseReason reason) override;
  void OnConnect(Slot slot, std::string_view nsp, socketio::JsonValue auth) override;
  void OnEvent(Slot slot, const socketio::Packet& packet) override;
  void OnAck(Slot slot, std::uint64_t id, const socketio::Packet& packet) override;
  void OnDisconnect(Slot slot, socketio::CloseReason reason) override;
  // Timer
  void OnDeadline(Time now) override;

  void OnConfirmed();
  void AnswerHeldPost();
  void CountLimit();
  void TellSessionEnded();
  void TellSessionChanged();
  void EmitToAll(std::string_view event, const hub::Json& argument);
  void AskSession();
  void OnSessionVerdict(SessionVerdict verdict);
  void Join(Slot slot);
  void OnMiddlewareVerdict(Slot slot, std::optional<hub::Refusal> refusal);
  Time connect_deadline() const { return context_.raw == nullptr ? connection_.deadline() : kNever; }
  void Rearm();
  void Answer(const ExchangePtr& exchange, socketio::EngineAnswer answer, bool is_post);

  ClientContext& context_;
  const EngineId::Key key_;
  const hub::Handshake handshake_;
  socketio::EngineSession session_;
  socketio::ServerConnection connection_;
  std::shared_ptr<Channel> channel_;        // the WebSocket, or the candidate of an upgrade
  ExchangePtr poll_;                        // the waiting GET
  ExchangePtr post_;                        // the POST whose body is being read, or held
  std::unique_ptr<std::string> held_post_;  // its body, until MayRead
  std::string cookie_header_;               // until the session is known
  std::unique_ptr<SessionHold> hold_;
  absl::InlinedVector<std::unique_ptr<Link>, 1> links_;  // by slot; null: none
  Time session_deadline_ = kNever;
  Time age_deadline_;
  std::uint32_t last_serial_ = 0;
  SessionState session_state_ = SessionState::kUnknown;
  std::shared_ptr<Self> self_;  // for those who may outlive the client
};

}  // namespace sesior::realtime
