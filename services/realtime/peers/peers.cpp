#include "services/realtime/peers/peers.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/realtime/transport/listener.hpp"

namespace sesior::realtime {
namespace {

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view one) { return http::EqualsIgnoreCase(name, one); });
}

// What concerns this connection alone, or is said anew.
bool IsLeftOut(std::string_view name, bool trusted) {
  if (IsOneOf(name, {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
                     "content-length", "expect", "x-forwarded-for"})) {
    return true;
  }
  return !trusted && IsOneOf(name, {"x-forwarded-host", "x-forwarded-proto"});
}

}  // namespace

std::string PassedHead(const http::Request& request, const http::IpAddress& client, bool trusted,
                       std::size_t body_bytes) {
  std::string head = request.method_text + " " + request.target + " HTTP/1.1\r\n";
  bool has_host = false;
  for (const http::Header& header : request.headers) {
    if (IsLeftOut(header.name, trusted)) continue;
    if (!request.upgrade && http::EqualsIgnoreCase(header.name, "upgrade")) continue;
    has_host |= http::EqualsIgnoreCase(header.name, "host");
    head.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  if (!has_host) head.append("Host: unknown.invalid\r\n");  // HTTP/1.0 may leave it out
  head.append("X-Forwarded-For: ").append(client.ToText()).append("\r\n");
  if (request.upgrade) head.append("Connection: Upgrade\r\n");
  if (body_bytes > 0 || request.method == http::Method::kPost) {
    head.append("Content-Length: ").append(std::to_string(body_bytes)).append("\r\n");
  }
  return head.append("\r\n");
}

// Lookup, then a link, then the answer.
class PassedOn final : public PeerLink::User, public std::enable_shared_from_this<PassedOn>, private Timer {
 public:
  PassedOn(Peers& peers, const EngineId& id, const http::Request& head, std::string bytes, const ExchangePtr& exchange)
      : Timer(peers.loop_.timers()),
        peers_(peers),
        id_(id),
        key_(absl::StrCat(id.replica, ".", id.thread)),
        method_(head.method),
        upgrade_(head.upgrade),
        bytes_(std::move(bytes)),
        exchange_(exchange) {
    peers_.tallies_.passing_on.Add();
    peers_.under_way_.insert(this);
  }
  ~PassedOn() override { SetDone(); }

  // False: there is no address yet.
  bool TryAddress() {
    const std::string address = peers_.table_.Find(id_.replica);
    if (address.empty()) return false;
    ArmAt(kNever);
    link_ = peers_.Take(key_);
    if (!link_) link_ = peers_.Open(key_, id_, address);
    if (!link_) {
      Fail(PeerFailure::kBusy);
    } else {
      link_->Send(method_, std::exchange(bytes_, {}), weak_from_this());
      if (peers_.releasing_) Release();
    }
    return true;
  }

  // Asks the owner to answer now. What is sent is nothing to an owner that does not know this.
  void Release() {
    if (is_poll() && !done_ && link_ && !std::exchange(released_, true)) link_->SendMore("\r\n");
  }

  void Look() { ArmAt(Loop::Now() + peers_.options_.lookup_timeout); }
  // True: it waits no more.
  bool OnTable() {
    if (done_ || TryAddress()) return true;
    if (--tables_left_ > 0) return false;
    Fail(PeerFailure::kUnknown);
    return true;
  }

  void More(std::string_view body) {
    if (done_) return;
    if (link_) return link_->SendMore(body);
    bytes_.append(body);
  }

  void SetDone() {
    if (std::exchange(done_, true)) return;
    peers_.tallies_.passing_on.Subtract(1);
    peers_.under_way_.erase(this);
  }

  // The client is gone.
  void Abandon() {
    SetDone();
    ArmAt(kNever);
    if (const std::shared_ptr<PeerLink> link = std::move(link_)) link->Close();
  }

  void Fail(PeerFailure failure) {
    const std::shared_ptr<PassedOn> self = shared_from_this();  // the exchange lets go of it
    const ExchangePtr exchange = Finish();
    if (exchange) peers_.on_failed_(exchange, upgrade_, failure);
  }

 private:
  bool is_poll() const { return method_ == http::Method::kGet && !upgrade_; }
  void OnDeadline(Time) override { Fail(PeerFailure::kUnknown); }

  void OnAnswer(http::Response response, bool reusable) override {
    if (reusable) released_ ? link_->Close() : peers_.Keep(key_, link_);
    const ExchangePtr exchange = Finish();
    if (!exchange) return;
    exchange->headers.clear();  // the owner has said all
    exchange->Answer(std::move(response), upgrade_);
  }

  void OnUpgraded(int fd, std::string bytes) override {
    const ExchangePtr exchange = Finish();
    std::optional<Exchange::Released> client = exchange ? exchange->Release() : std::nullopt;
    if (!client) {
      ::close(fd);
      return;
    }
    // It was a link, and is one again as long as bytes are carried.
    std::erase_if(peers_.relays_, [](const std::weak_ptr<Relay>& relay) { return relay.expired(); });
    ++peers_.links_;
    peers_.tallies_.peer_links.Add();
    peers_.tallies_.relays.Add();
    peers_.clients_.open.Add();
    peers_.relays_.push_back(Relay::Start(peers_.loop_, peers_.tallies_, peers_.clients_.options.close_timeout,
                                          {client->fd, std::move(bytes)}, {fd, std::move(client->unread)},
                                          [&peers = peers_] {
                                            --peers.links_;
                                            peers.tallies_.peer_links.Subtract(1);
                                            peers.tallies_.relays.Subtract(1);
                                            peers.clients_.open.Subtract(1);
                                            peers.clients_.connections.fetch_sub(1, std::memory_order_relaxed);
                                          }));
  }

  void OnBroken(PeerFailure failure) override { Fail(failure); }

  // Nothing more comes of it. Null: the client is gone.
  ExchangePtr Finish() {
    SetDone();
    ArmAt(kNever);
    link_.reset();
    ExchangePtr exchange = exchange_.lock();
    if (exchange) {
      exchange->on_gone = nullptr;
      exchange->passed_on.reset();
    }
    return exchange;
  }

  Peers& peers_;
  const EngineId id_;
  const std::string key_;
  const http::Method method_;
  const bool upgrade_;
  std::string bytes_;  // until there is a link
  std::weak_ptr<Exchange> exchange_;
  std::shared_ptr<PeerLink> link_;
  int tables_left_ = 2;  // the next one may have been under way before the replica was there
  bool done_ = false;
  bool released_ = false;  // the owner was asked to answer at once
};

Peers::Peers(Loop& loop, LoopTallies& tallies, const PeerOptions& options, const PeerSecrets& secrets, PeerTable& table,
             std::size_t max_links, ChannelContext& clients, OnFailed on_failed)
    : loop_(loop),
      tallies_(tallies),
      options_(options),
      secrets_(secrets),
      table_(table),
      max_links_(max_links),
      clients_(clients),
      on_failed_(std::move(on_failed)) {}

Peers::~Peers() {
  // They belong to connections, which may outlive this.
  while (!under_way_.empty()) (*under_way_.begin())->SetDone();
}

void Peers::Pass(const EngineId& id, http::Request head, std::size_t body_bytes, const http::IpAddress& client,
                 bool trusted, const ExchangePtr& exchange) {
  tallies_.passed_on.Add();
  std::string bytes = PassedHead(head, client, trusted, body_bytes) + head.body;
  const auto passed = std::make_shared<PassedOn>(*this, id, head, std::move(bytes), exchange);
  exchange->passed_on = passed;
  exchange->on_gone = [weak = std::weak_ptr<PassedOn>(passed)] {
    if (const std::shared_ptr<PassedOn> alive = weak.lock()) alive->Abandon();
  };
  if (passed->TryAddress()) return;
  if (lookups_.size() >= kMaxLookups) return passed->Fail(PeerFailure::kUnknown);
  passed->Look();
  lookups_.push_back(passed);
  table_.Renew();
}

void Peers::PassBody(const ExchangePtr& exchange, std::string body) {
  if (const std::shared_ptr<PassedOn> passed = exchange->passed_on) passed->More(body);
}

void Peers::OnTable() {
  std::vector<std::weak_ptr<PassedOn>> still;
  for (const std::weak_ptr<PassedOn>& weak : std::exchange(lookups_, {})) {
    const std::shared_ptr<PassedOn> passed = weak.lock();
    if (passed && !passed->OnTable()) still.push_back(weak);
  }
  if (still.empty()) return;
  lookups_.insert(lookups_.end(), still.begin(), still.end());
  table_.Renew();
}

std::size_t Peers::CloseRelays(std::size_t& count) {
  std::size_t left = 0;
  for (const std::weak_ptr<Relay>& weak : std::vector(relays_)) {
    const std::shared_ptr<Relay> relay = weak.lock();
    if (!relay) continue;
    if (count > 0) {
      --count;
      relay->Close();
      tallies_.drain_closed.Add();
    } else {
      ++left;
    }
  }
  std::erase_if(relays_, [](const std::weak_ptr<Relay>& relay) { return relay.expired(); });
  return left;
}

void Peers::ReleasePolls() {
  releasing_ = true;
  for (PassedOn* passed : under_way_) passed->Release();
}

std::shared_ptr<PeerLink> Peers::Take(const std::string& key) {
  const auto found = idle_.find(key);
  if (found == idle_.end()) return nullptr;
  std::shared_ptr<PeerLink> link = std::move(found->second.back());
  found->second.pop_back();
  --idle_count_;
  if (found->second.empty()) idle_.erase(found);
  return link;
}

void Peers::Keep(const std::string& key, std::shared_ptr<PeerLink> link) {
  if (idle_count_ >= kMaxIdleLinks) return link->Close();
  idle_[key].push_back(std::move(link));
  ++idle_count_;
}

std::shared_ptr<PeerLink> Peers::Open(const std::string& key, const EngineId& id, const std::string& address) {
  if (links_ >= max_links_ && !idle_.empty()) {
    // One that is not used makes room.
    const std::shared_ptr<PeerLink> spare = idle_.begin()->second.back();
    spare->Close();
  }
  if (links_ >= max_links_) return nullptr;
  // An address that is none comes to the same as one where nobody is.
  const absl::StatusOr<asio::ip::tcp::endpoint> endpoint = ParseEndpoint(address);
  ++links_;
  tallies_.peer_links.Add();
  return PeerLink::Connect(loop_, options_.link, secrets_, endpoint.ok() ? *endpoint : asio::ip::tcp::endpoint(),
                           id.replica, [this, key](const PeerLink& link) { OnLinkEnd(key, link); });
}

void Peers::OnLinkEnd(const std::string& key, const PeerLink& link) {
  --links_;
  tallies_.peer_links.Subtract(1);
  const auto found = idle_.find(key);
  if (found == idle_.end()) return;
  idle_count_ -=
      std::erase_if(found->second, [&link](const std::shared_ptr<PeerLink>& one) { return one.get() == &link; });
  if (found->second.empty()) idle_.erase(found);
}

}  // namespace sesior::realtime
