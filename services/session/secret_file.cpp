#include "services/session/secret_file.hpp"

#include <utility>

#include "sesior/config/flags.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session {

namespace {
constexpr std::size_t kMaxSecrets = 16;
}  // namespace

SecretFile::SecretFile(std::string path, Secrets current, telemetry::Counter& loaded, telemetry::Counter& refused,
                       std::function<void(const Secrets&)> apply, std::size_t least_bytes)
    : path_(std::move(path)),
      current_(std::move(current)),
      loaded_(loaded),
      refused_(refused),
      apply_(std::move(apply)),
      least_bytes_(least_bytes) {}

void SecretFile::Look() {
  absl::StatusOr<Secrets> secrets = config::ReadSecrets(path_);
  if (!secrets.ok()) return Refuse(std::string(secrets.status().message()));
  if (secrets->empty()) return Refuse("it holds no secret");
  if (secrets->size() > kMaxSecrets) return Refuse("it holds more than 16 secrets");
  for (const std::string& secret : *secrets) {
    if (secret.size() < least_bytes_) return Refuse("one is shorter than " + std::to_string(least_bytes_) + " bytes");
  }
  last_refusal_.clear();
  if (*secrets == current_) {
    seen_.clear();
    return;
  }
  if (*secrets != seen_) {
    seen_ = *std::move(secrets);
    return;
  }
  current_ = std::move(seen_);
  seen_.clear();
  loaded_.Increment();
  telemetry::Log(telemetry::Level::kInfo, "secrets_loaded", {{"file", path_}, {"count", current_.size()}});
  apply_(current_);
}

void SecretFile::Refuse(const std::string& why) {
  seen_.clear();
  if (why == last_refusal_) return;
  last_refusal_ = why;
  refused_.Increment();
  telemetry::Log(telemetry::Level::kError, "secrets_refused", {{"file", path_}, {"why", why}});
}

}  // namespace sesior::session
