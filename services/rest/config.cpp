#include "services/rest/config.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "sesior/http/cors.hpp"
#include "sesior/http/proxies.hpp"
#include "sesior/runtime/cores.hpp"

namespace sesior::rest {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;

// Descriptors that are not connections: listeners, event descriptors, channels to the session service, files.
constexpr std::int64_t kOtherDescriptors = 128;

std::int64_t DescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

bool IsHttpUrl(const std::string& url) {
  const std::size_t host = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : std::string::npos;
  // An origin only: it goes into the page's Content-Security-Policy as it is.
  return host != std::string::npos && url.size() > host && url.find_first_of("/;, ?#'\"", host) == std::string::npos;
}

std::vector<std::string> Check(const Config& config) {
  std::vector<std::string> problems;
  if (config.session_addresses.empty()) problems.push_back("--session-addresses must name at least one host:port");
  if (const absl::Status status = http::CorsPolicy::Validate(config.allowed_origins); !status.ok()) {
    problems.push_back("--allowed-origins: " + std::string(status.message()));
  }
  if (const absl::Status status = http::TrustedProxies::Parse(config.trusted_proxies).status(); !status.ok()) {
    problems.push_back("--trusted-proxies: " + std::string(status.message()));
  }
  for (const std::string& url : config.realtime_urls) {
    if (!IsHttpUrl(url))
      problems.push_back("--realtime-urls: \"" + url + "\" is not http://host[:port] or https://...");
  }
  if (config.max_connections > DescriptorLimit() - kOtherDescriptors) {
    problems.push_back("--max-connections must leave " + std::to_string(kOtherDescriptors) + " of the " +
                       std::to_string(DescriptorLimit()) + " descriptors that `ulimit -n` allows");
  }
  const std::vector<std::string> levels = {"debug", "info", "warn", "error"};
  if (std::find(levels.begin(), levels.end(), config.log_level) == levels.end()) {
    problems.push_back("--log-level must be debug, info, warn or error");
  }
  if (config.log_format != "text" && config.log_format != "json") {
    problems.push_back("--log-format must be text or json");
  }
  return problems;
}

}  // namespace

absl::StatusOr<config::Flags::Action> LoadConfig(int argc, const char* const* argv, Config& config) {
  config.threads = runtime::UsableCores();
  config.max_connections = std::clamp<std::int64_t>(DescriptorLimit() - kOtherDescriptors, 1, 10'000);

  config::Flags flags("sesior-rest", "SESIOR_REST_", "Answers the REST half of SESIOR and serves the page.");
  flags.Add("listen", &config.listen, "address to listen on, host:port; port 0: any free one");
  flags.Add("ops-listen", &config.ops_listen, "address of /livez, /readyz and /metrics, host:port");
  flags.Add("session-addresses", &config.session_addresses, "the session service's replicas, host:port each");
  session_client::AddFlags(flags, config.session_credentials);
  flags.Add("web-root", &config.web_root, "folder of the page, with an index.html; empty: none");
  flags.Add("realtime-urls", &config.realtime_urls,
            "where the page finds the realtime replicas, http://host:port each");
  flags.Add("allowed-origins", &config.allowed_origins,
            "other origins whose pages may call, scheme://host[:port] each");
  flags.Add("trusted-proxies", &config.trusted_proxies, "addresses or networks whose X-Forwarded-... headers count");
  flags.Add("threads", &config.threads, "worker threads; by default one for each core that this process may use",
            {.min = 1, .max = 256});
  flags.Add("max-connections", &config.max_connections, "open connections; more are closed at once",
            {.min = 1, .max = 1'000'000});
  flags.Add("max-body-bytes", &config.max_body_bytes, "longest request body in bytes; 413 beyond",
            {.min = 1024, .max = 16 << 20});
  flags.Add("head-timeout", &config.head_timeout, "for a request's head to arrive whole", {100ms, 10min});
  flags.Add("idle-timeout", &config.idle_timeout, "of a connection between requests", {1s, 60min});
  flags.Add("stop-timeout", &config.stop_timeout, "time a stop may take", {1s, 10min});
  flags.Add("log-level", &config.log_level, "debug, info, warn or error");
  flags.Add("log-format", &config.log_format, "text (key=value) or json");
  flags.AddCheck([&config] { return Check(config); });
  return flags.Parse(argc, argv);
}

}  // namespace sesior::rest
