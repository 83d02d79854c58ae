#include "services/session/config.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sesior::session {

namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kNoAddressLimit = 1'000'000;

// What the command line says, before it becomes values of our own types.
struct Raw {
  std::string redis_url = "redis://127.0.0.1:6379";
  milliseconds redis_timeout{2000};
  std::vector<std::string> secrets;
  milliseconds max_age{0};
  std::string same_site;
  std::string priority;
  std::int64_t max_record_bytes = 64 << 10;
  std::int64_t max_patch_depth = 32;
  std::int64_t create_rate = 10'000;
  std::int64_t create_rate_per_address = kNoAddressLimit;
  std::string foreign_conflict = "reapply";
  std::string change_feed = "tracking";
  std::string read_cache = "exact";
  std::int64_t read_cache_sessions = 20'000;
  std::int64_t user_sessions = 100;
  std::string user_full = "end-oldest";
  std::string log_level = "info";
  std::string log_format = "text";
};

template <typename T>
bool Choose(const std::map<std::string, T>& choices, const std::string& name, T& value) {
  const auto found = choices.find(name);
  if (found == choices.end()) return false;
  value = found->second;
  return true;
}

// The rules that browsers hold cookies to: a cookie against them is dropped without a word.
std::vector<std::string> CookieProblems(const CookieAttributes& cookie) {
  std::vector<std::string> problems;
  if (cookie.name.empty() ||
      cookie.name.find_first_not_of("!#$%&'*+-.^_`|~0123456789"
                                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos) {
    problems.push_back("--cookie-name: must be a token");
  }
  if (std::any_of(cookie.path.begin(), cookie.path.end(), [](char c) { return c <= ' ' || c > '~' || c == ';'; })) {
    problems.push_back("--cookie-path: holds a character that cannot stand in a cookie");
  }
  if (cookie.domain.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
      std::string::npos) {
    problems.push_back("--cookie-domain: must be a host name of letters, digits, - and .");
  }
  if (!absl::StartsWith(cookie.path, "/")) problems.push_back("--cookie-path: must begin with /");
  // Browsers take these prefixes in any case.
  if (absl::StartsWithIgnoreCase(cookie.name, "__Secure-") && !cookie.secure) {
    problems.push_back("--cookie-name: __Secure- needs --cookie-secure");
  }
  if (absl::StartsWithIgnoreCase(cookie.name, "__Host-") &&
      (!cookie.secure || cookie.path != "/" || !cookie.domain.empty())) {
    problems.push_back("--cookie-name: __Host- needs --cookie-secure, --cookie-path / and no --cookie-domain");
  }
  if (cookie.same_site == CookieAttributes::SameSite::kNone && !cookie.secure) {
    problems.push_back("--cookie-same-site: none needs --cookie-secure");
  }
  if (cookie.partitioned && !cookie.secure) problems.push_back("--cookie-partitioned: needs --cookie-secure");
  return problems;
}

// Who may call, and from where.
std::vector<std::string> CallerProblems(const Config& config) {
  std::vector<std::string> problems = grpc_tls::Problems(config.tls, "tls", "tls-client-ca");
  for (const RoleTokens* role : {&config.edge_tokens, &config.backend_tokens, &config.admin_tokens}) {
    for (const std::string& token : role->tokens) {
      if (token.size() >= Callers::kLeastTokenBytes) continue;
      problems.push_back(absl::StrCat("--", NameOf(role->role), "-tokens: at least 16 bytes each"));
      break;
    }
  }
  const bool has_tls = !config.tls.cert.empty();
  if (!config.tls.ca.empty() && !has_tls) problems.push_back("--tls-client-ca: needs --tls-cert and --tls-key");
  if (has_tls && !config.knows_callers()) {
    problems.push_back("--tls-cert: callers need --tls-client-ca, or tokens of a role, to prove who they are");
  }
  if (IsLoopback(config.listen)) return problems;
  if (!config.knows_callers()) {
    problems.push_back(
        "--listen: beyond loopback callers must prove who they are: --tls-client-ca or --edge-tokens-file");
  } else if (!has_tls && !config.network_encrypts) {
    problems.push_back("--listen: beyond loopback tokens travel encrypted: --tls-cert, or --network-encrypts");
  }
  return problems;
}

std::vector<std::string> Apply(const Raw& raw, Config& config) {
  std::vector<std::string> problems;
  absl::StatusOr<redis::Address> address = redis::ParseRedisUrl(raw.redis_url);
  if (address.ok()) {
    config.redis.address = *std::move(address);
  } else {
    problems.push_back(absl::StrCat("--redis-url: ", address.status().message()));
  }
  config.redis.connect_timeout = config.redis.stall_timeout = raw.redis_timeout;

  SessionOptions& sessions = config.sessions;
  sessions.secrets = raw.secrets;
  if (raw.secrets.empty()) problems.push_back("--cookie-secret: at least one secret is needed");
  for (const std::string& secret : raw.secrets) {
    if (secret.empty()) problems.push_back("--cookie-secret: an empty secret signs for everybody");
  }
  if (raw.max_age.count() > 0) sessions.cookie.max_age = raw.max_age;
  using SameSite = CookieAttributes::SameSite;
  if (!Choose<SameSite>(
          {{"", SameSite::kUnset}, {"lax", SameSite::kLax}, {"strict", SameSite::kStrict}, {"none", SameSite::kNone}},
          raw.same_site, sessions.cookie.same_site)) {
    problems.push_back("--cookie-same-site: must be lax, strict or none");
  }
  using Priority = CookieAttributes::Priority;
  if (!Choose<Priority>(
          {{"", Priority::kUnset}, {"low", Priority::kLow}, {"medium", Priority::kMedium}, {"high", Priority::kHigh}},
          raw.priority, sessions.cookie.priority)) {
    problems.push_back("--cookie-priority: must be low, medium or high");
  }
  for (std::string& problem : CookieProblems(sessions.cookie)) problems.push_back(std::move(problem));
  if (!Choose<ForeignConflict>({{"reapply", ForeignConflict::kReapply}, {"report", ForeignConflict::kReport}},
                               raw.foreign_conflict, sessions.foreign_conflict)) {
    problems.push_back("--foreign-conflict: must be reapply or report");
  }
  sessions.create_limits.per_second = raw.create_rate;
  if (raw.create_rate_per_address < kNoAddressLimit) {
    sessions.create_limits.per_address_per_minute = raw.create_rate_per_address;
  }
  sessions.merge.max_patch_depth = static_cast<int>(raw.max_patch_depth);
  sessions.merge.max_result_bytes = static_cast<std::size_t>(raw.max_record_bytes);
  for (const std::string& member : sessions.claimed_members) {
    if (IsReservedMember(member)) problems.push_back(absl::StrCat("--claimed-members: Express cannot load ", member));
  }
  if (!Choose<ChangeFeedKind>({{"tracking", ChangeFeedKind::kTracking}, {"hints", ChangeFeedKind::kHints}},
                              raw.change_feed, config.change_feed)) {
    problems.push_back("--change-feed: must be tracking or hints");
  }
  using Reads = LiveSessions::Reads;
  if (!Choose<Reads>({{"exact", Reads::kExact}, {"near", Reads::kNear}, {"off", Reads::kOff}}, raw.read_cache,
                     sessions.live.reads)) {
    problems.push_back("--read-cache: must be exact, near or off");
  }
  sessions.live.max_sessions = static_cast<std::size_t>(raw.read_cache_sessions);
  config.expiry_sweep.lease = 2 * config.expiry_sweep.interval;
  config.store.foreign_absolute_ttl = sessions.absolute_ttl;
  config.store.revoked_mark = sessions.absolute_ttl + std::chrono::hours(24);
  sessions.user_limit.sessions = static_cast<int>(raw.user_sessions);
  if (!Choose<bool>({{"end-oldest", true}, {"refuse", false}}, raw.user_full, sessions.user_limit.end_oldest)) {
    problems.push_back("--user-sessions-full: must be end-oldest or refuse");
  }

  for (std::string& problem : CallerProblems(config)) problems.push_back(std::move(problem));

  using telemetry::Level;
  if (!Choose<Level>(
          {{"debug", Level::kDebug}, {"info", Level::kInfo}, {"warn", Level::kWarn}, {"error", Level::kError}},
          raw.log_level, config.log_level)) {
    problems.push_back("--log-level: must be debug, info, warn or error");
  }
  if (!Choose<telemetry::LogFormat>({{"text", telemetry::LogFormat::kKeyValue}, {"json", telemetry::LogFormat::kJson}},
                                    raw.log_format, config.log_format)) {
    problems.push_back("--log-format: must be text or json");
  }
  return problems;
}

}  // namespace

absl::StatusOr<config::Flags::Action> LoadConfig(int argc, const char* const* argv, Config& config) {
  using std::chrono_literals::operator""ms;
  using std::chrono_literals::operator""s;
  using std::chrono_literals::operator""h;
  Raw raw;
  CookieAttributes& cookie = config.sessions.cookie;
  config::Flags flags("sesior-session", "SESIOR_SESSION_",
                      "Keeps sessions in Redis and passes on broadcasts, over gRPC.");
  flags.Add("listen", &config.listen,
            "gRPC address, host:port; port 0: any free one; beyond loopback with TLS and roles only");
  flags.Add("ops-listen", &config.ops_listen, "address of /metrics, /livez and /readyz");
  flags.Add("tls-cert", &config.tls.cert,
            "PEM file of the gRPC port's certificate and its chain; read again on change");
  flags.Add("tls-key", &config.tls.key, "PEM file of its key");
  flags.Add("tls-client-ca", &config.tls.ca, "PEM file of the authorities that callers' certificates must come from");
  flags.Add("network-encrypts", &config.network_encrypts,
            "gRPC in plaintext beyond loopback is meant: a service mesh encrypts");
  flags.Add("edge-names", &config.certificate_names.edge,
            "names in certificates of callers with the role edge: DNS or URI alternative names, or the common name");
  flags.Add("backend-names", &config.certificate_names.backend, "the same for the role backend");
  flags.Add("admin-names", &config.certificate_names.admin, "the same for the role admin");
  flags.AddSecret("edge-tokens", &config.edge_tokens.tokens, &config.edge_tokens.file,
                  "bearer tokens of callers with the role edge (REST and realtime), 16 bytes or more; a file is read "
                  "again when it changes");
  flags.AddSecret("backend-tokens", &config.backend_tokens.tokens, &config.backend_tokens.file,
                  "the same for the role backend: other services");
  flags.AddSecret("admin-tokens", &config.admin_tokens.tokens, &config.admin_tokens.file,
                  "the same for the role admin: operators");
  flags.AddSecret(
      "redis-url", &raw.redis_url,
      "redis://[[user]:password@]host[:port][/database], unix:///path[?db=N], or "
      "redis-sentinel://[[user]:password@]host[:port],.../primary[/database]: the primary that Sentinels name");
  flags.Add("redis-timeout", &raw.redis_timeout, "a connection that answers nothing for so long is given up",
            {100ms, 60s});
  flags.Add("redis-key-prefix", &config.store.key_prefix, "connect-redis's `prefix`");
  flags.AddSecret("cookie-secret", &raw.secrets, &config.secret_file,
                  "express-session's secrets: the first signs, any verifies; a file is read again when it changes");
  flags.Add("cookie-secret-reload", &config.secret_reload, "how often files of secrets and tokens are looked at",
            {50ms, 1h});
  flags.Add("cookie-name", &cookie.name, "name of the session cookie");
  flags.Add("cookie-path", &cookie.path, "Path of the cookie");
  flags.Add("cookie-domain", &cookie.domain, "Domain of the cookie; empty: the host that set it");
  flags.Add("cookie-max-age", &raw.max_age,
            "life of the cookie and idle limit of new sessions; 0s: until the browser ends", {0ms, 24h * 400});
  flags.Add("cookie-http-only", &cookie.http_only, "keep the cookie from scripts");
  flags.Add("cookie-secure", &cookie.secure, "send the cookie over HTTPS only");
  flags.Add("cookie-partitioned", &cookie.partitioned, "a cookie jar per top-level site");
  flags.Add("cookie-same-site", &raw.same_site, "lax, strict or none; empty: not said");
  flags.Add("cookie-rolling", &config.sessions.rolling, "answer every request with a new cookie (rolling)");
  flags.Add("cookie-priority", &raw.priority, "low, medium or high; empty: not said");
  flags.Add("session-ttl", &config.sessions.default_ttl,
            "idle limit of sessions without a cookie age (connect-redis's ttl)", {1s, 24h * 366});
  flags.Add("session-absolute-ttl", &config.sessions.absolute_ttl, "a session ends after so long, however busy",
            {1s, 24h * 366});
  flags.Add("touch-interval", &config.sessions.touch_interval, "a session's TTL is renewed at most so often",
            {1s, 24h});
  flags.Add("max-record-bytes", &raw.max_record_bytes, "longest record that a patch may make", {1024, 1 << 20});
  flags.Add("max-patch-depth", &raw.max_patch_depth, "levels of objects and arrays that a patch may have", {1, 128});
  flags.Add("create-rate", &raw.create_rate, "sessions a second that this replica makes at most", {1, 1'000'000});
  flags.Add("create-rate-per-address", &raw.create_rate_per_address,
            "sessions a minute that one client address may make; 1000000: not limited", {1, kNoAddressLimit});
  flags.Add("foreign-conflict", &raw.foreign_conflict,
            "a claimed member that Express sets back from a stale copy: reapply it, or only report");
  flags.Add("claimed-members", &config.sessions.claimed_members, "members that only a claim may set");
  flags.Add("user-sessions-max", &raw.user_sessions, "sessions a user may have at a time", {1, 1000});
  flags.Add("user-sessions-full", &raw.user_full, "when a user has as many and begins another: end-oldest or refuse");
  flags.Add("tombstone-ttl", &config.store.tombstone, "how long, at least, an ended session cannot be brought back",
            {60s, 24h * 366});
  flags.Add("recovery-window", &config.store.recovery_window,
            "how long a socket whose connection broke, or whose replica died, may go on elsewhere", {1s, 1h});
  flags.Add("lease-sweep", &config.lease_sweep, "how often expired leases of realtime replicas are looked for",
            {100ms, 60s});
  flags.Add("expiry-sweep", &config.expiry_sweep.interval,
            "sessions whose time is up are noticed at the latest so long after it", {100ms, 60s});
  flags.Add("history-window", &config.history.window,
            "how long broadcasts are kept for those who missed them; the same on all replicas", {1s, 24h});
  flags.Add("history-entries", &config.history.entries, "broadcasts kept at most, for each namespace",
            {1'000, 10'000'000});
  flags.Add("history-bytes", &config.history.bytes, "bytes of them kept at most, for each namespace",
            {4 << 20, std::int64_t{16} << 30});
  flags.Add("change-feed", &raw.change_feed,
            "tracking: Redis tells of changes by others; hints: for servers that refuse CLIENT TRACKING, see "
            "--recheck-interval");
  flags.Add("recheck-interval", &config.recheck,
            "watched sessions are looked at so often where changes by others are not told", {100ms, 1h});
  flags.Add("read-cache", &raw.read_cache,
            "exact: never stale; near: stale by the time a notice needs, without asking Redis; off: every read asks");
  flags.Add("read-cache-sessions", &raw.read_cache_sessions, "sessions remembered; 0: none", {0, 10'000'000});
  flags.Add("read-cache-age", &config.sessions.live.max_age,
            "a session is answered from memory so long at most without asking Redis for it", {1ms, 60s});
  flags.Add("stop-timeout", &config.stop_timeout, "time a stop may take", {100ms, 600s});
  flags.Add("log-level", &raw.log_level, "debug, info, warn or error");
  flags.Add("log-format", &raw.log_format, "text or json");
  flags.AddCheck([&raw, &config] { return Apply(raw, config); });
  return flags.Parse(argc, argv);
}

bool IsLoopback(const std::string& listen) {
  if (absl::StartsWith(listen, "unix:")) return true;
  // Digits and dots only: "127.example.com" is a name, of any machine.
  const std::string host = listen.substr(0, listen.rfind(':'));
  return host == "localhost" || host == "[::1]" ||
         (absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

}  // namespace sesior::session
