#include "hub_app.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"

namespace sesior::realtime {
namespace {

using hub::Answers;
using hub::Arguments;
using hub::Event;
using hub::Json;
using hub::JsonValue;
using hub::Namespace;
using hub::Next;
using hub::Refusal;
using hub::Reply;
using hub::Socket;
using hub::Target;
using socketio::CloseReason;
using std::chrono::milliseconds;
using Log = std::shared_ptr<std::vector<std::string>>;

struct Named final : hub::SocketData {
  explicit Named(std::string its_name) : name(std::move(its_name)) {}
  Json ToJson() const override { return Json::Object({{"name", name}}); }
  const std::string name;
};

std::string NameOf(const Socket& socket) { return socket.data ? static_cast<const Named&>(*socket.data).name : ""; }

std::string TextOf(JsonValue object, std::string_view member) {
  const std::optional<JsonValue> value = object.Member(member);
  return value ? value->AsString().value_or("") : "";
}

std::vector<std::string> Names(JsonValue array) {
  std::vector<std::string> names;
  for (const std::string_view item : array.Items()) names.push_back(JsonValue(item).AsString().value_or(""));
  return names;
}

Json ToJson(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  return Json::ArrayOf(std::vector<Json>(texts.begin(), texts.end()));
}

// {from: "nsp" or the socket, to: [...], except: [...], local, volatile}
Target TargetOf(Socket& socket, JsonValue spec) {
  Target target = TextOf(spec, "from") == "nsp" ? socket.nsp().All() : socket.Broadcast();
  for (std::string& room : Names(spec.Member("to").value_or(JsonValue()))) std::move(target).To(std::move(room));
  for (std::string& room : Names(spec.Member("except").value_or(JsonValue())))
    std::move(target).Except(std::move(room));
  if (spec.Member("local")) std::move(target).Local();
  if (spec.Member("volatile")) std::move(target).Volatile();
  return target;
}

void SetUpRooms(Namespace& nsp) {
  nsp.On("join", [](Socket& socket, const Event& event) { event.reply()(socket.Join(*event.text(0))); });
  nsp.On("leave", [](Socket& socket, const Event& event) {
    socket.Leave(*event.text(0));
    event.reply()(true);
  });
  nsp.On("rooms", [](Socket& socket, const Event& event) { event.reply()(ToJson(socket.Rooms())); });
  nsp.On("send", [](Socket& socket, const Event& event) {
    TargetOf(socket, event.arg(0)).Emit("sent", event.arg(1));
    event.reply()(true);
  });
  nsp.On("fetch", [](Socket& socket, const Event& event) {
    auto reply = std::make_shared<Reply>(event.reply());
    TargetOf(socket, event.arg(0))
        .FetchSockets(milliseconds(1'000), [reply](absl::StatusOr<std::vector<hub::RemoteSocket>> sockets) {
          std::vector<std::string> all;
          for (const hub::RemoteSocket& remote : *sockets) {
            const bool in_own_room = std::count(remote.rooms.begin(), remote.rooms.end(), remote.id) == 1;
            all.push_back(remote.data.text() + " " + std::to_string(remote.rooms.size()) + (in_own_room ? " own" : ""));
          }
          std::move (*reply)(ToJson(all));
        });
  });
  nsp.On("move", [](Socket& socket, const Event& event) {
    TargetOf(socket, event.arg(0)).SocketsJoin(Names(event.arg(1)));
    TargetOf(socket, event.arg(0)).SocketsLeave(Names(event.arg(2)));
    event.reply()(true);
  });
  nsp.On("kick", [](Socket& socket, const Event& event) {
    TargetOf(socket, event.arg(0)).DisconnectSockets(event.arg(1).AsBool().value_or(false));
  });
}

void SetUpAcknowledgements(Namespace& nsp) {
  nsp.On("ask", [](Socket& socket, const Event& event) {
    auto reply = std::make_shared<Reply>(event.reply());
    socket.EmitWithAck(Json::Array("question", event.arg(1)), milliseconds(*event.arg(0).AsInt()),
                       [reply](absl::StatusOr<const Arguments*> answer) {
                         if (!answer.ok()) return std::move(*reply)(answer.status().message());
                         std::move (*reply)(nullptr, (*answer)->arg(0), (*answer)->arg(1));
                       });
  });
  nsp.On("ask all", [](Socket& socket, const Event& event) {
    auto reply = std::make_shared<Reply>(event.reply());
    TargetOf(socket, event.arg(0))
        .EmitWithAck(Json::Array("question", event.arg(2)), milliseconds(*event.arg(1).AsInt()), [reply](Answers got) {
          const Json error = got.status.ok() ? Json(nullptr) : Json(got.status.message());
          std::move (*reply)(error, Json::ArrayOf(got.answers));
        });
  });
}

// Writes down what happens, and tells whoever asks for it.
void SetUpLog(Namespace& nsp, const Log& log) {
  nsp.OnAny([log](Socket& socket, const Event& event) {
    if (event.name() != "log") log->push_back("any " + NameOf(socket) + " " + std::string(event.name()));
  });
  nsp.OnAnyOutgoing([log](Socket& socket, const Event& event) {
    log->push_back("out " + NameOf(socket) + " " + std::string(event.name()) + event.args().text());
  });
  nsp.UseEvents([](Socket&, const Event& event) {
    return event.name() == "forbidden" ? absl::PermissionDeniedError("not you") : absl::OkStatus();
  });
  nsp.OnError([log](Socket& socket, const Event&, const absl::Status& status) {
    log->push_back("error " + NameOf(socket) + " " + std::string(status.message()));
  });
  nsp.OnDisconnecting([log](Socket& socket, CloseReason reason) {
    log->push_back("disconnecting " + NameOf(socket) + " " + std::string(Text(reason)) + " " +
                   absl::StrJoin(socket.Rooms(), ","));
  });
  nsp.OnDisconnect([log](Socket& socket, CloseReason reason) {
    log->push_back("disconnect " + NameOf(socket) + " " + std::string(Text(reason)) + " " +
                   std::to_string(socket.Rooms().size()));
  });
  nsp.On("log", [log](Socket&, const Event& event) {
    event.reply()(Json::ArrayOf(std::vector<Json>(log->begin(), log->end())));
    log->clear();
  });
  nsp.On("bye", [](Socket& socket, const Event& event) { socket.Disconnect(event.arg(0).AsBool().value_or(false)); });
}

}  // namespace

void SetUpHubApp(hub::Hub& hub) {
  Namespace& nsp = hub.Of("/hub");
  nsp.OnConnect([](Socket& socket) { socket.data = std::make_unique<Named>(TextOf(socket.auth(), "name")); });
  SetUpRooms(nsp);
  SetUpAcknowledgements(nsp);
  SetUpLog(nsp, std::make_shared<std::vector<std::string>>());

  hub.Of("/private")
      .Use([](Socket& socket, Next next) {
        const std::string token = TextOf(socket.auth(), "token");
        if (token == "good") return std::move(next)(std::nullopt);
        if (token.empty()) return std::move(next)(Refusal{"no token"});
        std::move(next)(Refusal{"wrong token", Json::Object({{"code", 7}, {"hint", Json::Array("a")}})});
      })
      .Use([&hub](Socket&, Next next) {  // takes its time
        auto later = std::make_shared<Next>(std::move(next));
        auto timer = std::make_shared<std::unique_ptr<hub::Loop::Timer>>();
        *timer = hub.loop().After(milliseconds(50), [later, timer] { std::move (*later)(std::nullopt); });
      })
      .OnConnect([](Socket& socket) { socket.Emit("welcome"); });

  const auto say_name = [](Namespace& made) {
    made.OnConnect([](Socket& socket) { socket.Emit("here", socket.nsp().name()); });
  };
  hub.OfPattern("/dynamic-\\d+", say_name, {.drop_empty = true});
  hub.OfMatching([](std::string_view name, JsonValue auth) { return name == "/" + TextOf(auth, "secret") + "-place"; },
                 say_name);
}

}  // namespace sesior::realtime
