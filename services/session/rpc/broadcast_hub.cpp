#include "services/session/rpc/broadcast_hub.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <charconv>
#include <utility>

namespace sesior::session::rpc {

namespace {

using broadcast::v1::SubscribeResponse;
using google::protobuf::internal::WireFormatLite;
using std::chrono::milliseconds;

constexpr milliseconds kAskAgain(200);
constexpr milliseconds kArrival(500);

grpc::Slice ToSlice(const SubscribeResponse& response) { return grpc::Slice(response.SerializeAsString()); }

// A SubscribeResponse with one delivery, around the broadcast's bytes as they came: nothing is parsed or copied twice.
grpc::Slice DeliverySlice(std::string_view epoch, std::uint64_t offset, std::string_view broadcast) {
  std::string delivery;
  {
    google::protobuf::io::StringOutputStream bytes(&delivery);
    google::protobuf::io::CodedOutputStream out(&bytes);
    WireFormatLite::WriteString(broadcast::v1::Delivery::kEpochFieldNumber, std::string(epoch), &out);
    WireFormatLite::WriteUInt64(broadcast::v1::Delivery::kOffsetFieldNumber, offset, &out);
    WireFormatLite::WriteBytes(broadcast::v1::Delivery::kBroadcastFieldNumber, std::string(broadcast), &out);
  }
  std::string response;
  {
    google::protobuf::io::StringOutputStream bytes(&response);
    google::protobuf::io::CodedOutputStream out(&bytes);
    WireFormatLite::WriteBytes(SubscribeResponse::kDeliveriesFieldNumber, delivery, &out);
  }
  return grpc::Slice(response);
}

SubscribeResponse GapResponse(const std::string& name_space, const std::string& epoch, std::uint64_t first,
                              std::uint64_t last) {
  SubscribeResponse response;
  SubscribeResponse::Gap& gap = *response.add_gaps();
  gap.set_namespace_(name_space);
  gap.set_epoch(epoch);
  gap.set_first_offset(first);
  gap.set_last_offset(last);
  return response;
}

}  // namespace

void BroadcastHub::Add(std::shared_ptr<Sink> sink, const std::string& name_space,
                       const broadcast::v1::Position& after) {
  Remove(sink.get(), name_space);
  std::unique_ptr<Channel>& channel = channels_[name_space];
  const bool is_new = channel == nullptr;
  if (is_new) channel = std::make_unique<Channel>();
  channel->subscribers.push_back({.sink = std::move(sink), .after = after, .started = false});
  if (is_new) {
    // The subscription stays for good: there are as many as namespaces.
    channel->subscription =
        bus_.Subscribe(BroadcastChannel(name_space),
                       {.on_message = [this, name_space](std::string_view m) { OnMessage(name_space, m); },
                        .on_up = [this, name_space] { AskPosition(name_space); }});
  } else if (!channel->epoch.empty()) {
    Start(name_space, *channel, channel->subscribers.back());
  }
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

// The subscription stands, for the first time or again.
void BroadcastHub::AskPosition(const std::string& name_space) {
  store_.Positions({name_space}, [this, name_space](absl::StatusOr<std::vector<StorePosition>> positions) {
    if (positions.ok() && positions->size() == 1) return OnPosition(name_space, positions->front());
    core_.After(kAskAgain, [this, name_space] { AskPosition(name_space); });
  });
}

void BroadcastHub::OnPosition(const std::string& name_space, const StorePosition& head) {
  Channel& channel = *channels_[name_space];
  if (channel.epoch.empty()) {
    // Nobody has started: all begin behind the head.
    channel.epoch = head.epoch;
    channel.offset = head.offset;
    for (Subscriber& subscriber : channel.subscribers) Start(name_space, channel, subscriber);
    return;
  }
  // What came between two subscriptions is lost, but what was sent after the second may still be under way on its
  // connection: it gets the time to arrive before it counts as lost.
  core_.After(kArrival, [this, name_space, head] { FindLostTail(name_space, head); });
}

void BroadcastHub::FindLostTail(const std::string& name_space, const StorePosition& head) {
  Channel& channel = *channels_[name_space];
  if (channel.epoch == head.epoch && channel.offset < head.offset) {
    AnnounceGap(name_space, channel, channel.offset + 1, head.offset);
    channel.offset = head.offset;
  }
}

void BroadcastHub::OnMessage(const std::string& name_space, std::string_view message) {
  Channel& channel = *channels_[name_space];
  // "<epoch> <offset>\n<broadcast>"
  const std::size_t blank = message.find(' ');
  const std::size_t line = message.find('\n');
  if (blank == std::string_view::npos || line == std::string_view::npos || blank > line) return;
  std::uint64_t offset = 0;
  std::from_chars(message.data() + blank + 1, message.data() + line, offset);
  if (channel.epoch.empty()) return;  // nobody has started: the head, asked for now, counts this one
  const std::string_view epoch = message.substr(0, blank);
  if (epoch != channel.epoch) {
    // A failover: numbers begin anew, and what they stood for before may be gone.
    channel.epoch = std::string(epoch);
    channel.offset = 0;
  }
  if (offset <= channel.offset) return;  // told, or announced as lost
  if (offset > channel.offset + 1) AnnounceGap(name_space, channel, channel.offset + 1, offset - 1);
  channel.offset = offset;
  const grpc::Slice delivery = DeliverySlice(epoch, offset, message.substr(line + 1));
  for (const Subscriber& subscriber : channel.subscribers) {
    if (subscriber.started) subscriber.sink->Push(delivery);
  }
}

void BroadcastHub::Start(const std::string& name_space, Channel& channel, Subscriber& subscriber) {
  subscriber.started = true;
  SubscribeResponse response;
  const bool same = subscriber.after.epoch() == channel.epoch;
  const std::uint64_t first = same ? subscriber.after.offset() + 1 : 1;
  if (!subscriber.after.epoch().empty() && first <= channel.offset) {
    response = GapResponse(name_space, channel.epoch, first, channel.offset);
  }
  broadcast::v1::Position& started = *response.add_started();
  started.set_namespace_(name_space);
  started.set_epoch(channel.epoch);
  started.set_offset(channel.offset);
  subscriber.sink->Push(ToSlice(response));
}

void BroadcastHub::AnnounceGap(const std::string& name_space, Channel& channel, std::uint64_t first,
                               std::uint64_t last) {
  const grpc::Slice gap = ToSlice(GapResponse(name_space, channel.epoch, first, last));
  for (const Subscriber& subscriber : channel.subscribers) {
    if (subscriber.started) subscriber.sink->Push(gap);
  }
}

}  // namespace sesior::session::rpc
