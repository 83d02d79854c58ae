// Gathering: what a hub has asked all hubs of the process, and what has come back. Private to the hub.
// Other hubs name it by its id only, so that nothing of it is ever touched on their threads.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "services/realtime/hub/hub.hpp"

namespace sesior::realtime::hub {

struct Hub::Gathering {
  std::size_t hubs_due = 0;     // that have not said whom they asked
  std::size_t answers_due = 0;  // of the clients that were asked
  Answers answers = {};
  AnswersHandler on_answers = nullptr;
  std::vector<RemoteSocket> sockets = {};
  Done<std::vector<RemoteSocket>> on_sockets = nullptr;  // one of the two handlers is set
  std::unique_ptr<Loop::Timer> timer = nullptr;

  void Finish(absl::Status status) {
    if (on_answers) {
      answers.status = std::move(status);
      std::move(on_answers)(std::move(answers));
    } else if (status.ok()) {
      std::move(on_sockets)(std::move(sockets));
    } else {
      std::move(on_sockets)(std::move(status));
    }
  }
};

}  // namespace sesior::realtime::hub
