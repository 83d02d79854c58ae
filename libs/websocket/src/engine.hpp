// The part of websocketpp that is used: its RFC 6455 processor. Included by the sources of this library only, which are
// compiled as C++17: websocketpp 0.8.2 is rejected by g++ 12 in C++20 (logger/basic.hpp, zaphoyd/websocketpp#991).
#pragma once

#include <algorithm>
#include <memory>
#include <websocketpp/config/core.hpp>
#include <websocketpp/http/request.hpp>
#include <websocketpp/http/response.hpp>
#include <websocketpp/processors/hybi13.hpp>

namespace sesior::websocket {

struct EngineConfig : websocketpp::config::core {
  static const bool enable_extensions = false;
};

using Processor = websocketpp::processor::hybi13<EngineConfig>;

// What a processor borrows. Stateless (a server masks nothing, so the random numbers are never drawn), hence shared.
struct Shared {
  Processor::msg_manager_ptr messages = std::make_shared<Processor::msg_manager_type>();
  Processor::rng_type rng;
};
Shared& SharedState();

}  // namespace sesior::websocket
