// The application that the two official protocol suites expect: an Engine.IO echo at /engine.io/ on one port, and
// Socket.IO at /socket.io/ on another. The same library as sesior-realtime, without sessions.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "services/realtime/bus/local_bus.hpp"
#include "services/realtime/server.hpp"
#include "sesior/runtime/run.hpp"

namespace sesior::realtime {
namespace {

using std::chrono::milliseconds;

ServerOptions Options(std::string path, std::string port) {
  ServerOptions options;
  options.listen = "127.0.0.1:" + port;
  options.drain_delay = milliseconds(0);
  options.front.path = std::move(path);
  options.front.replica_name = "conformance";
  options.engine.ping_interval = milliseconds(300);
  options.engine.ping_timeout = milliseconds(200);
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
  nsp.On("message", [](hub::Socket& socket, const hub::Event& event) {
    const std::string args = event.args().text().substr(1);  // without the bracket
    socket.EmitArgs(hub::Json::Raw(R"(["message-back")" + std::string(args == "]" ? "" : ",") + args),
                    event.attachments());
  });
  nsp.On("message-with-ack",
         [](hub::Socket&, const hub::Event& event) { event.reply().SendArgs(event.args(), event.attachments()); });
}

int Main(const std::string& engineio_port, const std::string& socketio_port) {
  runtime::BlockSignals();
  LocalBus bus;
  Echo echo;
  ServerOptions engineio_options = Options("/engine.io", engineio_port);
  engineio_options.raw_messages = &echo;
  Server engineio(engineio_options, nullptr, bus);
  Server socketio(Options("/socket.io", socketio_port), nullptr, bus);
  bus.Start(socketio.hubs());
  for (hub::Hub* hub : socketio.hubs()) {
    SetUp(hub->Of("/"));
    SetUp(hub->Of("/custom"));
  }
  return runtime::Run({&engineio, &socketio}, milliseconds(5'000));
}

}  // namespace
}  // namespace sesior::realtime

int main(int argc, char** argv) {
  std::string engineio_port;
  std::string socketio_port;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--engineio-port") engineio_port = argv[i + 1];
    if (flag == "--socketio-port") socketio_port = argv[i + 1];
  }
  if (argc != 5 || engineio_port.empty() || socketio_port.empty()) {
    std::fprintf(stderr,
                 "usage: conformance_server --engineio-port P --socketio-port Q   (0: any free port, see the log)\n");
    return 2;
  }
  return sesior::realtime::Main(engineio_port, socketio_port);
}
