// The settings of the session service, each with its default.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/session/domain/callers.hpp"
#include "services/session/domain/expiry_sweeper.hpp"
#include "services/session/domain/session_service.hpp"
#include "services/session/redis/connection.hpp"
#include "services/session/redis/redis_session_store.hpp"
#include "sesior/config/flags.hpp"
#include "sesior/grpc_tls/tls_files.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::session {

// How changes by others are noticed: by Redis's client tracking, or by our own hints and by looking again.
enum class ChangeFeedKind { kTracking, kHints };

// The bearer tokens of a role, and the file they came from, which is looked at again and again; empty: from no file.
struct RoleTokens {
  Role role;
  std::vector<std::string> tokens;
  std::string file;
};

struct Config {
  std::string listen = "127.0.0.1:7100";   // gRPC; port 0: any free one
  std::string ops_listen = "127.0.0.1:0";  // /metrics, /livez, /readyz
  std::chrono::milliseconds stop_timeout{10'000};
  std::string secret_file;  // where sessions.secrets came from, looked at again and again; empty: from no file
  std::chrono::milliseconds secret_reload{2000};
  grpc_tls::TlsFiles tls;              // of the gRPC port; no cert: plaintext
  bool network_encrypts = false;       // plaintext beyond loopback is meant
  CertificateNames certificate_names;  // of callers
  RoleTokens edge_tokens{Role::kEdge, {}, {}};
  RoleTokens backend_tokens{Role::kBackend, {}, {}};
  RoleTokens admin_tokens{Role::kAdmin, {}, {}};
  std::chrono::milliseconds lease_sweep{1000};  // how often the leases of realtime replicas are looked at
  ExpirySweeper::Options expiry_sweep;          // of sessions
  ChangeFeedKind change_feed = ChangeFeedKind::kTracking;
  std::chrono::milliseconds recheck{10'000};  // of watched sessions, where changes by others are not told
  telemetry::Level log_level = telemetry::Level::kInfo;
  telemetry::LogFormat log_format = telemetry::LogFormat::kKeyValue;
  SessionOptions sessions;
  redis::ConnectionOptions redis;
  redis::StoreOptions store;
  redis::HistoryLimits history;  // of broadcasts, for each namespace; the same on all replicas

  // False: no caller can prove anything; all have all roles, on loopback.
  bool knows_callers() const {
    return !tls.ca.empty() || !edge_tokens.tokens.empty() || !backend_tokens.tokens.empty() ||
           !admin_tokens.tokens.empty();
  }
};

// kInvalidArgument with every problem, one a line. kExit: --help and the like were answered.
absl::StatusOr<config::Flags::Action> LoadConfig(int argc, const char* const* argv, Config& config);

// True for 127.0.0.0/8, [::1], localhost and unix: addresses, "host:port" each.
bool IsLoopback(const std::string& listen);

}  // namespace sesior::session
