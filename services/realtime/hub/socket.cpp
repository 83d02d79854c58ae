#include "services/realtime/hub/socket.hpp"

#include <algorithm>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "services/realtime/hub/hub.hpp"
#include "services/realtime/hub/own_rooms.hpp"
#include "services/realtime/hub/room.hpp"

namespace sesior::realtime::hub {

namespace {

// Reserved rooms (own_rooms.hpp): a socket can be in those of its own session and in no other, whatever an application
// joins it to at a client's word, and does not leave them.
bool IsOwn(std::string_view room, const SessionPtr& session) {
  return session && (room == SessionRoomOf(*session) || room == UserRoomOf(*session));
}

}  // namespace

struct Socket::Extra {
  struct PendingAck {
    AckHandler on_ack;
    std::unique_ptr<Loop::Timer> timer;
  };
  std::string auth;
  absl::flat_hash_map<std::uint64_t, PendingAck> acks;
  std::deque<Work> work;
  bool working = false;
};

Socket::Socket(std::shared_ptr<Namespace> nsp, Link& link, std::string id, std::string auth)
    : nsp_(std::move(nsp)), link_(&link), id_(std::move(id)) {
  if (auth != "{}") extra().auth = std::move(auth);
}

Socket::~Socket() = default;

Loop& Socket::loop() const { return nsp_->hub().loop(); }

Socket::Extra& Socket::extra() {
  if (!extra_) extra_ = std::make_unique<Extra>();
  return *extra_;
}

const Handshake& Socket::handshake() const {
  static const Handshake none;
  return link_ != nullptr ? link_->handshake() : none;
}

JsonValue Socket::auth() const { return extra_ && !extra_->auth.empty() ? JsonValue(extra_->auth) : JsonValue("{}"); }

void Socket::ForgetAuth() {
  if (!extra_) return;
  extra_->auth = {};
  ForgetEmptyExtra();
}

void Socket::ForgetEmptyExtra() {
  if (extra_ && extra_->auth.empty() && extra_->acks.empty() && extra_->work.empty() && !extra_->working)
    extra_.reset();
}

SendResult Socket::EmitArgs(const Json& args, bool is_volatile) {
  if (!connected() || !TakesBinaries(args)) return SendResult::kDropped;
  const SendResult result = link_->Send(Encoded(args, std::nullopt), is_volatile);
  if (result != SendResult::kDropped) TellOutgoing(args);
  return result;
}

void Socket::EmitWithAck(const Json& args, std::chrono::milliseconds timeout, AckHandler on_ack) {
  absl::Status error;
  if (!connected()) {
    error = absl::CancelledError("the socket has disconnected");
  } else if (!TakesBinaries(args)) {
    error = absl::InvalidArgumentError("an event takes at most 10 binaries");
  } else if (extra().acks.size() >= nsp_->hub().options().max_pending_acks) {
    nsp_->hub().tallies().acks_refused.Add();
    error = absl::ResourceExhaustedError("the socket has too many acknowledgements pending");
  }
  if (!error.ok()) {
    loop().Post([on_ack = std::move(on_ack), error = std::move(error)]() mutable { std::move(on_ack)(error); });
    return;
  }
  const std::uint64_t id = nsp_->last_ack_id_++;
  auto on_timeout = [weak = weak(), id] {
    const std::shared_ptr<Socket> socket = weak.lock();
    if (!socket || !socket->extra_) return;
    auto pending = socket->extra_->acks.extract(id);
    socket->ForgetEmptyExtra();
    if (pending) std::move(pending.mapped().on_ack)(absl::DeadlineExceededError(kTimedOut));
  };
  extra().acks.emplace(id, Extra::PendingAck{std::move(on_ack), loop().After(timeout, std::move(on_timeout))});
  if (link_->Send(Encoded(args, id), false) != SendResult::kDropped) TellOutgoing(args);
}

socketio::FramePtr Socket::Encoded(const Json& args, std::optional<std::uint64_t> ack_id) const {
  return socketio::EncodeEvent(nsp_->name(), args.text(), args.attachments(), ack_id, nsp_->hub().options().format);
}

bool Socket::TakesBinaries(const Json& args) const {
  if (args.attachments().size() <= socketio::kMaxAttachments) return true;
  nsp_->hub().tallies().binaries_refused.Add();
  return false;
}

void Socket::TellOutgoing(const Json& args) {
  if (nsp_->on_any_outgoing_.empty()) return;
  const std::shared_ptr<Socket> self = shared_from_this();
  nsp_->TellOutgoing({&self, 1}, args.text(), args.attachments());
}

bool Socket::OnAck(std::uint64_t id, const socketio::Packet& packet) {
  if (!extra_) return false;
  auto pending = extra_->acks.extract(id);
  if (!pending) return false;
  ForgetEmptyExtra();
  const Arguments answer(packet);
  std::move(pending.mapped().on_ack)(&answer);
  return true;
}

void Socket::FailAcks() {
  if (!extra_) return;
  auto acks = std::exchange(extra_->acks, {});
  for (auto& [id, pending] : acks) std::move(pending.on_ack)(absl::CancelledError("the socket has disconnected"));
}

Target Socket::Broadcast() { return Target(*nsp_, {{}, {id_}}); }
Target Socket::To(std::string room) { return Target(*nsp_, {{std::move(room)}, {id_}}); }
Target Socket::Except(std::string room) { return Target(*nsp_, {{}, {id_, std::move(room)}}); }

bool Socket::Join(std::string_view room) {
  if (IsReservedRoom(room) && !IsOwn(room, session())) return false;
  return nsp_->Join(*this, room);
}

void Socket::Leave(std::string_view room) {
  if (IsReservedRoom(room) && IsOwn(room, session())) return;
  if (Room* found = nsp_->FindRoom(room)) nsp_->Leave(*this, *found);
}

bool Socket::InRoom(std::string_view room) const {
  return room == id_ || std::any_of(rooms_.begin(), rooms_.end(), [room](const Room* r) { return r->name == room; });
}

std::vector<std::string> Socket::Rooms() const {
  std::vector<std::string> names;
  names.reserve(rooms_.size());
  for (const Room* room : rooms_) {
    if (!IsReservedRoom(room->name)) names.push_back(room->name);
  }
  return names;
}

void Socket::Disconnect(bool close) {
  if (link_ != nullptr) link_->Disconnect(close);
}

Done<void> Socket::Finish(absl::AnyInvocable<void(Socket&, absl::Status) &&> next) {
  return [&loop = loop(), socket = shared_from_this(), next = std::move(next)](absl::Status result) mutable {
    loop.Post([socket = std::move(socket), next = std::move(next), result = std::move(result)]() mutable {
      std::move(next)(*socket, std::move(result));
    });
  };
}

bool Socket::InOrder(Work work) {
  Extra& mine = extra();
  if (mine.work.size() >= nsp_->hub().options().max_queued_work) {
    nsp_->hub().tallies().work_refused.Add();
    return false;
  }
  mine.work.push_back(std::move(work));
  if (!std::exchange(mine.working, true)) {
    loop().Post([self = shared_from_this()] { self->RunNextWork(); });
  }
  return true;
}

void Socket::RunNextWork() {
  if (extra_->work.empty()) {
    extra_->working = false;
    return ForgetEmptyExtra();
  }
  Work work = std::move(extra_->work.front());
  extra_->work.pop_front();
  // A finished work posts the next: however many end at once, the stack stays flat.
  std::move(work)(*this, [self = shared_from_this()] { self->loop().Post([self] { self->RunNextWork(); }); });
}

}  // namespace sesior::realtime::hub
