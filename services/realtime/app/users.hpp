// Users: the example application's events. A user registers a name over REST; here it announces itself, renames itself,
// and hears of the others. A new application's handlers go beside these and are written the same way: see README.md one
// folder up for the short form, and users.cpp for the long one.
//
//   client emits              acknowledged with (error, data)                       others get
//   user:connected (name)     {<name>:{userName}} of all who are online             user:joined {userName}
//   user:rename (name)        {oldUserName,user:{userName}}                         user:renamed {oldUserName,user}
//   (disconnects)                                                                   user:left name
//
// What others get goes out in the same step as the change that it tells of, by the session service: user:joined and
// user:left with presence, user:renamed with the write to the session.
// Ownership: client and presence outlive it.
// Threading: thread-safe; Setup runs once for each hub, the handlers on its thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "services/realtime/app/presence.hpp"
#include "services/realtime/hub/hub.hpp"
#include "sesior/session_client/session_client.hpp"

namespace sesior::realtime::app {

class Users {
 public:
  Users(session_client::SessionClient& sessions, std::shared_ptr<Presence> presence)
      : sessions_(sessions), presence_(std::move(presence)) {}

  // Adds the events to a namespace.
  void Setup(hub::Namespace& nsp);

  // How a session with a name shows among those online; for Presence.
  static std::optional<Face> FaceOf(const session::v1::Session& session);
  // The name of the session's user; nullopt: it has none.
  static std::optional<std::string> NameOf(const session::v1::Session& session);

 private:
  struct Announcement;

  void OnConnected(hub::Socket& socket, const hub::Event& event);
  void OnRename(hub::Socket& socket, const hub::Event& event);
  void OnDisconnect(hub::Socket& socket, hub::CloseReason reason);

  // The steps of user:connected, in reading order.
  void CheckName(hub::Socket& socket, std::shared_ptr<Announcement> announcement);
  void Claim(hub::Socket& socket, std::shared_ptr<Announcement> announcement);
  void Enter(hub::Socket& socket, std::shared_ptr<Announcement> announcement);
  void List(hub::Socket& socket, std::shared_ptr<Announcement> announcement);

  // user:rename; `done` gets what the client's function gets.
  void Rename(hub::Socket& socket, const std::string& new_name,
              absl::AnyInvocable<void(absl::StatusOr<hub::Json>) &&> done);

  session_client::SessionClient& sessions_;
  const std::shared_ptr<Presence> presence_;
};

}  // namespace sesior::realtime::app
