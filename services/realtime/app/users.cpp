#include "services/realtime/app/users.hpp"

#include <utility>

#include "services/realtime/app/error_text.hpp"
#include "services/realtime/bus/session_bus.hpp"
#include "sesior/base/ids.hpp"
#include "sesior/base/user_name.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::realtime::app {
namespace {

using hub::Event;
using hub::Json;
using hub::JsonValue;
using hub::Reply;
using hub::Socket;
using session_client::SessionPtr;

namespace session_v1 = session::v1;
namespace presence_v1 = presence::v1;

constexpr char kUserName[] = "userName";  // the record's member, and the namespace of the claim that makes it unique
constexpr int kMaxListed = 1'000;

// What is kept with each socket.
struct User final : hub::SocketData {
  SessionPtr newest;       // from an answer of the service, where that is newer than the watch; else null
  std::string session_id;  // for after the disconnect
  std::string owned_name;  // the name that is known to be claimed by this session
  bool announced = false;  // counted by presence
};

User& UserOf(Socket& socket) {
  if (!socket.data) {
    auto user = std::make_unique<User>();
    if (const SessionPtr session = socket.session()) user->session_id = session->session_id();
    socket.data = std::move(user);
  }
  return static_cast<User&>(*socket.data);
}

// The session as it is known best: the watch may be a moment behind an answer. Null: the socket has none.
SessionPtr SessionOf(Socket& socket) {
  User& user = UserOf(socket);
  SessionPtr watched = socket.session();
  if (user.newest && watched && watched->revision() >= user.newest->revision()) user.newest.reset();
  return user.newest ? user.newest : watched;
}

void Remember(Socket& socket, session_v1::Session session) {
  UserOf(socket).newest = std::make_shared<const session_v1::Session>(std::move(session));
}

session_v1::Claim NameClaim(const std::string& name) {
  session_v1::Claim claim;
  claim.set_namespace_(kUserName);
  claim.set_value(name);
  claim.set_member(kUserName);
  return claim;
}

Json UserJson(const std::string& name) { return Json::Object({{kUserName, name}}); }

Broadcast LeftBroadcast(const std::string& name) { return {.args = Json::Array("user:left", name).text()}; }

// Stands in the announcement for the name that the session held when the claim changed hands, which only the service
// knows for sure. Nobody can guess it, so no name can contain it.
const std::string& PreviousNamePlaceholder() {
  static const std::string token = "previous-" + NewRequestId();
  return token;
}

// The name, what the others hear of it, and how the session shows from now on: one step.
session_v1::UpdateSessionRequest RenameRequest(const std::string& session_id, const std::string& new_name,
                                               const Socket& sender) {
  session_v1::UpdateSessionRequest request;
  request.mutable_session()->set_session_id(session_id);
  request.set_merge_patch_json("{}");

  session_v1::Claim& claim = *request.add_claims();
  claim = NameClaim(new_name);
  claim.set_previous_placeholder(PreviousNamePlaceholder());

  const Json user = UserJson(new_name);
  const Json renamed = Json::Object({{"oldUserName", PreviousNamePlaceholder()}, {"user", user}});
  Broadcast to_others{.nsp = sender.nsp().name(), .args = Json::Array("user:renamed", renamed).text()};
  to_others.to.except.push_back(sender.id());
  *request.mutable_announcement()->mutable_broadcast() = ToProto(to_others);

  session_v1::PresenceChange& face = *request.mutable_presence();
  face.set_namespace_(sender.nsp().name());
  face.set_key(new_name);
  face.set_value_json(user.text());
  *face.mutable_left() = ToProto(LeftBroadcast(new_name));
  return request;
}

// {<name>:{userName}, ...}: all who are online, or the caller and the newest.
Json ListJson(const presence_v1::ListOnlineResponse& online, const std::string& caller) {
  std::string text = "{";
  int listed = 0;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (listed++ > 0) text.push_back(',');
    socketio::AppendJsonString(text, name);
    text.append(":").append(value);
  };
  add(caller, UserJson(caller).text());
  for (const presence_v1::OnlineEntry& entry : online.entries()) {
    if (entry.key() != caller && listed < kMaxListed) add(entry.key(), entry.value_json());
  }
  text.push_back('}');
  return Json::Raw(std::move(text));
}

}  // namespace

// -- To read as a tutorial, top down --
//
// An application is a Setup: it names its events, once for every thread. A handler gets the socket and the event; it
// answers by event.reply(), whenever it is ready, and tells others by socket.To(room).Emit(...).

void Users::Setup(hub::Namespace& nsp) {
  nsp.On("user:connected", [this](Socket& socket, const Event& event) { OnConnected(socket, event); });
  nsp.On("user:rename", [this](Socket& socket, const Event& event) { OnRename(socket, event); });
  nsp.OnDisconnect([this](Socket& socket, hub::CloseReason reason) { OnDisconnect(socket, reason); });
}

std::optional<std::string> Users::NameOf(const session_v1::Session& session) {
  const std::optional<JsonValue> data = JsonValue::Parse(session.data_json());
  const std::optional<JsonValue> name = data ? data->Member(kUserName) : std::nullopt;
  return name ? name->AsString() : std::nullopt;
}

std::optional<Face> Users::FaceOf(const session_v1::Session& session) {
  const std::optional<std::string> name = NameOf(session);
  if (!name || name->empty()) return std::nullopt;
  return Face{*name,
              UserJson(*name).text(),
              {.args = Json::Array("user:joined", UserJson(*name)).text()},
              LeftBroadcast(*name)};
}

// -- user:connected --

// One user:connected on its way: passed from step to step, answered once. A handler never waits: each step starts one
// call and gives it the next step, which Socket::Then brings back to this thread, with the socket still alive.
struct Users::Announcement {
  std::string name;
  Reply reply;
  Socket::Finished finished;

  void Refuse(const std::string& error) {
    std::move(reply)(error);
    std::move(finished)();
  }
};

// Read says whether the arguments are what they should be; what is to outlive the handler is copied. InOrder runs the
// work of one socket one after another, though each takes its time.
void Users::OnConnected(Socket& socket, const Event& event) {
  const auto args = event.Read<std::string>();
  if (!args.ok()) return event.reply()("userName must be a string");
  auto announcement = std::make_shared<Announcement>(Announcement{std::get<0>(*args), event.reply(), nullptr});
  const bool taken = socket.InOrder([this, announcement](Socket& self, Socket::Finished finished) {
    announcement->finished = std::move(finished);
    CheckName(self, announcement);
  });
  if (!taken) std::move(announcement->reply)("Too many requests at once");
}

// Only the session's own name can be announced. The watch may be a moment behind a change over REST: before saying no,
// ask.
void Users::CheckName(Socket& socket, std::shared_ptr<Announcement> announcement) {
  const SessionPtr session = SessionOf(socket);
  if (!session) return announcement->Refuse("Not authorized");
  if (NameOf(*session) == announcement->name) return Claim(socket, std::move(announcement));

  session_v1::GetSessionRequest request;
  request.mutable_session()->set_session_id(session->session_id());
  sessions_.GetSession(std::move(request), {},
                       socket.Then<session_v1::GetSessionResponse>(
                           [this, announcement](Socket& self, absl::StatusOr<session_v1::GetSessionResponse> current) {
                             if (!current.ok()) return announcement->Refuse(ErrorText(current.status()));
                             const std::optional<std::string> name = NameOf(current->session());
                             if (!name) return announcement->Refuse("Register a name first");
                             if (*name != announcement->name) {
                               return announcement->Refuse("userName is not the name of this session");
                             }
                             Remember(self, std::move(*current->mutable_session()));
                             Claim(self, announcement);
                           }));
}

// A name that another application has written into the session may belong to somebody else.
void Users::Claim(Socket& socket, std::shared_ptr<Announcement> announcement) {
  if (UserOf(socket).owned_name == announcement->name) return Enter(socket, std::move(announcement));
  session_v1::UpdateSessionRequest request;
  request.mutable_session()->set_session_id(UserOf(socket).session_id);
  request.set_merge_patch_json("{}");
  *request.add_claims() = NameClaim(announcement->name);
  sessions_.UpdateSession(
      std::move(request), {},
      socket.Then<session_v1::UpdateSessionResponse>(
          [this, announcement](Socket& self, absl::StatusOr<session_v1::UpdateSessionResponse> done) {
            if (!done.ok()) return announcement->Refuse(ErrorText(done.status()));
            UserOf(self).owned_name = announcement->name;
            Remember(self, std::move(*done->mutable_session()));
            Enter(self, announcement);
          }));
}

void Users::Enter(Socket& socket, std::shared_ptr<Announcement> announcement) {
  User& user = UserOf(socket);
  if (user.announced) return List(socket, std::move(announcement));
  const SessionPtr session = SessionOf(socket);
  if (!session || !socket.connected()) return announcement->Refuse("Not authorized");
  user.announced = true;
  presence_->Enter(session, socket.id(), socket.Finish([this, announcement](Socket& self, absl::Status entered) {
    if (entered.ok()) return List(self, announcement);
    if (std::exchange(UserOf(self).announced, false)) presence_->Leave(UserOf(self).session_id, false);
    announcement->Refuse(ErrorText(entered));
  }));
}

void Users::List(Socket& socket, std::shared_ptr<Announcement> announcement) {
  presence_v1::ListOnlineRequest request;
  request.set_namespace_(socket.nsp().name());
  request.set_order(presence_v1::ONLINE_ORDER_NEWEST);
  request.set_limit(kMaxListed);
  sessions_.ListOnline(std::move(request), {},
                       socket.Then<presence_v1::ListOnlineResponse>(
                           [announcement](Socket&, absl::StatusOr<presence_v1::ListOnlineResponse> online) {
                             if (!online.ok()) return announcement->Refuse(ErrorText(online.status()));
                             std::move(announcement->reply)(nullptr, ListJson(*online, announcement->name));
                             std::move(announcement->finished)();
                           }));
}

// -- user:rename --

// Text that nobody keeps is looked at where it came in.
void Users::OnRename(Socket& socket, const Event& event) {
  const auto args = event.Read<std::string_view>();
  if (!args.ok()) return event.reply()("userName must be a string");
  const absl::StatusOr<std::string> name = ValidateUserName(std::get<0>(*args));
  if (!name.ok()) return event.reply()(ErrorText(name.status()));
  const SessionPtr session = SessionOf(socket);
  if (!session || !NameOf(*session)) return event.reply()("Register a name first");

  // Renames of a socket take effect one after another, also those sent just before it disconnected.
  auto reply = std::make_shared<Reply>(event.reply());
  const bool taken = socket.InOrder([this, new_name = *name, reply](Socket& self, Socket::Finished finished) {
    Rename(self, new_name, [reply, finished = std::move(finished)](absl::StatusOr<Json> renamed) mutable {
      if (renamed.ok()) {
        std::move (*reply)(nullptr, *renamed);
      } else {
        std::move (*reply)(ErrorText(renamed.status()));
      }
      std::move(finished)();
    });
  });
  if (!taken) std::move (*reply)("Too many requests at once");
}

void Users::Rename(Socket& socket, const std::string& new_name,
                   absl::AnyInvocable<void(absl::StatusOr<Json>) &&> done) {
  sessions_.UpdateSession(
      RenameRequest(UserOf(socket).session_id, new_name, socket), {},
      socket.Then<session_v1::UpdateSessionResponse>(
          [new_name, done = std::move(done)](Socket& self,
                                             absl::StatusOr<session_v1::UpdateSessionResponse> updated) mutable {
            if (!updated.ok()) return std::move(done)(updated.status());
            const session_v1::ClaimResult& claim = updated->claims(0);
            const Json old_name = claim.has_previous_value() ? Json(claim.previous_value()) : Json(nullptr);
            UserOf(self).owned_name = new_name;
            Remember(self, std::move(*updated->mutable_session()));
            std::move(done)(Json::Object({{"oldUserName", old_name}, {"user", UserJson(new_name)}}));
          }));
}

// -- the end --

// The socket has left its rooms; what was kept with it is still there, and so is the reason.
void Users::OnDisconnect(Socket& socket, hub::CloseReason reason) {
  if (!socket.data) return;
  User& user = UserOf(socket);
  if (!std::exchange(user.announced, false)) return;
  // Who said goodbye, or was told to go, does not come back; a broken connection may.
  const bool may_return = socketio::IsRecoverable(reason);
  presence_->Leave(user.session_id, may_return);
}

}  // namespace sesior::realtime::app
