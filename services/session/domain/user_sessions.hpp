// UserSessions: the sessions of one user, wherever they are used: list them, end one or all, erase and export. A user
// is an id that never changes; sessions join it when they are made, regenerated or updated with it (SessionService),
// and the store keeps the list in the same step.
//
// Who asks:  an operator names the user; an edge names the session of its caller (by cookie), and only that session's
//            user is ever meant. A caller whose session has no user stands for itself alone.
// Handles:   what users are shown in place of ids; made from the id one way.
// Threading: confined to the core executor; `done` runs there, never inside the call.
// Errors:    of the store; kInvalidArgument with the field; of the caller's session as SessionService gives them;
//            kNotFound (HANDLE_NOT_FOUND).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/session/domain/session_service.hpp"
#include "services/session/domain/session_store.hpp"
#include "sesior/base/done.hpp"

namespace sesior::session {

// 22 characters of [A-Za-z0-9_-].
std::string HandleOf(const SessionId& id);

// 1 to 128 visible ASCII characters without braces (which would move the user's keys to other slots of a cluster).
absl::Status CheckUserId(std::string_view user_id);

// Exactly one of the two.
struct UserRef {
  std::string user_id;
  std::optional<SessionRef> caller;
};

struct ListRequest {
  UserRef user;
  int page_size = 0;  // 0: 50; at most 200, more is taken for 200
  std::string page_token;
};

struct ListedSession {
  std::string handle;
  StoredSession stored;  // without record, claims and user
};

struct ListResult {
  std::vector<ListedSession> sessions;  // newest first
  std::string next_page_token;          // empty: that was the last page
  std::string current_handle;           // the caller's; empty: asked by user id
  std::string set_cookie;               // one that is due to the caller
};

struct EndRequest {
  UserRef user;
  std::string handle;  // empty: all
  SessionId spare;     // of all; empty: none
  bool spare_caller = false;
  int reason = 0;
};

struct EndResult {
  int count = 0;
  bool caller_ended = false;
};

class UserSessions {
 public:
  // Both must outlive it.
  UserSessions(SessionService& sessions, SessionStore& store) : sessions_(sessions), store_(store) {}

  void List(ListRequest request, Done<ListResult> done);
  void End(EndRequest request, Done<EndResult> done);
  // Ends all and forgets the user. How many were ended.
  void Erase(std::string user_id, int reason, Done<int> done);
  // The ids of a user's sessions, newest first; for exports, which read each.
  void Ids(std::string user_id, Done<std::vector<SessionId>> done);

 private:
  struct Known;
  // Who is meant, then all their sessions, newest first.
  void Find(UserRef user, Done<Known> done);
  void EndOne(const Known& known, EndRequest request, Done<EndResult> done);

  SessionService& sessions_;
  SessionStore& store_;
};

}  // namespace sesior::session
