// Room: the sockets of one hub that are in it. Private to the hub.
#pragma once

#include <string>

#include "absl/container/flat_hash_set.h"

namespace sesior::realtime::hub {

class Socket;

struct Room {
  std::string name;
  absl::flat_hash_set<Socket*> members;
};

}  // namespace sesior::realtime::hub
