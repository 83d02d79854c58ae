#include "services/realtime/hub/handshake.hpp"

namespace sesior::realtime::hub {

const std::string* Handshake::Query(std::string_view name) const {
  return more ? http::FindField(more->query, name) : nullptr;
}

const std::string* Handshake::Header(std::string_view name) const {
  if (!more) return nullptr;
  for (const http::Header& header : more->headers) {
    if (http::EqualsIgnoreCase(header.name, name)) return &header.value;
  }
  return nullptr;
}

}  // namespace sesior::realtime::hub
