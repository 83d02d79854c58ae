#include "services/realtime/config.hpp"

#include <algorithm>

#include "services/realtime/connection/engine_id.hpp"
#include "services/realtime/transport/listener.hpp"
#include "sesior/base/ids.hpp"
#include "sesior/runtime/cores.hpp"

namespace sesior::realtime {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using Flags = config::Flags;

// Flags write 64-bit numbers; the options have the types of their owners.
struct Numbers {
  std::int64_t threads = std::min<std::int64_t>(runtime::UsableCores(), 64);
  std::int64_t max_connections = 15'000;
  std::int64_t max_peer_connections = 10'000;
  std::int64_t max_payload = 1'000'000;
  std::int64_t max_clients_per_address = 0;
  std::int64_t handshakes_per_address = 0;
  std::int64_t max_packets_per_poll = 16;
  std::int64_t client_queue_bytes = 1 << 20;
  std::int64_t process_queue_bytes = 128 << 20;
  std::int64_t max_packet_bytes = 10'000'000;
  std::int64_t max_packets_per_second = 20'000;
  std::int64_t max_namespaces = 32;
  std::int64_t max_rooms = 1'000;
  std::int64_t max_pending_acks = 1'000;
};

constexpr milliseconds kAnswerGrace{5'000};
constexpr std::size_t kMaxReplicaName = 40;  // an id is longer by 21

template <typename Add>
void CheckPeers(const PeerOptions& peers, const Add& add) {
  if (peers.listen.empty()) return;
  const auto listen = ParseEndpoint(peers.listen);
  if (!listen.ok()) add("peer-listen", listen.status().message());
  if (peers.secrets.empty()) add("peer-secret", "needed with --peer-listen");
  for (const std::string& secret : peers.secrets) {
    if (secret.size() < PeerSecrets::kLeastBytes) add("peer-secret", "at least 16 bytes");
  }
  if (peers.address.empty()) {
    if (listen.ok() && listen->address().is_unspecified()) {
      add("peer-address", "needed when --peer-listen names no address of this host alone");
    }
  } else if (auto address = ParseEndpoint(peers.address); !address.ok()) {
    add("peer-address", address.status().message());
  }
}

std::vector<std::string> Check(const Config& config) {
  std::vector<std::string> problems;
  auto add = [&problems](const std::string& flag, absl::string_view problem) {
    problems.push_back("--" + flag + ": " + std::string(problem));
  };
  if (config.session_addresses.empty()) add("session-addresses", "at least one host:port is needed");
  if (auto endpoint = ParseEndpoint(config.server.listen); !endpoint.ok()) add("listen", endpoint.status().message());
  if (auto valid = http::CorsPolicy::Validate(config.server.allowed_origins); !valid.ok()) {
    add("allowed-origins", valid.message());
  }
  if (!IsReplicaName(config.replica_name) || config.replica_name.size() > kMaxReplicaName) {
    add("replica-name", "1 to 40 of A-Z, a-z, 0-9, - and _");
  }
  if (auto proxies = http::TrustedProxies::Parse(config.trusted_proxies); !proxies.ok()) {
    add("trusted-proxies", proxies.status().message());
  }
  CheckPeers(config.server.peers, add);
  if (!config.server.front.path.starts_with('/') || config.server.front.path.ends_with('/')) {
    add("path", "begins with a slash and ends without one");
  }
  if (config.parser != "json" && config.parser != "msgpack") add("parser", "json or msgpack");
  if (config.transports.empty()) add("transports", "at least one of polling, websocket");
  for (const std::string& transport : config.transports) {
    if (transport != "polling" && transport != "websocket") add("transports", "polling, websocket");
  }
  const std::string& level = config.log_level;
  if (level != "debug" && level != "info" && level != "warn" && level != "error") {
    add("log-level", "debug, info, warn or error");
  }
  if (config.log_format != "text" && config.log_format != "json") add("log-format", "text (key=value) or json");
  return problems;
}

}  // namespace

absl::StatusOr<Flags::Action> LoadConfig(int argc, const char* const* argv, Config& config) {
  Numbers numbers;
  std::string touch_on = "packet";
  ServerOptions& server = config.server;
  config.replica_name = "rt-" + NewShortId();

  Flags flags("sesior-realtime", "SESIOR_REALTIME_", "Holds the Socket.IO connections.");
  flags.Add("listen", &server.listen, "address for clients, host:port; port 0: any free one");
  flags.Add("ops-listen", &config.ops_listen, "address for /livez, /readyz and /metrics, host:port");
  flags.Add("session-addresses", &config.session_addresses, "replicas of the session service, host:port,...");
  session_client::AddFlags(flags, config.session_credentials);
  flags.Add("client-bundle-dir", &server.client_bundle_dir,
            "\"dist\" of the npm package socket.io-client, to be served; empty: it is not");
  flags.Add("allowed-origins", &server.allowed_origins,
            "origins of pages that may connect, scheme://host[:port],...; our own always may");
  flags.Add("trusted-proxies", &config.trusted_proxies, "addresses or networks whose X-Forwarded-... headers count");
  flags.Add("peer-listen", &server.peers.listen,
            "address for other replicas, host:port, in a private network; empty: polling needs a balancer that keeps "
            "clients on their replica");
  flags.Add("peer-address", &server.peers.address, "where they reach it; default: peer-listen");
  flags.AddSecret("peer-secret", &server.peers.secrets,
                  "shared by all replicas; the first one proves, all are accepted; 16 bytes or more");
  flags.Add("max-peer-connections", &numbers.max_peer_connections,
            "to other replicas, and as many from them; more: 503", {1, 1'000'000});
  flags.Add("replica-name", &config.replica_name, "unique among the replicas; default: random");
  flags.Add("threads", &numbers.threads, "threads for connections", {1, 64});
  flags.Add("path", &server.front.path, "path of Socket.IO");
  flags.Add("transports", &config.transports, "that clients may use: polling, websocket or both");
  flags.Add("allow-upgrades", &server.engine.allow_upgrades, "from polling to WebSocket");
  flags.Add("http-compression", &server.front.http_compression,
            "of poll answers of 1,024 bytes and more, by gzip or deflate");
  flags.Add("cookie-name", &server.cookie_name, "name of the session cookie");
  flags.Add("session-timeout", &server.session_timeout, "wait for the session of a client that connects",
            {milliseconds(100), milliseconds(30'000)});
  flags.Add("touch-on", &touch_on,
            "what keeps a session from idling out: packet (what clients send), heartbeat (an open socket), never");
  flags.Add("touch-interval", &server.session_touch.interval,
            "a session is kept alive at most so often, sooner only when its time is nearly up",
            {milliseconds(1'000), hours(24)});
  flags.Add("session-changed-members", &server.session_changed_members,
            "members of the session whose changes its own sockets are told (session:changed); empty: none");
  flags.Add("ping-interval", &server.engine.ping_interval, "between pings", {milliseconds(10), hours(1)});
  flags.Add("ping-timeout", &server.engine.ping_timeout, "for the pong", {milliseconds(10), hours(1)});
  flags.Add("connect-timeout", &server.socketio.connect_timeout, "until a client has joined a namespace",
            {milliseconds(10), hours(1)});
  flags.Add("upgrade-timeout", &server.engine.upgrade_timeout, "for an upgrade to WebSocket",
            {milliseconds(10), hours(1)});
  flags.Add("max-payload", &numbers.max_payload, "bytes of one message or POST body", {1'000, 100'000'000});
  flags.Add("max-connections", &numbers.max_connections, "TCP connections of the process; more are closed at once",
            {1, 1'000'000});
  flags.Add("max-clients-per-address", &numbers.max_clients_per_address,
            "clients that one address may have, of IPv6 one /64; more: 429; 0: any number", {0, 1'000'000});
  flags.Add("handshakes-per-address", &numbers.handshakes_per_address,
            "new clients a second from one address, five times as many at once; more: 429; 0: any number",
            {0, 1'000'000});
  flags.Add("handshake-headers", &server.front.handshake_headers,
            "headers of handshakes that handlers may read, name,...; *: all but Cookie and Authorization");
  flags.Add("max-packets-per-poll", &numbers.max_packets_per_poll,
            "in one poll answer; python-engineio clients refuse more than 16", {1, 10'000});
  flags.Add("client-queue-bytes", &numbers.client_queue_bytes, "waiting for one client; more: it is closed as slow",
            {10'000, 1 << 30});
  flags.Add("process-queue-bytes", &numbers.process_queue_bytes,
            "waiting for all blocked clients; more: those that block are closed as slow",
            {1 << 20, std::int64_t{1} << 36});
  flags.Add("parser", &config.parser, "json, or msgpack for clients that use socket.io-msgpack-parser");
  flags.Add("max-packet-bytes", &numbers.max_packet_bytes, "of a packet with its attachments; more: closed",
            {1'000, 1 << 30});
  flags.Add("max-packets-per-second", &numbers.max_packets_per_second, "from one client; more: closed",
            {1, 1'000'000'000});
  flags.Add("max-namespaces", &numbers.max_namespaces, "that one client has joined; more: closed", {1, 255});
  flags.Add("max-rooms", &numbers.max_rooms, "that one socket has joined; more: not joined", {1, 1'000'000});
  flags.Add("max-pending-acks", &numbers.max_pending_acks,
            "that the application waits for, of one socket; more: it gets an error", {1, 1'000'000});
  flags.Add("drain-delay", &server.drain_delay, "between the stop signal and the first client closed",
            {milliseconds(1), hours(1)});
  flags.Add("drain-rate", &server.drain_rate,
            "clients closed in a second of a drain, so that no more reconnect; what is left when four fifths of "
            "stop-timeout are over is closed at once",
            {1, 1'000'000});
  flags.Add("max-connection-age", &server.max_connection_age,
            "of a client, give or take a tenth; then it has to connect again, so that new replicas get their share",
            {milliseconds(100), hours(24 * 30)});
  flags.Add("max-handshakes-per-second", &server.handshakes_per_second,
            "new clients of the process; more get 503 and Retry-After", {1, 1'000'000});
  flags.Add("stop-timeout", &config.stop_timeout, "time a stop may take", {milliseconds(1'000), hours(1)});
  flags.Add("log-level", &config.log_level, "debug, info, warn or error");
  flags.Add("log-format", &config.log_format, "text (key=value) or json");
  flags.AddCheck([&config, &touch_on] {
    std::vector<std::string> problems = Check(config);
    TouchOn& on = config.server.session_touch.on;
    on = touch_on == "heartbeat" ? TouchOn::kHeartbeat : touch_on == "never" ? TouchOn::kNothing : TouchOn::kPacket;
    if (touch_on != "packet" && touch_on != "heartbeat" && touch_on != "never") {
      problems.push_back("--touch-on: packet, heartbeat or never");
    }
    return problems;
  });

  absl::StatusOr<Flags::Action> action = flags.Parse(argc, argv);
  server.threads = static_cast<std::size_t>(numbers.threads);
  server.max_connections = static_cast<std::size_t>(numbers.max_connections);
  const auto uses = [&config](std::string_view transport) {
    return std::find(config.transports.begin(), config.transports.end(), transport) != config.transports.end();
  };
  server.engine.allow_polling = uses("polling");
  server.engine.allow_websocket = uses("websocket");
  server.peers.max_links = static_cast<std::size_t>(numbers.max_peer_connections);
  server.peers.link.answer_timeout = server.engine.ping_interval + server.engine.ping_timeout + kAnswerGrace;
  if (auto proxies = http::TrustedProxies::Parse(config.trusted_proxies); proxies.ok()) {
    server.front.proxies = *std::move(proxies);
  }
  server.engine.max_payload_bytes = static_cast<std::size_t>(numbers.max_payload);
  server.addresses.max_clients = static_cast<std::size_t>(numbers.max_clients_per_address);
  server.addresses.handshakes_per_second = static_cast<std::size_t>(numbers.handshakes_per_address);
  server.engine.max_packets_per_poll = static_cast<std::size_t>(numbers.max_packets_per_poll);
  server.engine.send_queue_limit_bytes = static_cast<std::size_t>(numbers.client_queue_bytes);
  server.socketio.format =
      config.parser == "msgpack" ? socketio::PacketFormat::kMsgpack : socketio::PacketFormat::kJson;
  server.socketio.max_packet_bytes = static_cast<std::uint32_t>(numbers.max_packet_bytes);
  server.socketio.max_packets_per_second = static_cast<std::uint32_t>(numbers.max_packets_per_second);
  server.socketio.max_namespaces = static_cast<std::size_t>(numbers.max_namespaces);
  server.hub.max_rooms = static_cast<std::size_t>(numbers.max_rooms);
  server.hub.max_pending_acks = static_cast<std::size_t>(numbers.max_pending_acks);
  server.channel.max_message_bytes = server.channel.http.body_bytes = server.engine.max_payload_bytes;
  server.channel.loop_queue_limit_bytes = static_cast<std::size_t>(numbers.process_queue_bytes / numbers.threads);
  return action;
}

}  // namespace sesior::realtime
