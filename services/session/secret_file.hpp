// SecretFile: secrets from a file that may change while the service runs, so that they are rotated without a restart.
// Cookie secrets: first add the new one behind the old, on every replica; then put it in front; later drop the old.
// Callers' tokens: add the new one, give it to the callers, drop the old.
// Content counts, not the file's date: mounted secrets change by a swapped link. New content is taken when two looks in
// a row have seen it, since a file may be read half written. Bad content (unreadable, no secret, above 64 KiB, more
// than 16 secrets, one that is too short) keeps the secrets in use, is logged once and counted.
// Threading: confined to the core executor. Look reads a small local file there: microseconds, no network.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sesior/telemetry/metrics.hpp"

namespace sesior::session {

class SecretFile {
 public:
  using Secrets = std::vector<std::string>;
  // `current`: what the file held at the start. `apply` gets every new list. `least_bytes`: of each secret.
  SecretFile(std::string path, Secrets current, telemetry::Counter& loaded, telemetry::Counter& refused,
             std::function<void(const Secrets&)> apply, std::size_t least_bytes = 1);

  void Look();

 private:
  void Refuse(const std::string& why);

  const std::string path_;
  Secrets current_;
  Secrets seen_;              // at the last look, not yet taken
  std::string last_refusal_;  // told already
  telemetry::Counter& loaded_;
  telemetry::Counter& refused_;
  const std::function<void(const Secrets&)> apply_;
  const std::size_t least_bytes_;
};

}  // namespace sesior::session
