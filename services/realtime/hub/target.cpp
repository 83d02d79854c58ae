#include "services/realtime/hub/target.hpp"

#include <memory>

#include "services/realtime/hub/gathering.hpp"
#include "services/realtime/hub/hub.hpp"

namespace sesior::realtime::hub {

Target&& Target::To(std::string room) && {
  to_.rooms.push_back(std::move(room));
  return std::move(*this);
}

Target&& Target::Except(std::string room) && {
  to_.except.push_back(std::move(room));
  return std::move(*this);
}

Target&& Target::Volatile() && {
  is_volatile_ = true;
  return std::move(*this);
}

Target&& Target::Local() && {
  local_ = true;
  return std::move(*this);
}

void Target::EmitArgs(Json args, Done<void> done) && {
  Hub& hub = nsp_.hub();
  if (!done) done = [](absl::Status) {};  // the bus counts what fails
  if (args.attachments().size() > socketio::kMaxAttachments) {
    hub.tallies().binaries_refused.Add();
    hub.loop().Post([done = std::move(done)]() mutable {
      std::move(done)(absl::InvalidArgumentError("an event takes at most 10 binaries"));
    });
    return;
  }
  Broadcast broadcast{nsp_.name(), std::move(to_), {}, {}, is_volatile_};
  broadcast.attachments.assign(args.attachments().begin(), args.attachments().end());
  broadcast.args = std::move(args).text();
  if (!local_) return hub.bus().Publish(std::move(broadcast), std::move(done));
  hub.OnEachHub(nsp_.name(), [encoded = EncodedBroadcast::From(std::move(broadcast), hub.options().format)](
                                 Namespace& nsp) { nsp.Deliver(*encoded); });
  hub.loop().Post([done = std::move(done)]() mutable { std::move(done)(absl::OkStatus()); });
}

void Target::EmitWithAck(Json args, std::chrono::milliseconds timeout, AnswersHandler on_answers) && {
  Hub& asker = nsp_.hub();
  Hub::Gathering gathering;
  gathering.on_answers = std::move(on_answers);
  const std::uint64_t id = asker.StartGathering(std::move(gathering), timeout);
  if (id == 0) return;
  asker.AskEachHub(nsp_.name(), [&asker, id, to = std::move(to_), args = std::move(args), timeout](Namespace* nsp) {
    if (nsp != nullptr) return nsp->Ask(to, args, timeout, asker, id);
    asker.loop().Post([&asker, id] { asker.OnAsked(id, 0); });
  });
}

void Target::FetchSockets(std::chrono::milliseconds timeout, Done<std::vector<RemoteSocket>> done) && {
  Hub& asker = nsp_.hub();
  Hub::Gathering gathering;
  gathering.on_sockets = std::move(done);
  const std::uint64_t id = asker.StartGathering(std::move(gathering), timeout);
  if (id == 0) return;
  asker.AskEachHub(nsp_.name(), [&asker, id, to = std::move(to_)](Namespace* nsp) {
    std::vector<RemoteSocket> sockets;
    if (nsp != nullptr) {
      for (const std::shared_ptr<Socket>& socket : nsp->Select(to)) {
        RemoteSocket& remote = sockets.emplace_back(RemoteSocket{socket->id(), socket->Rooms()});
        remote.rooms.insert(remote.rooms.begin(), socket->id());
        if (socket->data) remote.data = socket->data->ToJson();
      }
    }
    asker.loop().Post(
        [&asker, id, sockets = std::move(sockets)]() mutable { asker.OnFetched(id, std::move(sockets)); });
  });
}

void Target::SocketsJoin(std::vector<std::string> rooms) && {
  nsp_.hub().OnEachHub(nsp_.name(), [to = std::move(to_), rooms = std::move(rooms)](Namespace& nsp) {
    for (const std::shared_ptr<Socket>& socket : nsp.Select(to)) {
      for (const std::string& room : rooms) socket->Join(room);
    }
  });
}

void Target::SocketsLeave(std::vector<std::string> rooms) && {
  nsp_.hub().OnEachHub(nsp_.name(), [to = std::move(to_), rooms = std::move(rooms)](Namespace& nsp) {
    for (const std::shared_ptr<Socket>& socket : nsp.Select(to)) {
      for (const std::string& room : rooms) socket->Leave(room);
    }
  });
}

void Target::DisconnectSockets(bool close) && {
  nsp_.hub().OnEachHub(nsp_.name(), [to = std::move(to_), close](Namespace& nsp) {
    for (const std::shared_ptr<Socket>& socket : nsp.Select(to)) socket->Disconnect(close);
  });
}

}  // namespace sesior::realtime::hub
