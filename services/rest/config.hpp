// The settings of sesior-rest: flags and SESIOR_REST_... in the environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sesior/config/flags.hpp"
#include "sesior/session_client/credentials.hpp"

namespace sesior::rest {

struct Config {
  std::string listen = "127.0.0.1:8080";
  std::string ops_listen = "127.0.0.1:9080";
  std::vector<std::string> session_addresses = {"127.0.0.1:7100"};
  session_client::ClientCredentials session_credentials;
  std::string web_root;                      // empty: no page
  std::vector<std::string> realtime_urls;    // for the page
  std::vector<std::string> allowed_origins;  // scheme://host[:port]
  std::vector<std::string> trusted_proxies;  // addresses or networks
  std::int64_t threads = 0;                  // LoadConfig: one for each core
  std::int64_t max_connections = 0;          // LoadConfig: 10,000, or what the descriptor limit leaves
  std::int64_t max_body_bytes = 64 * 1024;
  std::chrono::milliseconds head_timeout{10'000};
  std::chrono::milliseconds idle_timeout{75'000};
  std::chrono::milliseconds stop_timeout{10'000};
  std::string log_level = "info";
  std::string log_format = "text";
};

// Into `config`; kExit when the command line was answered (--help and the like). All problems at once otherwise.
absl::StatusOr<config::Flags::Action> LoadConfig(int argc, const char* const* argv, Config& config);

}  // namespace sesior::rest
