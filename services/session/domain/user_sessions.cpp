#include "services/session/domain/user_sessions.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/session/domain/errors.hpp"
#include "sesior/base/base64.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session {

namespace {

constexpr int kDefaultPage = 50;
constexpr int kLargestPage = 200;
constexpr std::size_t kMaxUserId = 128;
constexpr std::size_t kHandleBytes = 16;

// Newest first, and one order for those of the same millisecond.
bool IsNewer(const UserSession& a, const UserSession& b) {
  if (a.stored.created_ms != b.stored.created_ms) return a.stored.created_ms > b.stored.created_ms;
  return a.id < b.id;
}

// "<created ms>.<handle>" of the last one listed: says nothing that the list did not.
std::string PageToken(const UserSession& last) { return absl::StrCat(last.stored.created_ms, ".", HandleOf(last.id)); }

struct PageStart {
  std::int64_t created_ms = 0;
  std::string_view handle;
};

absl::StatusOr<PageStart> ReadPageToken(std::string_view token) {
  PageStart start;
  const std::size_t dot = token.find('.');
  if (dot == std::string_view::npos || !absl::SimpleAtoi(ToAbsl(token.substr(0, dot)), &start.created_ms)) {
    return InvalidField("page_token", "must be a next_page_token of this service");
  }
  start.handle = token.substr(dot + 1);
  return start;
}

}  // namespace

std::string HandleOf(const SessionId& id) {
  const std::string text = "sesior handle\n" + id.text();
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return Base64UrlEncode({reinterpret_cast<const char*>(digest), kHandleBytes});
}

absl::Status CheckUserId(std::string_view user_id) {
  const bool good =
      !user_id.empty() && user_id.size() <= kMaxUserId &&
      std::all_of(user_id.begin(), user_id.end(), [](char c) { return c > ' ' && c <= '~' && c != '{' && c != '}'; });
  return good ? absl::OkStatus() : InvalidField("user_id", "must be 1 to 128 visible ASCII characters without braces");
}

// `user_id` is empty for a caller without a user: its own session is then the only one.
struct UserSessions::Known {
  std::string user_id;
  SessionId caller;
  std::string set_cookie;
  std::vector<UserSession> sessions;
};

void UserSessions::Find(UserRef user, Done<Known> done) {
  const auto list = [this](Known known, std::optional<StoredSession> own, Done<Known> then) {
    std::string user_id = known.user_id;
    store_.ListUser(std::move(user_id), [known = std::move(known), own = std::move(own), then = std::move(then)](
                                            absl::StatusOr<std::vector<UserSession>> sessions) mutable {
      if (!sessions.ok()) return std::move(then)(sessions.status());
      known.sessions = *std::move(sessions);
      // The list may have been lost, as anything in Redis: the caller is there all the same.
      const bool is_listed = std::any_of(known.sessions.begin(), known.sessions.end(),
                                         [&known](const UserSession& one) { return one.id == known.caller; });
      if (own && !is_listed) known.sessions.push_back({known.caller, *std::move(own)});
      std::sort(known.sessions.begin(), known.sessions.end(), IsNewer);
      std::move(then)(std::move(known));
    });
  };
  if (!user.caller) {
    Known known;
    known.user_id = std::move(user.user_id);
    return list(std::move(known), std::nullopt, std::move(done));
  }
  sessions_.Get(*std::move(user.caller), false,
                [list, done = std::move(done)](absl::StatusOr<SessionResult> result) mutable {
                  if (!result.ok()) return std::move(done)(result.status());
                  Known known;
                  known.caller = result->session.id;
                  known.user_id = result->session.stored.user_id;
                  known.set_cookie = std::move(result->set_cookie);
                  StoredSession own = std::move(result->session.stored);
                  if (known.user_id.empty()) {
                    known.sessions.push_back({known.caller, std::move(own)});
                    return std::move(done)(std::move(known));
                  }
                  list(std::move(known), std::move(own), std::move(done));
                });
}

void UserSessions::List(ListRequest request, Done<ListResult> done) {
  const int size = request.page_size == 0 ? kDefaultPage : std::min(request.page_size, kLargestPage);
  Find(std::move(request.user), [size, token = std::move(request.page_token),
                                 done = std::move(done)](absl::StatusOr<Known> known) mutable {
    if (!known.ok()) return std::move(done)(known.status());
    std::vector<UserSession>& all = known->sessions;
    auto first = all.begin();
    if (!token.empty()) {
      const absl::StatusOr<PageStart> start = ReadPageToken(token);
      if (!start.ok()) return std::move(done)(start.status());
      // Behind the one that was listed last; when that has ended meanwhile, behind all that are as new.
      const auto last = std::find_if(all.begin(), all.end(), [&start](const UserSession& one) {
        return one.stored.created_ms == start->created_ms && HandleOf(one.id) == start->handle;
      });
      first = last != all.end() ? last + 1 : std::find_if(all.begin(), all.end(), [&start](const UserSession& one) {
        return one.stored.created_ms < start->created_ms;
      });
    }
    ListResult result;
    if (!known->caller.empty()) result.current_handle = HandleOf(known->caller);
    result.set_cookie = std::move(known->set_cookie);
    const auto end = first + std::min<std::ptrdiff_t>(all.end() - first, size);
    if (end != all.end()) result.next_page_token = PageToken(*(end - 1));
    for (auto one = first; one != end; ++one) {
      result.sessions.push_back({HandleOf(one->id), std::move(one->stored)});
    }
    std::move(done)(std::move(result));
  });
}

void UserSessions::End(EndRequest request, Done<EndResult> done) {
  UserRef user = std::move(request.user);
  Find(std::move(user),
       [this, request = std::move(request), done = std::move(done)](absl::StatusOr<Known> known) mutable {
         if (!known.ok()) return std::move(done)(known.status());
         if (!request.handle.empty()) return EndOne(*known, std::move(request), std::move(done));
         const bool ends_caller = !known->caller.empty() && !request.spare_caller;
         if (known->user_id.empty()) {
           if (!ends_caller) return std::move(done)(EndResult());
           request.handle = HandleOf(known->caller);
           return EndOne(*known, std::move(request), std::move(done));
         }
         StoreEndUser end;
         end.user_id = known->user_id;
         end.spare = request.spare_caller ? known->caller : std::move(request.spare);
         end.reason = request.reason;
         store_.EndUser(std::move(end), [ends_caller, done = std::move(done)](absl::StatusOr<int> count) mutable {
           if (!count.ok()) return std::move(done)(count.status());
           std::move(done)(EndResult{*count, ends_caller});
         });
       });
}

void UserSessions::EndOne(const Known& known, EndRequest request, Done<EndResult> done) {
  const auto found = std::find_if(known.sessions.begin(), known.sessions.end(),
                                  [&request](const UserSession& one) { return HandleOf(one.id) == request.handle; });
  if (found == known.sessions.end()) return std::move(done)(HandleNotFound());
  DestroyRequest destroy;
  destroy.session.id = found->id;
  destroy.reason = request.reason;
  sessions_.Destroy(std::move(destroy), [is_caller = found->id == known.caller,
                                         done = std::move(done)](absl::StatusOr<bool> destroyed) mutable {
    if (!destroyed.ok()) return std::move(done)(destroyed.status());
    std::move(done)(EndResult{*destroyed ? 1 : 0, is_caller});
  });
}

void UserSessions::Erase(std::string user_id, int reason, Done<int> done) {
  StoreEndUser end;
  end.user_id = std::move(user_id);
  end.reason = reason;
  end.erase = true;
  store_.EndUser(std::move(end), std::move(done));
}

void UserSessions::Ids(std::string user_id, Done<std::vector<SessionId>> done) {
  UserRef user;
  user.user_id = std::move(user_id);
  Find(std::move(user), [done = std::move(done)](absl::StatusOr<Known> known) mutable {
    if (!known.ok()) return std::move(done)(known.status());
    std::vector<SessionId> ids;
    for (UserSession& one : known->sessions) ids.push_back(std::move(one.id));
    std::move(done)(std::move(ids));
  });
}

}  // namespace sesior::session
