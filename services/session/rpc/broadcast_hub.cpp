#include "services/session/rpc/broadcast_hub.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <charconv>
#include <optional>
#include <utility>

namespace sesior::session::rpc {

namespace {

using broadcast::v1::SubscribeResponse;
using google::protobuf::internal::WireFormatLite;
using std::chrono::milliseconds;

constexpr milliseconds kAskAgain(200);
constexpr int kPage = 1000;
// A stream that catches up gets its next page when less than this waits; looked at again after kDrainPause.
constexpr std::size_t kFewWaiting = std::size_t{1} << 20;
constexpr milliseconds kDrainPause(10);

grpc::Slice ToSlice(const SubscribeResponse& response) { return grpc::Slice(response.SerializeAsString()); }

// A SubscribeResponse with one delivery, around the broadcast's bytes as they came: nothing is parsed. `epoch` empty:
// a volatile one, which has no number.
grpc::Slice DeliverySlice(std::string_view epoch, std::uint64_t offset, std::string_view broadcast) {
  const auto text_bytes = [](std::size_t size) {
    return 1 + google::protobuf::io::CodedOutputStream::VarintSize64(size) + size;
  };
  std::size_t inner = text_bytes(broadcast.size());
  if (!epoch.empty()) {
    inner += text_bytes(epoch.size()) + 1 + google::protobuf::io::CodedOutputStream::VarintSize64(offset);
  }
  grpc::Slice slice(text_bytes(inner));
  google::protobuf::io::ArrayOutputStream bytes(const_cast<std::uint8_t*>(slice.begin()),
                                                static_cast<int>(slice.size()));
  google::protobuf::io::CodedOutputStream out(&bytes);
  const auto text = [&out](int field, std::string_view value) {
    out.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
    out.WriteVarint32(static_cast<std::uint32_t>(value.size()));
    out.WriteRaw(value.data(), static_cast<int>(value.size()));
  };
  out.WriteTag(
      WireFormatLite::MakeTag(SubscribeResponse::kDeliveriesFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  out.WriteVarint32(static_cast<std::uint32_t>(inner));
  if (!epoch.empty()) {
    text(broadcast::v1::Delivery::kEpochFieldNumber, epoch);
    WireFormatLite::WriteUInt64(broadcast::v1::Delivery::kOffsetFieldNumber, offset, &out);
  }
  text(broadcast::v1::Delivery::kBroadcastFieldNumber, broadcast);
  out.Trim();
  return slice;
}

// `last` 0: nobody knows how many.
void AddGap(SubscribeResponse& response, const std::string& name_space, const std::string& epoch, std::uint64_t first,
            std::uint64_t last) {
  SubscribeResponse::Gap& gap = *response.add_gaps();
  gap.set_namespace_(name_space);
  gap.set_epoch(epoch);
  gap.set_first_offset(first);
  gap.set_last_offset(last);
}

// What cannot be had any more between `epoch`, `offset` and the broadcasts of `history`.
SubscribeResponse GapsOf(const std::string& name_space, const std::string& epoch, std::uint64_t offset,
                         const StoreHistory& history) {
  SubscribeResponse response;
  if (!history.found) AddGap(response, name_space, epoch, offset + 1, 0);
  if (const std::optional<std::uint64_t> last = MissingIn(history)) {
    AddGap(response, name_space, history.broadcasts.empty() ? history.head.epoch : history.broadcasts.front().epoch,
           history.from, *last);
  }
  return response;
}

}  // namespace

void BroadcastHub::Add(std::shared_ptr<Sink> sink, const std::string& name_space,
                       const broadcast::v1::Position& after) {
  Remove(sink.get(), name_space);
  std::unique_ptr<Channel>& slot = channels_[name_space];
  const bool is_new = slot == nullptr;
  if (is_new) slot = std::make_unique<Channel>();
  Channel& channel = *slot;
  channel.subscribers.push_back({.id = ++last_id_,
                                 .sink = std::move(sink),
                                 .place = {.epoch = after.epoch(), .offset = after.offset()},
                                 .state = Subscriber::State::kWaiting});
  if (is_new) {
    // The subscription stays for good: there are as many as namespaces.
    channel.name_space = name_space;
    channel.subscription = bus_.Subscribe(
        BroadcastChannel(name_space), {.on_message = [this, &channel](std::string_view m) { OnMessage(channel, m); },
                                       .on_up = [this, &channel] { OnUp(channel); }});
  } else if (!channel.place.epoch.empty()) {
    Start(channel, channel.subscribers.back());
  }
  if (!std::exchange(checking_, true)) core_.After(kCheck, [this] { CheckPositions(); });
}

void BroadcastHub::Remove(const Sink* sink, const std::string& name_space) {
  const auto found = channels_.find(name_space);
  if (found == channels_.end()) return;
  std::erase_if(found->second->subscribers, [&](const Subscriber& s) { return s.sink.get() == sink; });
}

void BroadcastHub::DropSink(const Sink* sink) {
  for (auto& [name_space, channel] : channels_) {
    std::erase_if(channel->subscribers, [&](const Subscriber& s) { return s.sink.get() == sink; });
  }
}

// --- The channel

// The subscription stands, for the first time or again: what was sent before may be lost.
void BroadcastHub::OnUp(Channel& channel) {
  if (channel.reading) {
    channel.dropped_held = true;
  } else if (channel.place.epoch.empty()) {
    AskPosition(channel);
  } else {
    Fill(channel);
  }
}

// Nobody has started: all begin behind the head, or catch up with it.
void BroadcastHub::AskPosition(Channel& channel) {
  channel.reading = true;
  store_.Positions({channel.name_space}, [this, &channel](absl::StatusOr<std::vector<StorePosition>> heads) {
    if (!heads.ok() || heads->size() != 1) {
      return core_.After(kAskAgain, [this, &channel] { AskPosition(channel); });
    }
    channel.place = {.epoch = heads->front().epoch, .offset = heads->front().offset};
    for (Subscriber& subscriber : channel.subscribers) Start(channel, subscriber);
    // Behind the head, or counted by it: the head may be older than what has arrived.
    OnFilled(channel, {.head = heads->front(), .found = true, .from = channel.place.offset + 1, .broadcasts = {}});
  });
}

void BroadcastHub::OnMessage(Channel& channel, std::string_view message) {
  if (channel.reading) return Hold(channel, message);
  if (!channel.place.epoch.empty()) Take(channel, message);
}

void BroadcastHub::Hold(Channel& channel, std::string_view message) {
  if (channel.dropped_held) return;
  channel.held_bytes += message.size();
  if (channel.held_bytes > kMaxHeldBytes) {
    channel.held.clear();
    channel.dropped_held = true;
    return;
  }
  channel.held.emplace_back(message);
}

void BroadcastHub::Take(Channel& channel, std::string_view message) {
  // "<epoch> <offset>\n<broadcast>"
  const std::size_t blank = message.find(' ');
  const std::size_t line = message.find('\n');
  if (blank == std::string_view::npos || line == std::string_view::npos || blank > line) return;
  Place place{.epoch = std::string(message.substr(0, blank)), .offset = 0};
  std::from_chars(message.data() + blank + 1, message.data() + line, place.offset);
  if (place.epoch == kVolatileEpoch) {
    const grpc::Slice part = DeliverySlice({}, 0, message.substr(line + 1));
    return PushAll(channel, part);
  }
  if (place.offset == 0) return;
  const bool same_epoch = place.epoch == channel.place.epoch;
  if (same_epoch && place.offset <= channel.place.offset) return;  // told, or announced as lost
  // The first of all follows on nothing, whatever the epoch was called before there was one.
  const bool follows =
      same_epoch ? place.offset == channel.place.offset + 1 : place.offset == 1 && channel.place.offset == 0;
  if (follows) return Deliver(channel, place, message.substr(line + 1));
  Fill(channel);
}

// Holds the namespace back and reads what is missing. Whatever has arrived by now is in the history.
void BroadcastHub::Fill(Channel& channel) {
  channel.reading = true;
  channel.held.clear();
  channel.held_bytes = 0;
  channel.dropped_held = false;
  store_.ReadHistory({.name_space = channel.name_space, .epoch = channel.place.epoch, .offset = channel.place.offset},
                     kPage, [this, &channel](absl::StatusOr<StoreHistory> history) {
                       if (history.ok()) return OnFilled(channel, *std::move(history));
                       core_.After(kAskAgain, [this, &channel] { Fill(channel); });
                     });
}

void BroadcastHub::OnFilled(Channel& channel, StoreHistory history) {
  const SubscribeResponse gaps = GapsOf(channel.name_space, channel.place.epoch, channel.place.offset, history);
  if (gaps.gaps_size() > 0) {
    metrics_.gaps_announced.Increment(gaps.gaps_size());
    PushAll(channel, ToSlice(gaps));
  }
  // Beyond the gap; or there is nothing at all, whatever that is called now.
  if (history.broadcasts.empty() && (gaps.gaps_size() > 0 || history.head.offset == 0)) {
    channel.place = {.epoch = history.head.epoch, .offset = history.head.offset};
    LookAgainAhead(channel);
  }
  metrics_.refetched.Increment(static_cast<double>(history.broadcasts.size()));
  for (const StoredBroadcast& stored : history.broadcasts) {
    Deliver(channel, {.epoch = stored.epoch, .offset = stored.offset}, stored.payload);
  }
  const bool is_page = !history.broadcasts.empty() && channel.place.offset < history.head.offset;
  if (is_page || channel.dropped_held) return Fill(channel);
  channel.reading = false;
  channel.held_bytes = 0;
  std::deque<std::string> held = std::exchange(channel.held, {});
  for (; !held.empty(); held.pop_front()) OnMessage(channel, held.front());  // which may find the next gap, and hold
}

void BroadcastHub::Deliver(Channel& channel, const Place& place, std::string_view broadcast) {
  channel.place = place;
  const grpc::Slice part = DeliverySlice(place.epoch, place.offset, broadcast);
  for (Subscriber& subscriber : channel.subscribers) {
    if (subscriber.state == Subscriber::State::kAhead && subscriber.place.epoch == place.epoch &&
        subscriber.place.offset < place.offset) {
      subscriber.state = Subscriber::State::kLive;
    }
    if (subscriber.state == Subscriber::State::kLive) subscriber.sink->Push(part);
  }
}

void BroadcastHub::PushAll(const Channel& channel, const grpc::Slice& part) {
  for (const Subscriber& subscriber : channel.subscribers) {
    if (subscriber.state == Subscriber::State::kLive) subscriber.sink->Push(part);
  }
}

// --- Streams that join it

void BroadcastHub::Start(Channel& channel, Subscriber& subscriber) {
  if (subscriber.place.epoch.empty()) subscriber.place = channel.place;
  SubscribeResponse response;
  broadcast::v1::Position& started = *response.add_started();
  started.set_namespace_(channel.name_space);
  started.set_epoch(subscriber.place.epoch);
  started.set_offset(subscriber.place.offset);
  subscriber.sink->Push(ToSlice(response));
  if (subscriber.place == channel.place) {
    subscriber.state = Subscriber::State::kLive;
    return;
  }
  subscriber.state = Subscriber::State::kCatchingUp;
  CatchUp(channel, subscriber.id);
}

// A page at a time, until it has got what the channel has; live broadcasts begin behind that.
void BroadcastHub::CatchUp(Channel& channel, std::uint64_t id) {
  const Subscriber* subscriber = Find(channel, id);
  if (subscriber == nullptr) return;
  if (subscriber->sink->WaitingBytes() > kFewWaiting) {
    return core_.After(kDrainPause, [this, &channel, id] { CatchUp(channel, id); });
  }
  store_.ReadHistory(
      {.name_space = channel.name_space, .epoch = subscriber->place.epoch, .offset = subscriber->place.offset}, kPage,
      [this, &channel, id](absl::StatusOr<StoreHistory> history) {
        if (history.ok()) return OnCaughtUp(channel, id, *history);
        core_.After(kAskAgain, [this, &channel, id] { CatchUp(channel, id); });
      });
}

void BroadcastHub::OnCaughtUp(Channel& channel, std::uint64_t id, const StoreHistory& history) {
  Subscriber* subscriber = Find(channel, id);
  if (subscriber == nullptr) return;
  using State = Subscriber::State;
  const SubscribeResponse gaps = GapsOf(channel.name_space, subscriber->place.epoch, subscriber->place.offset, history);
  if (gaps.gaps_size() > 0) {
    metrics_.gaps_announced.Increment(gaps.gaps_size());
    subscriber->sink->Push(ToSlice(gaps));
    if (history.broadcasts.empty()) subscriber->place = {.epoch = history.head.epoch, .offset = history.head.offset};
  }
  if (history.broadcasts.empty()) {
    const bool both_at_nothing = subscriber->place.offset == 0 && channel.place.offset == 0;
    if (subscriber->place == channel.place || both_at_nothing) {
      subscriber->state = State::kLive;
    } else if (subscriber->place.epoch == channel.place.epoch && subscriber->place.offset > channel.place.offset) {
      subscriber->state = State::kAhead;  // it has what is still under way to the channel
    } else {
      // The channel has gone on since the page was read, or has not seen the new epoch.
      return core_.After(kDrainPause, [this, &channel, id] { CatchUp(channel, id); });
    }
  }
  metrics_.refetched.Increment(static_cast<double>(history.broadcasts.size()));
  for (const StoredBroadcast& stored : history.broadcasts) {
    subscriber->place = {.epoch = stored.epoch, .offset = stored.offset};
    subscriber->sink->Push(DeliverySlice(stored.epoch, stored.offset, stored.payload));
    if (subscriber->place == channel.place) {
      subscriber->state = State::kLive;
      break;
    }
  }
  if (subscriber->state == State::kCatchingUp) CatchUp(channel, id);
}

// What the channel has left out does not come any more: those who wait for it must find out what it was.
void BroadcastHub::LookAgainAhead(Channel& channel) {
  for (Subscriber& subscriber : channel.subscribers) {
    if (subscriber.state != Subscriber::State::kAhead) continue;
    subscriber.state = Subscriber::State::kCatchingUp;
    CatchUp(channel, subscriber.id);
  }
}

BroadcastHub::Subscriber* BroadcastHub::Find(Channel& channel, std::uint64_t id) {
  for (Subscriber& subscriber : channel.subscribers) {
    if (subscriber.id == id) return &subscriber;
  }
  return nullptr;
}

// --- Lost tails

void BroadcastHub::CheckPositions() {
  std::vector<std::string> name_spaces;
  for (const auto& [name_space, channel] : channels_) {
    if (!channel->subscribers.empty() && !channel->place.epoch.empty() && !channel->reading) {
      name_spaces.push_back(name_space);
    }
  }
  const auto again = [this] { core_.After(kCheck, [this] { CheckPositions(); }); };
  if (name_spaces.empty()) return again();
  store_.Positions(std::move(name_spaces), [this, again](absl::StatusOr<std::vector<StorePosition>> heads) {
    if (heads.ok()) OnChecked(*heads);
    again();
  });
}

// What was sent just now may still be under way: it is lost when it has not come by the next check.
void BroadcastHub::OnChecked(const std::vector<StorePosition>& heads) {
  for (const StorePosition& head : heads) {
    Channel& channel = *channels_[head.name_space];
    const Place before = std::exchange(channel.head, {.epoch = head.epoch, .offset = head.offset});
    if (channel.reading || before.epoch.empty()) continue;
    const bool has_come =
        before.epoch == channel.place.epoch ? before.offset <= channel.place.offset : before != channel.head;
    if (!has_come) {
      Fill(channel);
    } else if (channel.place == channel.head) {
      LookAgainAhead(channel);
    }
  }
}

}  // namespace sesior::session::rpc
