#include "services/rest/http/server.hpp"

#include <pistache/listener.h>
#include <pistache/peer.h>
#include <pistache/transport.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/rest/http/worker.hpp"
#include "sesior/base/check.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::rest {
namespace {

namespace Aio = Pistache::Aio;
namespace Polling = Pistache::Polling;
namespace Tcp = Pistache::Tcp;

// Pistache wants to tell a handler about connections; ours hears of the new ones only, since WorkerTransport lets
// nothing else through to Pistache.
class NewPeers final : public Tcp::Handler {
 public:
  PROTOTYPE_OF(Tcp::Handler, NewPeers)
  void onConnection(const std::shared_ptr<Tcp::Peer>& peer) override {
    worker_->Add(peer->fd(), peer->address().host());
  }
  void onInput(const char*, std::size_t, const std::shared_ptr<Tcp::Peer>&) override { SESIOR_CHECK(false); }
  void set_worker(Worker* worker) { worker_ = worker; }

 private:
  Worker* worker_ = nullptr;
};

// WorkerTransport puts our Worker on a thread of Pistache's: takes the events of connections before Pistache's own code
// sees them, and leaves it the queue of accepted ones.
class WorkerTransport final : public Tcp::Transport, private Worker::Poller {
 public:
  using Workers = std::vector<std::pair<Worker*, std::shared_ptr<Mailbox>>>;

  // A prototype: Pistache clones one for each thread, and `workers` gets the clones'.
  WorkerTransport(Worker::Shared shared, Workers& workers)
      : WorkerTransport(shared, workers, std::make_shared<NewPeers>()) {}

  ~WorkerTransport() override { ::close(timer_fd_); }

  std::shared_ptr<Aio::Handler> clone() const override {
    auto copy = std::make_shared<WorkerTransport>(shared_, workers_);
    workers_.emplace_back(&copy->worker_, copy->worker_.mailbox());
    return copy;
  }

  void registerPoller(Polling::Epoll& poller) override {
    Tcp::Transport::registerPoller(poller);
    for (const int fd : {worker_.mailbox()->wake_fd(), timer_fd_}) {
      poller.addFd(fd, Pistache::Flags<Polling::NotifyOn>(Polling::NotifyOn::Read),
                   Polling::Tag(static_cast<std::uint64_t>(fd)));
    }
  }

  void onReady(const Aio::FdSet& events) override {
    if (!begun_) {
      begun_ = true;
      worker_.Begin();
    }
    std::vector<Polling::Event> others;
    for (const Aio::FdSet::Entry& entry : events) {
      // Entry hides the one flag that tells of a half-closed connection behind private inheritance; a cast of this form
      // is the standard's way to a private base.
      const auto& event = (const Polling::Event&)entry;  // NOLINT
      const int fd = static_cast<int>(event.tag.value());
      if (fd == worker_.mailbox()->wake_fd()) continue;  // served below, after every turn
      if (fd == timer_fd_) {
        std::uint64_t ticks = 0;
        if (::read(timer_fd_, &ticks, sizeof ticks) == sizeof ticks) worker_.OnTick();
      } else if (worker_.Has(fd)) {
        worker_.OnReady(fd, {.readable = entry.isReadable(),
                             .writable = entry.isWritable(),
                             .half_closed = event.flags.hasFlag(Polling::NotifyOn::Shutdown),
                             .hung_up = entry.isHangup()});
      } else if (peers.count(fd) != 0) {
        Remove(fd);  // refused by the worker
      } else {
        others.push_back(event);
      }
    }
    if (!others.empty()) Tcp::Transport::onReady(Aio::FdSet(std::move(others)));
    worker_.RunPosted();
  }

 private:
  WorkerTransport(Worker::Shared shared, Workers& workers, const std::shared_ptr<NewPeers>& new_peers)
      : Tcp::Transport(new_peers), shared_(shared), workers_(workers), worker_(shared, *this) {
    new_peers->set_worker(&worker_);
    SESIOR_CHECK(timer_fd_ >= 0);
    const timespec tick{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(Worker::kTick).count()};
    const itimerspec every{.it_interval = tick, .it_value = tick};
    SESIOR_CHECK(::timerfd_settime(timer_fd_, 0, &every, nullptr) == 0);
  }

  // Worker::Poller
  void WatchWrites(int fd) override {
    using Polling::NotifyOn;
    reactor()->modifyFd(key(), fd, NotifyOn::Read | NotifyOn::Write | NotifyOn::Shutdown, Polling::Mode::Edge);
  }
  void Remove(int fd) override {
    const auto it = peers.find(fd);
    SESIOR_CHECK(it != peers.end());
    const std::shared_ptr<Tcp::Peer> peer = it->second;
    removePeer(peer);
  }

  const Worker::Shared shared_;
  Workers& workers_;
  const int timer_fd_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  bool begun_ = false;
  Worker worker_;
};

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, telemetry::Registry& registry, RequestHandler handler)
      : options_(std::move(options)),
        metrics_(registry),
        handler_(std::move(handler)),
        count_(options_.max_connections) {}

  absl::Status Start() {
    try {
      listener_ = std::make_unique<Tcp::Listener>();
      const Pistache::Flags<Tcp::Options> socket_options(Tcp::Options::ReuseAddr | Tcp::Options::NoDelay |
                                                         Tcp::Options::CloseOnExec);
      listener_->init(static_cast<std::size_t>(options_.threads), socket_options, "rest");
      listener_->setTransportFactory([this] {
        return std::make_shared<WorkerTransport>(
            Worker::Shared{
                .options = options_, .metrics = metrics_, .handler = handler_, .count = count_, .clock = SystemClock()},
            workers_);
      });
      listener_->bind(Pistache::Address(options_.listen));
      listener_->runThreaded();
    } catch (const std::exception& error) {
      listener_.reset();
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.listen, ": ", error.what()));
    }
    telemetry::Log(telemetry::Level::kInfo, "listening", {{"name", "http"}, {"addr", address()}});
    return absl::OkStatus();
  }

  void Drain(std::chrono::steady_clock::time_point deadline) {
    for (const auto& [worker, mailbox] : workers_) mailbox->Post([worker = worker] { worker->StartDrain(); });
    count_.WaitForNone(deadline);
  }

  void Stop() {
    if (!listener_) return;
    listener_->shutdown();
    listener_.reset();  // joins the threads
    workers_.clear();
  }

  int port() const { return listener_ ? static_cast<int>(listener_->getPort()) : 0; }

 private:
  std::string address() const {
    return absl::StrCat(options_.listen.substr(0, options_.listen.rfind(':')), ":", port());
  }

  const ServerOptions options_;
  ServerMetrics metrics_;
  RequestHandler handler_;
  ConnectionCount count_;
  WorkerTransport::Workers workers_;
  std::unique_ptr<Tcp::Listener> listener_;
};

Server::Server(ServerOptions options, telemetry::Registry& registry, RequestHandler handler)
    : impl_(std::make_unique<Impl>(std::move(options), registry, std::move(handler))) {}
Server::~Server() { Stop(); }
absl::Status Server::Start() { return impl_->Start(); }
void Server::Drain(std::chrono::steady_clock::time_point deadline) { impl_->Drain(deadline); }
void Server::Stop() { impl_->Stop(); }
int Server::port() const { return impl_->port(); }

}  // namespace sesior::rest
