// Config: the settings of sesior-realtime, from flags and SESIOR_REALTIME_*; flags win.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/realtime/server.hpp"
#include "sesior/config/flags.hpp"
#include "sesior/session_client/credentials.hpp"

namespace sesior::realtime {

struct Config {
  ServerOptions server;
  std::string replica_name;  // the first part of the replica's id, in engine ids, leases and logs
  std::vector<std::string> trusted_proxies;
  std::vector<std::string> transports = {"polling", "websocket"};
  std::string ops_listen = "127.0.0.1:0";
  std::vector<std::string> session_addresses;
  session_client::ClientCredentials session_credentials;
  std::chrono::milliseconds stop_timeout{15'000};
  std::string parser = "json";      // or msgpack
  std::string log_level = "info";   // debug, info, warn or error
  std::string log_format = "text";  // key=value; or json
};

// Reads and checks everything; all problems in one status. kExit: --help and the like have been answered.
absl::StatusOr<config::Flags::Action> LoadConfig(int argc, const char* const* argv, Config& config);

}  // namespace sesior::realtime
