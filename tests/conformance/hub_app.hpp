// The namespaces that show what a server can do with sockets: rooms, broadcasts, acknowledgements, middleware, ends.
// reference.mjs has the same ones; hub.test.mjs asks both.
#pragma once

#include "services/realtime/hub/hub.hpp"

namespace sesior::realtime {

void SetUpHubApp(hub::Hub& hub);

}  // namespace sesior::realtime
