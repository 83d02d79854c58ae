#include "services/rest/handlers/register.hpp"

#include <memory>
#include <utility>

#include "services/rest/handlers/user_name_claim.hpp"
#include "services/rest/http/json.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/ids.hpp"
#include "sesior/base/json_string.hpp"
#include "sesior/base/user_name.hpp"
#include "sesior/base/utf8.hpp"

namespace sesior::rest {
namespace {

namespace v1 = session::v1;

constexpr char kNamespace[] = "/";
constexpr std::size_t kMaxLinkBytes = 1024;

// Stands in the announcement for the name that the session held when the claim changed hands, which only the service
// knows for sure. Nobody can guess it, so no name can contain it.
const std::string& PreviousNamePlaceholder() {
  static const std::string token = "previous-" + NewRequestId();
  return token;
}

absl::StatusOr<std::string> ReadName(const http::Request& request) {
  const absl::StatusOr<std::string> object = ReadObject(request);
  if (!object.ok()) return absl::InvalidArgumentError("userName is missing: " + std::string(object.status().message()));
  const std::optional<std::string> name = StringMember(*object, kUserNameMember);
  if (!name) return absl::InvalidArgumentError("userName must be a string of Unicode text");
  return ValidateUserName(*name);
}

// The steps of one registration, in reading order. One call to the service is open at a time.
// Threading: thread-compatible; each step runs where the step before it was answered.
class Registration final : public std::enable_shared_from_this<Registration> {
 public:
  Registration(session_client::SessionClient& sessions, Exchange exchange)
      : sessions_(sessions), exchange_(std::move(exchange)) {}

  void Start() {
    absl::StatusOr<std::string> name = ReadName(exchange_.request());
    if (!name.ok()) return Refuse(name.status());
    name_ = *std::move(name);
    const absl::StatusOr<std::string> object = ReadObject(exchange_.request());
    if (const std::optional<std::string> link = StringMember(*object, "link")) return FollowLink(*link);
    v1::ResolveCookieRequest request;
    request.set_cookie_header(exchange_.cookie_header());
    if (request.cookie_header().empty()) return Create();
    sessions_.ResolveCookie(std::move(request), exchange_.call_options(), Then(&Registration::OnResolved));
  }

 private:
  void OnResolved(absl::StatusOr<v1::ResolveCookieResponse> resolved) {
    if (!resolved.ok()) return Refuse(resolved.status());
    if (resolved->verdict() != v1::COOKIE_VERDICT_VALID) return Create();
    due_cookie_ = resolved->set_cookie();
    const std::optional<std::string> old_name = UserNameIn(resolved->session());
    if (!old_name) return SignIn(resolved->session());
    Rename(resolved->session().session_id(), *old_name);
  }

  void Create() {
    v1::CreateSessionRequest request;
    *request.add_claims() = UserNameClaim(name_);
    *request.mutable_device() = exchange_.device();
    request.set_user_id(NewUserId());
    sessions_.CreateSession(std::move(request), exchange_.call_options(),
                            Then(&Registration::Finish<v1::CreateSessionResponse>));
  }

  void SignIn(const v1::Session& session) {
    v1::RegenerateSessionRequest request;
    request.mutable_session()->set_session_id(session.session_id());
    if (session.user_id().empty()) request.set_user_id(NewUserId());
    request.set_keep_data(true);
    request.set_reason(v1::END_REASON_LOGIN);
    *request.add_claims() = UserNameClaim(name_);
    *request.mutable_device() = exchange_.device();
    sessions_.RegenerateSession(std::move(request), exchange_.call_options(),
                                Then(&Registration::FinishOrCreate<v1::RegenerateSessionResponse>));
  }

  // The session that another device has made for this one (POST /sessions/link) gets a new id, known here only: so a
  // link is good once.
  void FollowLink(const std::string& link) {
    if (link.size() > kMaxLinkBytes || !IsValidUtf8(link)) return Refuse(LinkIsOver());
    v1::RegenerateSessionRequest request;
    request.mutable_session()->set_cookie_header(link);
    request.set_keep_data(true);
    request.set_reason(v1::END_REASON_LOGIN);
    *request.add_claims() = UserNameClaim(name_);
    *request.mutable_device() = exchange_.device();
    sessions_.RegenerateSession(std::move(request), exchange_.call_options(), Then(&Registration::OnLinkFollowed));
  }

  void OnLinkFollowed(absl::StatusOr<v1::RegenerateSessionResponse> response) {
    const absl::Status& status = response.status();
    if (absl::IsNotFound(status) || absl::IsUnauthenticated(status)) return Refuse(LinkIsOver());
    Finish(std::move(response));
  }

  static absl::Status LinkIsOver() {
    return absl::InvalidArgumentError("This link has been used already, or is too old: make another one");
  }

  void Rename(const std::string& session_id, const std::string& old_name) {
    v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(session_id);
    request.set_merge_patch_json("{}");
    request.set_touch(true);
    request.set_user_id_if_none(NewUserId());
    *request.mutable_device() = exchange_.device();
    v1::Claim& claim = *request.add_claims();
    claim = UserNameClaim(name_);
    if (old_name != name_) {
      claim.set_previous_placeholder(PreviousNamePlaceholder());
      const std::string user = R"({"userName":)" + JsonString(name_) + "}";
      v1::Announcement& announcement = *request.mutable_announcement();
      announcement.set_only_if_online(true);
      announcement.mutable_broadcast()->set_namespace_(kNamespace);
      announcement.mutable_broadcast()->mutable_packet()->set_args_json(
          R"(["user:renamed",{"oldUserName":)" + JsonString(PreviousNamePlaceholder()) + R"(,"user":)" + user + "}]");
      v1::PresenceChange& presence = *request.mutable_presence();
      presence.set_namespace_(kNamespace);
      presence.set_key(name_);
      presence.set_value_json(user);
      presence.mutable_left()->set_namespace_(kNamespace);
      presence.mutable_left()->mutable_packet()->set_args_json(R"(["user:left",)" + JsonString(name_) + "]");
    }
    sessions_.UpdateSession(std::move(request), exchange_.call_options(),
                            Then(&Registration::FinishOrCreate<v1::UpdateSessionResponse>));
  }

  // The session may have ended since it was resolved.
  template <typename Response>
  void FinishOrCreate(absl::StatusOr<Response> response) {
    if (absl::IsNotFound(response.status())) {
      due_cookie_.clear();
      return Create();
    }
    Finish(std::move(response));
  }

  template <typename Response>
  void Finish(absl::StatusOr<Response> response) {
    if (!response.ok()) return Refuse(response.status());
    http::Response answer =
        JsonResponse(200, R"({"membershipResolved":true,"user":{"userName":)" + JsonString(name_) + "}}");
    const std::string& cookie = response->set_cookie().empty() ? due_cookie_ : response->set_cookie();
    if (!cookie.empty()) answer.Add("Set-Cookie", cookie);
    std::move(exchange_).Answer(std::move(answer));
  }

  void Refuse(const absl::Status& status) {
    const HttpError error = MapError(status);
    http::Response answer =
        JsonResponse(error.status, R"({"membershipResolved":false,"error":)" + JsonString(error.message) + "}");
    if (error.retry_after_seconds > 0) answer.Add("Retry-After", std::to_string(error.retry_after_seconds));
    std::move(exchange_).Answer(std::move(answer));
  }

  // `step` as the end of a call, which keeps this flow alive.
  template <typename Response>
  Done<Response> Then(void (Registration::*step)(absl::StatusOr<Response>)) {
    return [self = shared_from_this(), step](absl::StatusOr<Response> response) {
      (self.get()->*step)(std::move(response));
    };
  }

  session_client::SessionClient& sessions_;
  Exchange exchange_;
  std::string name_;
  std::string due_cookie_;  // from resolving; sent unless the write brings a newer one
};

}  // namespace

void Register(session_client::SessionClient& sessions, Exchange exchange) {
  std::make_shared<Registration>(sessions, std::move(exchange))->Start();
}

}  // namespace sesior::rest
