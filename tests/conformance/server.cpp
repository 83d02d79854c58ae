// The application that the two official protocol suites expect: an Engine.IO echo at /engine.io/ on one port, and
// Socket.IO at /socket.io/ on another. The same library as sesior-realtime, without sessions. The namespace /clients is
// not the suites': it has what client libraries are tried with.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hub_app.hpp"
#include "services/realtime/bus/local_bus.hpp"
#include "services/realtime/server.hpp"
#include "sesior/runtime/run.hpp"

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAnswerTimeout{5'000};

struct Arguments {
  std::string engineio_port;
  std::string socketio_port;
  milliseconds ping_interval{300};  // as the suites have it
  milliseconds ping_timeout{200};
  socketio::PacketFormat format = socketio::PacketFormat::kJson;
};

ServerOptions Options(const Arguments& arguments, std::string path, const std::string& port) {
  ServerOptions options;
  options.listen = "127.0.0.1:" + port;
  options.drain_delay = milliseconds(0);
  options.front.path = std::move(path);
  options.front.replica_id = "conformance";
  options.engine.ping_interval = arguments.ping_interval;
  options.engine.ping_timeout = arguments.ping_timeout;
  options.engine.upgrade_timeout = milliseconds(1'000);
  options.engine.max_payload_bytes = 1'000'000;
  options.channel.max_message_bytes = options.channel.http.body_bytes = options.engine.max_payload_bytes;
  options.socketio.connect_timeout = milliseconds(1'000);
  return options;
}

class Echo final : public RawMessages {
  void OnMessage(socketio::EngineSession& session, std::string_view data, bool binary) override {
    session.Send(binary ? socketio::Frame::Binary(data) : socketio::Frame::Text("4" + std::string(data)));
  }
};

void SetUp(hub::Namespace& nsp) {
  nsp.OnConnect([](hub::Socket& socket) { socket.Emit("auth", socket.auth()); });
  nsp.On("message", [](hub::Socket& socket, const hub::Event& event) { socket.EmitArgs(event.As("message-back")); });
  nsp.On("message-with-ack", [](hub::Socket&, const hub::Event& event) { event.reply().SendArgs(event.args()); });
}

void SetUpForClients(hub::Namespace& nsp) {
  nsp.On("echo", [](hub::Socket& socket, const hub::Event& event) { socket.EmitArgs(event.As("echoed")); });
  nsp.On("ask", [](hub::Socket&, const hub::Event& event) { event.reply().SendArgs(event.args()); });
  // The server asks, and says what it was answered.
  nsp.On("ask me", [](hub::Socket& socket, const hub::Event& event) {
    socket.EmitWithAck(event.As("question"), kAnswerTimeout,
                       [weak = socket.weak()](absl::StatusOr<const hub::Arguments*> answer) {
                         const std::shared_ptr<hub::Socket> asker = weak.lock();
                         if (!asker) return;
                         if (!answer.ok()) return static_cast<void>(asker->Emit("not answered"));
                         asker->Emit("answered", (*answer)->args());
                       });
  });
  nsp.On("join",
         [](hub::Socket& socket, const hub::Event& event) { event.reply()(socket.Join(event.text(0).value_or(""))); });
  nsp.On("leave", [](hub::Socket& socket, const hub::Event& event) {
    socket.Leave(event.text(0).value_or(""));
    event.reply()(true);
  });
  // say(room, what): to the others in the room; without a room: to all others.
  nsp.On("say", [](hub::Socket& socket, const hub::Event& event) {
    const std::optional<std::string> room = event.text(0);
    (room ? socket.To(*room) : socket.Broadcast()).Emit("said", event.arg(1));
  });
  // kick(close): the server ends it, and with true the whole connection.
  nsp.On("kick",
         [](hub::Socket& socket, const hub::Event& event) { socket.Disconnect(event.arg(0).text() == "true"); });
  nsp.On("count", [](hub::Socket&, const hub::Event& event) { event.reply()(event.arg_count()); });
}

int Main(const Arguments& arguments) {
  runtime::BlockSignals();
  LocalBus bus;
  Echo echo;
  ServerOptions engineio_options = Options(arguments, "/engine.io", arguments.engineio_port);
  engineio_options.raw_messages = &echo;
  Server engineio(engineio_options, nullptr, bus);
  ServerOptions socketio_options = Options(arguments, "/socket.io", arguments.socketio_port);
  socketio_options.socketio.format = arguments.format;
  Server socketio(socketio_options, nullptr, bus);
  bus.Start(socketio.hubs());
  for (hub::Hub* hub : socketio.hubs()) {
    SetUp(hub->Of("/"));
    SetUp(hub->Of("/custom"));
    SetUpForClients(hub->Of("/clients"));
    hub->Of("/stuck").Use([](hub::Socket&, hub::Next) {});  // never answers
    SetUpHubApp(*hub);
  }
  return runtime::Run({&engineio, &socketio}, milliseconds(5'000));
}

}  // namespace
}  // namespace sesior::realtime

int main(int argc, char** argv) {
  sesior::realtime::Arguments arguments;
  bool good = argc % 2 == 1;
  for (int i = 1; good && i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--engineio-port") {
      arguments.engineio_port = value;
    } else if (flag == "--socketio-port") {
      arguments.socketio_port = value;
    } else if (flag == "--ping-interval-ms") {
      arguments.ping_interval = std::chrono::milliseconds(std::atoi(argv[i + 1]));
    } else if (flag == "--ping-timeout-ms") {
      arguments.ping_timeout = std::chrono::milliseconds(std::atoi(argv[i + 1]));
    } else if (flag == "--parser" && (value == "json" || value == "msgpack")) {
      using sesior::socketio::PacketFormat;
      arguments.format = value == "json" ? PacketFormat::kJson : PacketFormat::kMsgpack;
    } else {
      good = false;
    }
  }
  if (!good || arguments.engineio_port.empty() || arguments.socketio_port.empty()) {
    std::fprintf(stderr,
                 "usage: conformance_server --engineio-port P --socketio-port Q [--ping-interval-ms N] "
                 "[--ping-timeout-ms N] [--parser json|msgpack]   (port 0: any free one, see the log)\n");
    return 2;
  }
  return sesior::realtime::Main(arguments);
}
