#include "services/realtime/connection/engine_front.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "sesior/websocket/handshake.hpp"

namespace sesior::realtime {

using socketio::EngineError;
using socketio::EngineTransport;

// The parameters of an Engine.IO request.
struct EngineFront::Query {
  explicit Query(const http::Request& request) : form(http::ParseForm(request.query)) {
    if (const std::string* sid = Get("sid")) {
      has_sid = !sid->empty();
      id = EngineId::Parse(*sid);
    }
  }
  const std::string* Get(std::string_view name) const { return http::FindField(form, name); }
  std::optional<std::string_view> View(std::string_view name) const {
    const std::string* value = Get(name);
    return value == nullptr ? std::nullopt : std::optional<std::string_view>(*value);
  }

  http::Form form;
  bool has_sid = false;
  std::optional<EngineId> id;
};

namespace {

websocket::HandshakeRequest ToHandshake(const http::Request& request, std::string& upgrade, std::string& connection) {
  auto first = [&request](std::string_view name) {
    const std::string* value = request.Find(name);
    return value == nullptr ? std::string_view() : std::string_view(*value);
  };
  upgrade = request.Joined("upgrade", ",").value_or("");
  connection = request.Joined("connection", ",").value_or("");
  return {request.method_text, request.version_minor >= 1, upgrade,
          connection,          first("sec-websocket-key"), first("sec-websocket-version")};
}

bool IsWebSocketRequest(const http::Request& request) {
  const std::optional<std::string> upgrade = request.upgrade ? request.Joined("upgrade", ",") : std::nullopt;
  return upgrade && http::HasToken(*upgrade, "websocket");
}

std::string_view ContentType(const http::Request& request) {
  const std::string* type = request.Find("content-type");
  return type == nullptr ? std::string_view() : std::string_view(*type);
}

}  // namespace

EngineFront::EngineFront(const EngineFrontOptions& options, const http::CorsPolicy& cors, const ClientBundle& bundle,
                         std::size_t threads, Peers* peers, const std::atomic<bool>& draining, HandshakeGate& gate,
                         ClientContext clients)
    : options_(options),
      cors_(cors),
      bundle_(bundle),
      threads_(threads),
      peers_(peers),
      draining_(draining),
      gate_(gate),
      clients_context_(std::move(clients)) {
  clients_context_.on_finished = [this](const EngineId::Key& key) {
    clients_context_.loop.Post([this, key] { Forget(key); });
  };
}

EngineFront::~EngineFront() = default;

void EngineFront::Forget(const EngineId::Key& key) { clients_.erase(key); }

bool EngineFront::IsEnginePath(std::string_view path) const {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path == options_.path;
}

std::optional<std::size_t> EngineFront::Route(const http::Request& head) {
  if (threads_ == 1 || !IsEnginePath(head.path)) return std::nullopt;
  const Query query(head);
  if (!query.id || query.id->replica != options_.replica_id) return std::nullopt;
  const std::size_t thread = query.id->thread;
  return thread < threads_ && thread != clients_context_.loop.index() ? std::optional(thread) : std::nullopt;
}

bool EngineFront::OnHead(const http::Request& head, const ExchangePtr& exchange) {
  if (!IsEnginePath(head.path) || head.method != http::Method::kPost ||
      JudgeOrigin(head, *exchange) == http::OriginVerdict::kForeign) {
    return false;
  }
  const Query query(head);
  if (IsForAnother(query, *exchange)) {
    // The owner shall know of a POST that ends in the middle, so it gets the head at once; a chunked body goes whole.
    std::size_t body_bytes = 0;
    const std::string* length = head.Find("content-length");
    if (length == nullptr || !absl::SimpleAtoi(*length, &body_bytes)) return false;
    AddCors(head, exchange);
    http::Request alone = head;
    alone.body.clear();  // what is there of it comes again, with the rest
    PassOn(std::move(alone), query, body_bytes, exchange);
    return exchange->passed_on == nullptr;
  }
  const std::string* transport = query.Get("transport");
  Client* const client = Find(query);
  if (client == nullptr || transport == nullptr || *transport != "polling") return false;
  AddCors(head, exchange);
  return client->OnPostBegin(ContentType(head), exchange);
}

http::Response EngineFront::OnTooLarge(const http::Request& head, const Exchange& exchange, bool announced) {
  http::Response response(413);
  cors_.AddHeaders(head, JudgeOrigin(head, exchange), response);
  if (Client* client = announced && IsEnginePath(head.path) ? Find(Query(head)) : nullptr) client->OnPostTooLarge(true);
  return response;
}

void EngineFront::OnRequest(http::Request request, const ExchangePtr& exchange) {
  if (exchange->passed_on) return Peers::PassBody(exchange, std::move(request.body));
  if (exchange->headers.empty()) AddCors(request, exchange);
  const std::string_view path = request.path;
  if (http::CorsPolicy::IsPreflight(request)) {
    exchange->headers.clear();
    return exchange->Answer(cors_.Preflight(request, JudgeOrigin(request, *exchange)));
  }
  if (IsEnginePath(path)) return OnEngineRequest(std::move(request), exchange);
  if (path.starts_with(options_.path) && path.substr(options_.path.size()).starts_with('/')) {
    const std::string_view name = path.substr(options_.path.size() + 1);
    if (bundle_.Has(name)) return exchange->Answer(bundle_.Answer(request, name));
  }
  exchange->Answer(http::Response(404, "text/plain; charset=utf-8", "Not found\n"));
}

void EngineFront::OnEngineRequest(http::Request request, const ExchangePtr& exchange) {
  const Query query(request);
  const bool websocket = IsWebSocketRequest(request);
  const bool is_foreign = JudgeOrigin(request, *exchange) == http::OriginVerdict::kForeign;
  if (is_foreign) clients_context_.tallies.origins_refused.Add();
  if (is_foreign && query.has_sid) return Refuse(websocket, exchange, EngineError::kForbidden);
  if (IsForAnother(query, *exchange)) {
    const std::size_t body_bytes = request.body.size();
    return PassOn(std::move(request), query, body_bytes, exchange);
  }
  Client* const client = Find(query);

  socketio::EngineRequest engine;
  engine.method = request.method_text;
  engine.transport = query.View("transport");
  engine.eio = query.View("EIO");
  engine.sid = query.View("sid");
  if (const std::string* origin = request.Find("origin")) engine.origin = *origin;
  engine.is_upgrade = websocket;
  if (client != nullptr) engine.session_transport = client->transport();
  engine.forbidden = is_foreign;
  if (const std::optional<EngineError> error = socketio::VerifyEngineRequest(engine, clients_context_.engine)) {
    return Refuse(websocket, exchange, *error);
  }
  if (engine.is_upgrade) return OnUpgrade(request, query, exchange);
  if (options_.http_compression && request.method == http::Method::kGet) {
    exchange->coding = http::ChooseCoding(request.Joined("accept-encoding", ",").value_or(""));
  }
  if (client == nullptr) {
    if (!Admit(request, exchange)) return;
    std::string sid;
    NewClient(request, query, *exchange, sid).OpenPolling(sid, exchange);
  } else if (request.method == http::Method::kGet) {
    client->OnPoll(exchange);
  } else if (request.method == http::Method::kPost) {
    client->OnPost(ContentType(request), request.body, exchange);
  } else {
    exchange->Answer(http::Response(500));
  }
}

void EngineFront::OnUpgrade(const http::Request& request, const Query& query, const ExchangePtr& exchange) {
  std::string upgrade;
  std::string connection;
  const websocket::HandshakeRequest handshake = ToHandshake(request, upgrade, connection);
  switch (websocket::Judge(handshake)) {
    case websocket::HandshakeVerdict::kAccepted:
      break;
    case websocket::HandshakeVerdict::kWrongVersion:
      return exchange->Answer(
          std::move(http::Response(426).Add("Sec-WebSocket-Version", "13").Add("Upgrade", "websocket")), true);
    default:
      return Refuse(true, exchange, EngineError::kBadRequest);
  }
  const std::shared_ptr<Channel> channel = exchange->channel();
  if (Client* const client = Find(query)) {
    channel->StartWebSocket(handshake.key, *client);
    return client->OnUpgrade(channel);
  }
  if (!Admit(request, exchange)) return;
  std::string sid;
  Client& client = NewClient(request, query, *exchange, sid);
  channel->StartWebSocket(handshake.key, client);
  client.OpenWebSocket(sid, channel);
}

void EngineFront::PassOn(http::Request request, const Query& query, std::size_t body_bytes,
                         const ExchangePtr& exchange) {
  const http::IpAddress client = ClientAddress(request, *exchange);
  peers_->Pass(*query.id, std::move(request), body_bytes, client, Trusts(*exchange), exchange);
}

void EngineFront::OnPassFailed(const ExchangePtr& exchange, bool upgrade, PeerFailure failure) {
  LoopTallies& tallies = clients_context_.tallies;
  switch (failure) {
    case PeerFailure::kUnknown:
      tallies.pass_unknown.Add();
      break;
    case PeerFailure::kUnreachable:
      tallies.pass_unreachable.Add();
      break;
    case PeerFailure::kUntrusted:
      tallies.pass_untrusted.Add();
      break;
    case PeerFailure::kBroken:
      tallies.pass_broken.Add();
      break;
    case PeerFailure::kBusy:
      tallies.pass_busy.Add();
      return exchange->Answer(
          std::move(http::Response(503, "text/plain; charset=utf-8", "Too busy\n").Add("Retry-After", "1")), upgrade);
  }
  // The session is gone with its replica, or out of reach for good: the client begins anew.
  Refuse(upgrade, exchange, EngineError::kUnknownSession);
}

void EngineFront::Refuse(bool websocket, const ExchangePtr& exchange, EngineError error) {
  if (websocket) {
    exchange->headers.clear();
    return exchange->Answer(http::Response(400, "text/html", std::string(socketio::Message(error))), true);
  }
  exchange->Answer(http::Response(socketio::HttpStatus(error), "application/json", socketio::ErrorBody(error)));
}

Client* EngineFront::Find(const Query& query) const {
  if (!query.id || query.id->replica != options_.replica_id || query.id->thread != clients_context_.loop.index()) {
    return nullptr;
  }
  const auto found = clients_.find(query.id->key);
  return found == clients_.end() || found->second->finished() ? nullptr : found->second.get();
}

bool EngineFront::Admit(const http::Request& request, const ExchangePtr& exchange) {
  LoopTallies& tallies = clients_context_.tallies;
  const Time now = Loop::Now();
  const http::IpAddress address = ClientAddress(request, *exchange);
  // Those who keep to it shall not all come back in the same second.
  thread_local absl::InsecureBitGen random;
  const auto refuse = [&](int status, const char* text, int most_seconds, Tally& tally) {
    tally.Add();
    http::Response response(status, "text/plain; charset=utf-8", text);
    response.Add("Retry-After", std::to_string(absl::Uniform(absl::IntervalClosed, random, 1, most_seconds)));
    exchange->Answer(std::move(response), true);
    return false;
  };
  if (draining_.load(std::memory_order_relaxed)) return refuse(503, "Shutting down\n", 1, tallies.handshakes_draining);
  // One address that floods shall not take what the process lets in from all others.
  AddressLimits& addresses = clients_context_.addresses;
  switch (addresses.Admit(address, now)) {
    case AddressLimits::Verdict::kAdmitted:
      break;
    case AddressLimits::Verdict::kTooMany:
      return refuse(429, "Too many clients\n", 4, tallies.address_clients_refused);
    case AddressLimits::Verdict::kTooFast:
      return refuse(429, "Too many handshakes\n", 4, tallies.address_handshakes_refused);
  }
  if (gate_.Admit(now)) return true;
  addresses.Release(address);
  return refuse(503, "Too many at once\n", 4, tallies.handshakes_refused);
}

hub::Handshake EngineFront::HandshakeOf(const http::Request& request, const Query& query,
                                        const Exchange& exchange) const {
  hub::Handshake::More more;
  for (const auto& field : query.form) {
    const std::string_view name = field.first;
    const bool is_ours =
        name == "EIO" || name == "transport" || name == "sid" || name == "t" || name == "b64" || name == "j";
    if (!is_ours) more.query.push_back(field);
  }
  const std::vector<std::string>& wanted = options_.handshake_headers;
  const bool wants_all = !wanted.empty() && wanted.front() == "*";
  for (const http::Header& header : request.headers) {
    const auto is = [&header](std::string_view name) { return http::EqualsIgnoreCase(header.name, name); };
    const bool named = std::any_of(wanted.begin(), wanted.end(), is);
    if (named || (wants_all && !is("cookie") && !is("authorization"))) more.headers.push_back(header);
  }
  hub::Handshake handshake;
  handshake.address = ClientAddress(request, exchange);
  handshake.secure = http::OwnOrigin(request, Trusts(exchange)).starts_with("https:");
  handshake.time = std::chrono::system_clock::now();
  if (!more.query.empty() || !more.headers.empty()) {
    handshake.more = std::make_unique<const hub::Handshake::More>(std::move(more));
  }
  return handshake;
}

Client& EngineFront::NewClient(const http::Request& request, const Query& query, const Exchange& exchange,
                               std::string& sid) {
  const EngineId id = EngineId::Generate(options_.replica_id, clients_context_.loop.index());
  sid = id.ToText();
  auto client = std::make_unique<Client>(clients_context_, id.key, HandshakeOf(request, query, exchange),
                                         request.Joined("cookie", "; ").value_or(""));
  Client& result = *client;
  clients_.emplace(id.key, std::move(client));
  return result;
}

bool EngineFront::IsForAnother(const Query& query, const Exchange& exchange) const {
  return peers_ != nullptr && !exchange.from_replica && query.id && query.id->replica != options_.replica_id;
}

bool EngineFront::Trusts(const Exchange& exchange) const {
  return exchange.from_replica || options_.proxies.Contains(exchange.peer);
}

http::IpAddress EngineFront::ClientAddress(const http::Request& request, const Exchange& exchange) const {
  if (!exchange.from_replica) return options_.proxies.ClientAddress(request, exchange.peer);
  const std::string* forwarded = request.Find("x-forwarded-for");  // by the replica itself
  return http::IpAddress::Parse(forwarded == nullptr ? "" : *forwarded).value_or(exchange.peer);
}

http::OriginVerdict EngineFront::JudgeOrigin(const http::Request& request, const Exchange& exchange) const {
  return cors_.Judge(request, http::OwnOrigin(request, Trusts(exchange)));
}

void EngineFront::AddCors(const http::Request& request, const ExchangePtr& exchange) const {
  http::Response response(200);
  cors_.AddHeaders(request, JudgeOrigin(request, *exchange), response);
  exchange->headers = response.headers();
}

std::size_t EngineFront::CloseSome(std::size_t& count, socketio::CloseReason reason) {
  std::size_t left = 0;
  for (const auto& [key, client] : clients_) {
    if (client->closed()) continue;
    if (count > 0) {
      --count;
      client->Close(reason);
      clients_context_.tallies.drain_closed.Add();
    } else {
      ++left;
    }
  }
  return left;
}

void EngineFront::CloseAll(socketio::CloseReason reason) {
  std::size_t all = clients_.size();
  CloseSome(all, reason);
  clients_.clear();
}

}  // namespace sesior::realtime
