#include "services/session/redis/subscriber.hpp"

#include <algorithm>
#include <array>
#include <asio/post.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/session/redis/reply.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session::redis {

class Subscriber::Token final : public EventBus::Subscription {
 public:
  Token(Subscriber& owner, std::string channel, std::shared_ptr<Entry> entry)
      : owner_(owner), channel_(std::move(channel)), entry_(std::move(entry)) {}
  ~Token() override {
    entry_->removed = true;
    owner_.channels_[channel_].entries.remove(entry_);
  }

 private:
  Subscriber& owner_;
  const std::string channel_;
  const std::shared_ptr<Entry> entry_;
};

Subscriber::Subscriber(asio::io_context& io, Options options, Client& client,
                       std::function<void(bool, const absl::Status&)> on_change)
    : io_(io),
      options_(std::move(options)),
      client_(client),
      on_change_(std::move(on_change)),
      heartbeat_channel_(absl::StrCat("sesior:hb:", NewShortId())),
      beat_timer_(io),
      connection_(io, options_.connection,
                  {.on_ready =
                       [this](const ServerInfo&) {
                         last_heard_ = std::chrono::steady_clock::now();
                         SendSubscribe(heartbeat_channel_);
                         for (auto& [name, channel] : channels_) SendSubscribe(name);
                         on_change_(true, absl::OkStatus());
                       },
                   .on_lost =
                       [this](const absl::Status& why, bool) {
                         for (auto& [name, channel] : channels_) channel.confirmed = false;
                         on_change_(false, why);
                       }}) {}

Subscriber::~Subscriber() { *alive_ = false; }

void Subscriber::Start() {
  connection_.Start();
  Beat();
}

void Subscriber::Beat() {
  beat_timer_.expires_after(options_.heartbeat);
  beat_timer_.async_wait([this, alive = alive_](std::error_code error) {
    if (error || !*alive) return;
    if (connection_.ready() && client_.ready()) {
      client_.Command(Arguments().Add("PUBLISH").Add(heartbeat_channel_).Add(""), [](auto) {});
      if (std::chrono::steady_clock::now() - std::max(last_heard_, client_.ready_since()) > options_.silence_limit) {
        connection_.Drop(absl::DeadlineExceededError(
            absl::StrCat("the subscription heard nothing for ", options_.silence_limit.count(), " ms")));
      }
    }
    Beat();
  });
}

std::unique_ptr<EventBus::Subscription> Subscriber::Subscribe(std::string channel, Handler handler) {
  auto entry = std::make_shared<Entry>(Entry{.handler = std::move(handler)});
  const bool is_new = !channels_.contains(channel);
  Channel& state = channels_[channel];
  state.entries.push_back(entry);
  if (is_new) {
    SendSubscribe(channel);
  } else if (state.confirmed) {
    asio::post(io_, [this, alive = alive_, channel, entry] {
      // Still confirmed? Else the next confirmation raises it.
      if (*alive && !entry->removed && !entry->up && channels_[channel].confirmed) RaiseUp(entry);
    });
  }
  return std::make_unique<Token>(*this, std::move(channel), std::move(entry));
}

void Subscriber::RaiseUp(const std::shared_ptr<Entry>& entry) {
  entry->up = true;
  if (entry->handler.on_up) entry->handler.on_up();
}

void Subscriber::SendSubscribe(const std::string& channel) {
  redisAsyncContext* context = connection_.context();
  if (context == nullptr) return;
  std::array<const char*, 2> argv = {"SUBSCRIBE", channel.data()};
  const std::array<std::size_t, 2> lengths = {9, channel.size()};
  redisAsyncCommandArgv(
      context,
      [](redisAsyncContext*, void* reply, void* self) {
        if (reply != nullptr) static_cast<Subscriber*>(self)->OnMessage(static_cast<const redisReply*>(reply));
      },
      this, 2, argv.data(), lengths.data());
}

void Subscriber::OnMessage(const redisReply* raw) {
  const Reply reply(raw);
  if (reply.size() != 3) return;
  last_heard_ = std::chrono::steady_clock::now();
  const auto found = channels_.find(absl::string_view(reply[1].text().data(), reply[1].text().size()));
  if (found == channels_.end()) return;
  Channel& channel = found->second;
  const bool is_message = reply[0].text() == "message";
  if (!is_message) {
    if (reply[0].text() != "subscribe") return;
    channel.confirmed = true;
  }
  // A handler may subscribe or unsubscribe, also itself: walk over a copy.
  const std::vector<std::shared_ptr<Entry>> entries(channel.entries.begin(), channel.entries.end());
  for (const std::shared_ptr<Entry>& entry : entries) {
    if (entry->removed) continue;
    if (!is_message) {
      RaiseUp(entry);
    } else if (entry->up) {
      entry->handler.on_message(reply[2].text());
    }
  }
}

}  // namespace sesior::session::redis
