#include "services/realtime/metrics_export.hpp"

#include <utility>

namespace sesior::realtime {

MetricsExport::MetricsExport(telemetry::Registry& registry, const Server& server) : server_(server) {
  auto total = [&](const char* name, const char* help, Tally LoopTallies::*tally, telemetry::Labels labels = {}) {
    totals_.push_back({registry.Counter(name, help, labels), tally});
  };
  auto level = [&](const char* name, const char* help, Tally LoopTallies::*tally) {
    levels_.push_back({registry.Gauge(name, help), tally});
  };
  level("sesior_realtime_connections", "TCP connections open.", &LoopTallies::connections);
  level("sesior_realtime_clients", "Engine.IO sessions open.", &LoopTallies::clients);
  level("sesior_realtime_sockets", "Socket.IO sockets connected.", &LoopTallies::sockets);
  level("sesior_realtime_queued_bytes", "Bytes waiting to be written to clients.", &LoopTallies::queued_bytes);
  total("sesior_realtime_connections_accepted_total", "TCP connections accepted.", &LoopTallies::accepted);
  total("sesior_realtime_connections_refused_total", "TCP connections closed at once, over the limit.",
        &LoopTallies::refused);
  total("sesior_realtime_http_requests_total", "HTTP requests answered.", &LoopTallies::http_requests);
  total("sesior_realtime_messages_received_total", "Engine.IO messages from clients.", &LoopTallies::messages_in);
  total("sesior_realtime_frames_total", "Frames and HTTP answers queued for clients.", &LoopTallies::frames_queued);
  total("sesior_realtime_writes_total", "System calls that wrote them.", &LoopTallies::writes);
  total("sesior_realtime_written_bytes_total", "Bytes written to clients.", &LoopTallies::bytes_written);
  total("sesior_realtime_frames_dropped_total", "Frames not queued: volatile, over the limit, or too late.",
        &LoopTallies::frames_dropped);
  total("sesior_realtime_slow_clients_closed_total", "Clients closed because they did not read.",
        &LoopTallies::slow_closed);
  total("sesior_realtime_aged_clients_closed_total", "Clients closed at --max-connection-age.",
        &LoopTallies::aged_closed);
  total("sesior_realtime_drained_clients_total", "Clients closed in a drain, relayed ones included.",
        &LoopTallies::drain_closed);
  const char* const refused = "sesior_realtime_connects_refused_total";
  const char* const refused_help = "Handshakes and CONNECTs refused.";
  total(refused, refused_help, &LoopTallies::origins_refused, {{"reason", "origin"}});
  total(refused, refused_help, &LoopTallies::handshakes_refused, {{"reason", "rate"}});
  total(refused, refused_help, &LoopTallies::handshakes_draining, {{"reason", "draining"}});
  total(refused, refused_help, &LoopTallies::connect_refused, {{"reason", "session"}});
  total(refused, refused_help, &LoopTallies::connect_failed, {{"reason", "unavailable"}});
  total("sesior_realtime_answers_packed_total", "Poll answers sent as gzip or deflate.", &LoopTallies::answers_packed);
  total("sesior_realtime_answers_unpacked_total", "Poll answers sent as they were, since too many were being packed.",
        &LoopTallies::answers_unpacked);
  level("sesior_realtime_peer_connections", "Connections from other replicas.", &LoopTallies::peer_connections);
  level("sesior_realtime_peer_links", "Connections to other replicas.", &LoopTallies::peer_links);
  level("sesior_realtime_relays", "WebSockets whose session lives on another replica.", &LoopTallies::relays);
  total("sesior_realtime_relayed_bytes_total", "Bytes carried for them.", &LoopTallies::relayed_bytes);
  total("sesior_realtime_peers_refused_total", "Connections to the peer port that proved nothing, or were too many.",
        &LoopTallies::peers_refused);
  total("sesior_realtime_requests_passed_on_total", "Requests for sessions of other replicas.",
        &LoopTallies::passed_on);
  level("sesior_realtime_requests_being_passed_on", "Requests whose answer is not there yet.",
        &LoopTallies::passing_on);
  const char* const failed = "sesior_realtime_requests_passed_on_failed_total";
  const char* const failed_help = "Requests for sessions of other replicas that were answered here instead.";
  total(failed, failed_help, &LoopTallies::pass_unknown, {{"reason", "unknown"}});
  total(failed, failed_help, &LoopTallies::pass_unreachable, {{"reason", "unreachable"}});
  total(failed, failed_help, &LoopTallies::pass_untrusted, {{"reason", "untrusted"}});
  total(failed, failed_help, &LoopTallies::pass_broken, {{"reason", "broken"}});
  total(failed, failed_help, &LoopTallies::pass_busy, {{"reason", "busy"}});
  total("sesior_realtime_sessions_ended_total", "Clients disconnected with their session.",
        &LoopTallies::sessions_ended);
  total("sesior_realtime_standstills_total", "Times that a thread did not run for 250 ms or more.",
        &LoopTallies::standstills);
  total("sesior_realtime_sessions_not_confirmed_total",
        "Sessions whose events were handled after a standstill although the session service could not be asked.",
        &LoopTallies::not_confirmed);
  auto limit = [&](const char* what, Tally LoopTallies::*tally) {
    total("sesior_realtime_limits_hit_total", "What was refused because it went over a bound.", tally,
          {{"limit", what}});
  };
  limit("clients_per_address", &LoopTallies::address_clients_refused);
  limit("handshakes_per_address", &LoopTallies::address_handshakes_refused);
  limit("namespaces", &LoopTallies::namespaces_refused);
  limit("attachments", &LoopTallies::attachments_refused);
  limit("packet_bytes", &LoopTallies::packet_bytes_refused);
  limit("packets_per_second", &LoopTallies::packets_refused);
  limit("rooms", &LoopTallies::rooms_refused);
  limit("pending_acks", &LoopTallies::acks_refused);
  limit("queued_work", &LoopTallies::work_refused);
  limit("binaries", &LoopTallies::binaries_refused);
}

void MetricsExport::Collect() {
  for (Total& total : totals_) {
    const std::uint64_t now = server_.Sum(total.tally);
    total.counter.Increment(static_cast<double>(now - std::exchange(total.told, now)));
  }
  for (const Level& level : levels_) level.gauge.Set(static_cast<double>(server_.Sum(level.tally)));
}

}  // namespace sesior::realtime
