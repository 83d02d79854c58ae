#include "services/session/domain/change_feed.hpp"

#include <utility>

#include "sesior/base/check.hpp"

namespace sesior::session {

void HintFeed::Follow(Listener& listener) {
  subscription_ =
      bus_.Subscribe(kChangeChannel, {.on_message = [&listener](std::string_view message) { listener.OnHint(message); },
                                      .on_up = [&listener] { listener.OnDoubt(); }});
}

// Nobody asks a feed that does not track.
void HintFeed::Track(SessionId, Done<Tracked>) { SESIOR_CHECK(false); }
void HintFeed::Fence(Done<void>) { SESIOR_CHECK(false); }

}  // namespace sesior::session
