#include "services/realtime/connection/client.hpp"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "services/realtime/connection/end_reason.hpp"
#include "services/realtime/hub/own_rooms.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::realtime {

using socketio::CloseReason;
using socketio::EngineAnswer;
using socketio::FramePtr;
using socketio::SendResult;

namespace {

// Clients that came together shall not go together.
Time AgeDeadline(std::chrono::milliseconds max_age) {
  thread_local absl::InsecureBitGen random;
  return Loop::Now() + std::chrono::duration_cast<Time::duration>(max_age * absl::Uniform(random, 0.9, 1.1));
}

// So that BroadcastService.Emit reaches the socket by its session and its user. `previous`: the session before, null at
// first; what of it holds no longer is left.
void JoinOwnRooms(hub::Socket& socket, const session::v1::Session* previous) {
  if (previous != nullptr) {
    for (const std::string& room : {hub::SessionRoomOf(*previous), hub::UserRoomOf(*previous)}) socket.Leave(room);
  }
  const SessionPtr session = socket.session();
  if (!session) return;
  for (const std::string& room : {hub::SessionRoomOf(*session), hub::UserRoomOf(*session)}) {
    if (!room.empty()) socket.Join(room);
  }
}

}  // namespace

// One namespace the client has asked for.
class Client::Link final : public hub::Link {
 public:
  // What has to be kept while the session service is asked.
  struct Asked {
    std::string nsp;
    std::string auth;
  };

  Link(Client& client, Slot slot, Asked question)
      : serial(++client.last_serial_),
        asked(std::make_unique<Asked>(std::move(question))),
        client_(client),
        slot_(slot) {}

  SendResult Send(FramePtr frame, bool is_volatile) override {
    return client_.connection_.Send(slot_, std::move(frame), is_volatile);
  }
  void SendAck(std::uint64_t id, std::string_view args, std::span<const std::string> attachments) override {
    client_.connection_.SendAck(slot_, id, args, attachments);
  }
  void Disconnect(bool close) override {
    if (close) {
      client_.connection_.DisconnectAll(CloseReason::kServerDisconnect);
    } else {
      client_.connection_.Disconnect(slot_);
    }
  }
  const SessionPtr& session() const override {
    static const SessionPtr none;
    return client_.hold_ ? client_.hold_->session() : none;
  }
  const hub::Handshake& handshake() const override { return client_.handshake_; }

  const std::uint32_t serial;  // tells it from others that had the slot before
  std::unique_ptr<Asked> asked;
  std::shared_ptr<hub::Socket> socket;

 private:
  Client& client_;
  const Slot slot_;
};

// Null once the client is gone.
struct Client::Self final : Loop::Flushable {
  explicit Self(Client& alive) : client(&alive) {}
  void Flush() override {
    if (client != nullptr) client->session_.Flush(Loop::Now());
  }
  Client* client;
};

Client::Client(ClientContext& context, const EngineId::Key& key, hub::Handshake handshake, std::string cookie_header)
    : Timer(context.loop.timers()),
      context_(context),
      key_(key),
      handshake_(std::move(handshake)),
      session_(context.engine, *this),
      connection_(context.socketio, *this, Loop::Now()),
      cookie_header_(std::move(cookie_header)),
      age_deadline_(AgeDeadline(context.max_age)),
      self_(std::make_shared<Self>(*this)) {
  context_.tallies.clients.Add();
}

Client::~Client() {
  self_->client = nullptr;
  if (poll_) poll_->on_gone = poll_->on_hurry = nullptr;
  if (post_) post_->on_gone = nullptr;
  context_.tallies.clients.Subtract(1);
  context_.addresses.Release(handshake_.address);
}

// -- long-polling --

void Client::Answer(const ExchangePtr& exchange, EngineAnswer answer, bool is_post) {
  const char* type = answer.status != 200 ? "application/json" : is_post ? "text/html" : "text/plain; charset=UTF-8";
  http::Response response(answer.status);
  if (!answer.body.empty()) response.Add("Content-Type", type);
  response.Add("Cache-Control", "no-store");
  // Only polls have a coding.
  context_.packer.Answer(exchange, std::move(response), std::move(answer.body));
}

void Client::OpenPolling(std::string_view sid, const ExchangePtr& exchange) {
  session_.OpenPolling(sid, Loop::Now());
  Rearm();
  OnPoll(exchange);
}

void Client::OnPoll(const ExchangePtr& exchange) {
  if (std::optional<EngineAnswer> answer = session_.OnPoll(Loop::Now()))
    return Answer(exchange, *std::move(answer), false);
  poll_ = exchange;
  poll_->on_gone = [this] {
    poll_.reset();
    session_.OnPollAborted(Loop::Now());
  };
  if (poll_->from_replica) poll_->on_hurry = [this] { session_.ReleasePoll(); };
}

void Client::AnswerPoll(std::string payload) {
  const ExchangePtr poll = std::move(poll_);
  if (!poll) return;
  poll->on_gone = nullptr;
  poll->on_hurry = nullptr;
  Answer(poll, {200, std::move(payload)}, false);
}

bool Client::OnPollQueue(std::ptrdiff_t bytes) {
  Tally& queued = context_.tallies.queued_bytes;
  if (bytes < 0) {
    queued.Subtract(static_cast<std::uint64_t>(-bytes));
  } else {
    queued.Add(static_cast<std::uint64_t>(bytes));
  }
  return queued.value() <= context_.queue_limit_bytes;
}

bool Client::OnPostBegin(std::string_view content_type, const ExchangePtr& exchange) {
  if (std::optional<EngineAnswer> answer = session_.OnPostBegin(content_type, Loop::Now())) {
    Answer(exchange, *std::move(answer), true);
    return true;
  }
  post_ = exchange;
  post_->on_gone = [this] {
    post_.reset();
    held_post_.reset();
    session_.OnPostAborted(Loop::Now());
  };
  return false;
}

void Client::OnPost(std::string_view content_type, std::string_view body, const ExchangePtr& exchange) {
  if (post_ != exchange && OnPostBegin(content_type, exchange)) return;
  held_post_ = std::make_unique<std::string>(body);
  if (MayRead()) AnswerHeldPost();
}

void Client::AnswerHeldPost() {
  const std::unique_ptr<std::string> body = std::move(held_post_);
  if (!body) return;
  const ExchangePtr post = std::move(post_);
  post->on_gone = nullptr;
  Answer(post, session_.OnPost(*body, Loop::Now()), true);
}

EngineAnswer Client::OnPostTooLarge(bool begun) {
  if (!begun) return {413, {}};  // another POST may be in progress
  post_.reset();
  return session_.OnPostTooLarge();
}

// -- WebSocket --

void Client::OpenWebSocket(std::string_view sid, std::shared_ptr<Channel> channel) {
  channel_ = std::move(channel);
  session_.OpenWebSocket(sid, Loop::Now());
  Rearm();
}

void Client::OnUpgrade(std::shared_ptr<Channel> channel) {
  if (session_.OnWebSocketOpen(Loop::Now())) {
    channel_ = std::move(channel);
  } else {
    channel->CloseWebSocket(0, false);
  }
}

void Client::OnText(std::string_view text) { session_.OnWebSocketText(text, Loop::Now()); }
void Client::OnBinary(std::string_view bytes) { session_.OnWebSocketBinary(bytes, Loop::Now()); }
void Client::OnGone(bool clean) {
  channel_.reset();
  session_.OnWebSocketClosed(clean, Loop::Now());
}

bool Client::MayRead() { return !hold_ || hold_->MayHandle(); }

void Client::OnConfirmed() {
  if (held_post_ && MayRead()) AnswerHeldPost();
  if (const std::shared_ptr<Channel> channel = channel_) channel->Resume();
}

std::size_t Client::WriteWebSocket(const FramePtr& frame) {
  return channel_ ? channel_->Write(Bytes(frame, &frame->wire())) : 0;
}

bool Client::WebSocketBlocked() const { return channel_ && channel_->blocked(); }

void Client::CloseWebSocket(std::uint16_t code, bool discard_queue) {
  if (const std::shared_ptr<Channel> channel = std::move(channel_)) channel->CloseWebSocket(code, discard_queue);
}

// -- both --

void Client::ScheduleFlush() { context_.loop.FlushLater(self_); }

void Client::ArmTimer(Time deadline) {
  session_deadline_ = deadline;
  Rearm();
}

void Client::Rearm() { ArmAt(std::min({session_deadline_, age_deadline_, connect_deadline()})); }

void Client::OnDeadline(Time now) {
  if (session_deadline_ <= now) {
    session_deadline_ = kNever;
    // A ping is due, so the one before was answered.
    if (hold_ && context_.sessions->touch_on() == TouchOn::kHeartbeat) hold_->Touch();
    session_.OnTimer(now);
  }
  if (connect_deadline() <= now) connection_.OnTimer(now);
  if (age_deadline_ <= now) {
    age_deadline_ = kNever;
    if (!closed()) context_.tallies.aged_closed.Add();
    Close(CloseReason::kAged);
  }
  Rearm();
}

void Client::Close(CloseReason reason) { session_.Close(reason, Loop::Now()); }

void Client::OnMessage(std::string_view data, bool binary) {
  context_.tallies.messages_in.Add();
  if (hold_ && context_.sessions->touch_on() == TouchOn::kPacket) hold_->Touch();
  if (context_.raw != nullptr) return context_.raw->OnMessage(session_, data, binary);
  connection_.OnMessage(data, binary, Loop::Now());
}

void Client::OnClosed(CloseReason reason) {
  if (reason == CloseReason::kSlow) context_.tallies.slow_closed.Add();
  CountLimit();
  connection_.OnClosed(reason);
  AnswerHeldPost();
  Rearm();
}

void Client::CountLimit() {
  switch (connection_.limit()) {
    case socketio::Limit::kNone:
      return;
    case socketio::Limit::kNamespaces:
      return context_.tallies.namespaces_refused.Add();
    case socketio::Limit::kAttachments:
      return context_.tallies.attachments_refused.Add();
    case socketio::Limit::kPacketBytes:
      return context_.tallies.packet_bytes_refused.Add();
    case socketio::Limit::kPackets:
      return context_.tallies.packets_refused.Add();
  }
}

void Client::OnFinished() {
  age_deadline_ = kNever;
  AnswerHeldPost();
  ArmAt(kNever);
  context_.on_finished(key_);
}

SendResult Client::SendFrame(FramePtr frame, bool is_volatile) {
  const SendResult result = session_.Send(std::move(frame), is_volatile);
  if (result == SendResult::kDropped) context_.tallies.frames_dropped.Add();
  return result;
}

void Client::CloseEngine(CloseReason reason) { session_.Close(reason, Loop::Now()); }

// -- namespaces --

void Client::OnConnect(Slot slot, std::string_view nsp, socketio::JsonValue auth) {
  if (!context_.hub.Has(nsp, auth)) {
    connection_.Refuse(slot, "Invalid namespace");
    return;
  }
  if (links_.size() <= slot) links_.resize(slot + std::size_t{1});
  links_[slot] = std::make_unique<Link>(*this, slot, Link::Asked{std::string(nsp), std::string(auth.text())});
  if (context_.sessions == nullptr || session_state_ == SessionState::kCurrent) return Join(slot);
  if (session_state_ == SessionState::kUnknown) AskSession();
}

void Client::AskSession() {
  session_state_ = SessionState::kAsked;
  if (!SessionWatches::IsPlausible(cookie_header_, context_.cookie_name) ||
      context_.sessions->forged().Has(cookie_header_, Loop::Now())) {
    return OnSessionVerdict(SessionVerdict::kRefused);
  }
  hold_ = context_.sessions->Open(cookie_header_, [this](SessionVerdict verdict) { OnSessionVerdict(verdict); });
}

void Client::OnSessionVerdict(SessionVerdict verdict) {
  if (verdict == SessionVerdict::kEnded) {
    context_.tallies.sessions_ended.Add();
    TellSessionEnded();
    return connection_.DisconnectAll(CloseReason::kSessionEnded);
  }
  if (verdict == SessionVerdict::kForged) {
    context_.sessions->forged().Remember(cookie_header_, Loop::Now());
    return OnSessionVerdict(SessionVerdict::kRefused);
  }
  if (verdict == SessionVerdict::kConfirmed) return OnConfirmed();
  if (verdict == SessionVerdict::kChanged) {
    for (const std::unique_ptr<Link>& link : links_) {
      if (link && link->socket && link->socket->connected()) JoinOwnRooms(*link->socket, hold_->previous().get());
    }
    return TellSessionChanged();
  }
  const bool is_current = verdict == SessionVerdict::kCurrent;
  if (is_current) {
    cookie_header_ = std::string();
    session_state_ = SessionState::kCurrent;
  } else {
    // The client may ask again on this connection; the answer may be another one then.
    hold_.reset();
    session_state_ = SessionState::kUnknown;
    auto& tally =
        verdict == SessionVerdict::kRefused ? context_.tallies.connect_refused : context_.tallies.connect_failed;
    tally.Add();
  }
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (!links_[i] || !links_[i]->asked) continue;
    const Slot slot = static_cast<Slot>(i);
    if (is_current) {
      Join(slot);
    } else {
      links_[i].reset();
      connection_.Refuse(slot, verdict == SessionVerdict::kRefused ? "Not authorized" : "Service unavailable");
    }
  }
}

void Client::TellSessionEnded() {
  EmitToAll("session:ended", hub::Json::Object({{"reason", Text(hold_->end_reason())}}));
}

void Client::TellSessionChanged() {
  if (context_.changed_members.empty()) return;
  const auto before = socketio::JsonValue::Parse(hold_->previous()->data_json());
  const auto now = socketio::JsonValue::Parse(hold_->session()->data_json());
  std::string changes;
  for (const std::string& name : context_.changed_members) {
    const auto old_value = before ? before->Member(name) : std::nullopt;
    const auto new_value = now ? now->Member(name) : std::nullopt;
    const std::string_view text = new_value ? new_value->text() : "null";
    if (text == (old_value ? old_value->text() : "null")) continue;
    changes.push_back(changes.empty() ? '{' : ',');
    socketio::AppendJsonString(changes, name);
    changes.append(":").append(text);
  }
  if (changes.empty()) return;
  EmitToAll("session:changed", hub::Json::Raw(changes + '}'));
}

void Client::EmitToAll(std::string_view event, const hub::Json& argument) {
  // By index: what listens to outgoing events may add links.
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] && links_[i]->socket) links_[i]->socket->Emit(event, argument);
  }
}

void Client::Join(Slot slot) {
  Link& link = *links_[slot];
  const std::unique_ptr<Link::Asked> asked = std::move(link.asked);
  link.socket = context_.hub.Connect(
      asked->nsp, NewShortId(), socketio::JsonValue(asked->auth), link,
      [&loop = context_.loop, self = self_, slot, serial = link.serial](std::optional<hub::Refusal> refusal) {
        // A turn of its own, since the verdict may come from inside Connect.
        loop.Post([self, slot, serial, refusal = std::move(refusal)]() mutable {
          Client* const client = self->client;
          if (client == nullptr || slot >= client->links_.size()) return;
          const Link* const current = client->links_[slot].get();
          if (current != nullptr && current->serial == serial) client->OnMiddlewareVerdict(slot, std::move(refusal));
        });
      });
}

void Client::OnMiddlewareVerdict(Slot slot, std::optional<hub::Refusal> refusal) {
  if (refusal) {
    const std::unique_ptr<Link> link = std::move(links_[slot]);
    if (link->socket) context_.hub.OnDisconnect(*link->socket, CloseReason::kForcedServerClose);
    connection_.Refuse(slot, refusal->message, refusal->data ? refusal->data->text() : std::string_view());
    return;
  }
  const std::shared_ptr<hub::Socket> socket = links_[slot]->socket;
  if (!connection_.Accept(slot, socket->id())) return;
  context_.tallies.sockets.Add();
  Rearm();  // the connect timeout is over
  JoinOwnRooms(*socket, nullptr);
  context_.hub.Admit(*socket);
}

void Client::OnEvent(Slot slot, const socketio::Packet& packet) { context_.hub.OnEvent(*links_[slot]->socket, packet); }

void Client::OnAck(Slot slot, std::uint64_t id, const socketio::Packet& packet) {
  context_.hub.OnAck(*links_[slot]->socket, id, packet);
}

void Client::OnDisconnect(Slot slot, CloseReason reason) {
  const std::unique_ptr<Link> link = std::move(links_[slot]);
  if (!link || !link->socket) return;
  if (link->socket->connected()) context_.tallies.sockets.Subtract(1);
  context_.hub.OnDisconnect(*link->socket, reason);
}

}  // namespace sesior::realtime
