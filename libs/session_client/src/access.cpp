#include "access.hpp"

#include <grpcpp/create_channel.h>

#include <utility>

#include "absl/status/status.h"
#include "sesior/base/error.hpp"
#include "sesior/grpc_tls/credentials.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session_client {

namespace {

constexpr std::chrono::seconds kLookInterval(1);

std::string HeaderOf(const std::vector<std::string>& tokens) {
  return tokens.empty() ? "" : "Bearer " + tokens.front();
}

}  // namespace

Access::Access(ClientCredentials credentials)
    : credentials_(std::move(credentials)),
      channel_credentials_(credentials_.tls.ca.empty() ? grpc::InsecureChannelCredentials()
                                                       : grpc_tls::MakeChannelCredentials(credentials_.tls)),
      header_(HeaderOf(credentials_.tokens)) {}

std::shared_ptr<grpc::Channel> Access::MakeChannel(const std::string& address, const std::string& host,
                                                   grpc::ChannelArguments arguments) const {
  if (!credentials_.tls.ca.empty()) {
    const std::string& name = credentials_.server_name;
    arguments.SetString(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, name.empty() ? host : name);
  }
  return grpc::CreateCustomChannel(address, channel_credentials_, arguments);
}

void Access::Authorize(grpc::ClientContext& context) {
  absl::MutexLock lock(&mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!credentials_.token_file.empty() && now - looked_at_ > kLookInterval) {
    looked_at_ = now;
    const absl::StatusOr<std::vector<std::string>> read = config::ReadSecrets(credentials_.token_file);
    if (read.ok() && !read->empty()) header_ = HeaderOf(*read);
  }
  if (!header_.empty()) context.AddMetadata("authorization", header_);
}

absl::Status WithoutOurRefusal(absl::Status status) {
  const std::string reason = ReasonOf(status);
  if (reason != "CREDENTIALS_MISSING" && reason != "CREDENTIALS_UNKNOWN" && reason != "ROLE_REQUIRED") return status;
  static telemetry::RateLimit rate(10);
  if (rate.Allow()) {
    telemetry::Log(telemetry::Level::kError, "session_service_refused",
                   {{"reason", reason}, {"why", std::string(status.message())}});
  }
  return Error(absl::StatusCode::kUnavailable, "the session service does not take our credentials",
               {.reason = "SESSION_SERVICE_UNAVAILABLE", .field = {}, .retry_after = std::chrono::milliseconds(1000)});
}

}  // namespace sesior::session_client
