#include "services/session/rpc/roles.hpp"

#include "absl/strings/match.h"
#include "sesior/base/ids.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session::rpc {

namespace {

std::string_view ViewOf(grpc::string_ref text) { return {text.data(), text.size()}; }

ShownCredentials ShownBy(const Callers& callers, const grpc::CallbackServerContext& context) {
  ShownCredentials shown;
  // A certificate that is there has been checked: a bad one ends the handshake.
  if (const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context(); peer->IsPeerAuthenticated()) {
    shown.certificate = true;
    std::vector<std::string_view> names;
    for (const char* property : {GRPC_X509_SAN_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME}) {
      for (const grpc::string_ref& name : peer->FindPropertyValues(property)) names.push_back(ViewOf(name));
    }
    shown.by_certificate = callers.RoleOfCertificate(names);
  }
  const auto header = context.client_metadata().find("authorization");
  if (header == context.client_metadata().end()) return shown;
  std::string_view value = ViewOf(header->second);
  constexpr std::string_view kScheme = "Bearer ";
  const bool is_bearer = absl::StartsWithIgnoreCase(ToAbsl(value), ToAbsl(kScheme));
  // Of another scheme: a token that nobody has.
  shown.token_sha256 = is_bearer ? Sha256Hex(value.substr(kScheme.size())) : std::string();
  return shown;
}

}  // namespace

Caller::Caller(const Callers* callers, const grpc::CallbackServerContext& context) : callers_(callers) {
  if (callers_ == nullptr) return;
  shown_ = ShownBy(*callers_, context);
  role_ = callers_->RoleOf(shown_);
}

absl::Status Caller::Allow(Role least) const {
  if (!role_.ok()) return role_.status();
  return *role_ >= least ? absl::OkStatus() : RoleRequired(least);
}

bool Caller::IsStillWhatItWas() const {
  if (callers_ == nullptr) return true;
  const absl::StatusOr<Role> now = callers_->RoleOf(shown_);
  return now.ok() == role_.ok() && (!now.ok() || *now == *role_);
}

}  // namespace sesior::session::rpc
