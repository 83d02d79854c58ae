// Bus: takes broadcasts to all replicas and brings them back, to every thread of this one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sesior/base/done.hpp"
#include "sesior/socketio/frame.hpp"
#include "sesior/socketio/packet_codec.hpp"

namespace sesior::realtime {

// Which sockets of a namespace: those in any of `rooms` (empty: all), without those in any of `except`. Every socket is
// in a room named by its id.
struct Selection {
  std::vector<std::string> rooms = {};
  std::vector<std::string> except = {};
};

struct Broadcast {
  std::string nsp = "/";
  Selection to = {};
  std::string args = {};                      // JSON array: the event's name and its arguments
  std::vector<std::string> attachments = {};  // what placeholders in `args` stand for, at most 10
  bool is_volatile = false;
};

// A broadcast on its way to sockets: encoded once in the process, shared by all threads and sockets. Immutable.
struct EncodedBroadcast {
  Broadcast broadcast;
  socketio::FramePtr frame;

  static std::shared_ptr<const EncodedBroadcast> From(Broadcast broadcast, socketio::PacketFormat format);
};

// Delivery:  as the session service has it: one order per namespace, the same for all replicas; gaps are told (metrics,
//            logs) and never silent.
// Threading: thread-safe. `done` comes on any thread, never inside Publish; it must not block.
// Errors:    as Publish of sesior.broadcast.v1, kUnavailable above all. On an error it is not known whether the
// broadcast
//            went out unless the status says so.
class Bus {
 public:
  virtual ~Bus() = default;
  virtual void Publish(Broadcast broadcast, Done<void> done) = 0;
  // A hub of this process serves this namespace: bring its broadcasts from now on. Several hubs may; each counts.
  virtual void Open(const std::string& nsp) = 0;
  // One hub of those that have called Open for it does not serve it any more; after the last its broadcasts stop.
  virtual void Close(const std::string& nsp) = 0;
};

}  // namespace sesior::realtime
