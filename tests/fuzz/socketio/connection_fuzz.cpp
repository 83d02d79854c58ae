// A whole connection: EngineSession and ServerConnection wired as in the server, driven by a list of steps.
// Each step is one byte (what happens) and, for some, a text up to the next line feed. Checked: the promises of both
// headers, in whatever order a client or the network does things.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sesior/base/check.hpp"
#include "sesior/socketio/server_connection.hpp"

using namespace sesior::socketio;
using std::chrono::milliseconds;

namespace {

class Client final : public EngineSession::Owner, public ServerConnection::Owner {
 public:
  Client() {
    engine_options_.ping_interval = milliseconds(300);
    engine_options_.ping_timeout = milliseconds(200);
    engine_options_.upgrade_timeout = milliseconds(500);
    engine_options_.close_timeout = milliseconds(900);
    engine_options_.send_queue_limit_bytes = 2000;
    options_.connect_timeout = milliseconds(700);
    options_.max_namespaces = 3;
    options_.max_packets_per_second = 50;
  }

  void Step(char what, std::string_view text) {
    switch (what) {
      case 'P':
        if (!started_) engine_.OpenPolling("S", now_), started_ = true, Poll();
        break;
      case 'W':
        if (!started_) engine_.OpenWebSocket("S", now_), started_ = true;
        break;
      case 'g':
        Poll();
        break;
      case 'x':
        if (waiting_) waiting_ = false, engine_.OnPollAborted(now_);
        break;
      case 'p':
        if (!engine_.OnPostBegin(text.starts_with("!") ? "application/octet-stream" : "", now_)) {
          Answered(engine_.OnPost(text, now_));
        }
        break;
      case 'h':
        if (!engine_.OnPostBegin("", now_)) engine_.OnPostTooLarge();
        break;
      case 'a':
        if (!engine_.OnPostBegin("", now_)) engine_.OnPostAborted(now_);
        break;
      case 'o':
        if (started_ && engine_.OnWebSocketOpen(now_)) {
          SESIOR_CHECK(!socket_);
          socket_ = true;
        }
        break;
      case 't':
        if (socket_) engine_.OnWebSocketText(text, now_);
        break;
      case 'b':
        if (socket_) engine_.OnWebSocketBinary(text, now_);
        break;
      case 'c':
        if (socket_) socket_ = false, engine_.OnWebSocketClosed(!text.empty(), now_);
        break;
      case 'B':
        blocked_ = !text.empty();
        if (!blocked_) unsent_ = 0;
        break;
      case 'e':
        if (started_) connection_.Send(0, EncodeEvent("/", "[\"a\"]"), !text.empty());
        break;
      case 'd':
        connection_.Disconnect(static_cast<ServerConnection::Slot>(text.size()));
        break;
      case 'D':
        if (started_) connection_.DisconnectAll(CloseReason::kServerDisconnect);
        break;
      case 'q':
        if (started_) engine_.Close(CloseReason::kServerShutdown, now_);
        break;
      case 'y':
        connection_.Accept(static_cast<ServerConnection::Slot>(text.size()), "ID");
        break;
      case 'n':
        if (connection_.Refuse(static_cast<ServerConnection::Slot>(text.size()), text)) --owed_[text.size() & 0xff];
        break;
      default:  // time passes
        now_ += milliseconds(what & 0x7f);
        if (timer_ <= now_) {
          timer_ = kNever;
          engine_.OnTimer(now_);
        }
        connection_.OnTimer(now_);
    }
    if (std::exchange(flush_, false)) engine_.Flush(now_);
    if (engine_.finished()) SESIOR_CHECK(finished_ && closed_ && !waiting_ && !socket_);
    if (started_ && !engine_.finished()) SESIOR_CHECK(timer_ != kNever);
    SESIOR_CHECK(engine_.closed() == (closed_ || !started_));
  }

  ~Client() {
    if (!started_) return;
    for (int i = 0; i < 100 && !engine_.finished(); ++i) {  // left alone, every session comes to its end
      now_ += milliseconds(500);
      Step('\0', "");
    }
    SESIOR_CHECK(engine_.finished() && poll_queue_ == 0);
    for (int owed : owed_) SESIOR_CHECK(owed == 0);
  }

  // -- EngineSession::Owner --
  void AnswerPoll(std::string payload) override {
    SESIOR_CHECK(waiting_ && !payload.empty());
    waiting_ = false;
  }
  bool OnPollQueue(std::ptrdiff_t bytes) override {
    poll_queue_ += bytes;
    SESIOR_CHECK(poll_queue_ >= 0);
    return poll_queue_ < 100'000;
  }
  std::size_t WriteWebSocket(const FramePtr& frame) override {
    SESIOR_CHECK(socket_ || engine_.transport() == EngineTransport::kWebSocket);
    socket_ = true;
    if (!blocked_) return frame->size_bytes();
    return unsent_ += frame->size_bytes();
  }
  bool WebSocketBlocked() const override { return blocked_; }
  void CloseWebSocket(std::uint16_t, bool) override {
    SESIOR_CHECK(socket_);
    socket_ = false;
  }
  void ScheduleFlush() override { flush_ = true; }
  void ArmTimer(Time deadline) override { timer_ = deadline; }
  void OnMessage(std::string_view data, bool binary) override {
    SESIOR_CHECK(!closed_);
    connection_.OnMessage(data, binary, now_);
  }
  void OnClosed(CloseReason reason) override {
    SESIOR_CHECK(!closed_);
    closed_ = true;
    connection_.OnClosed(reason);
  }
  void OnFinished() override {
    SESIOR_CHECK(closed_ && !finished_);
    finished_ = true;
  }

  // -- ServerConnection::Owner --
  SendResult SendFrame(FramePtr frame, bool is_volatile) override {
    return engine_.Send(std::move(frame), is_volatile);
  }
  void CloseEngine(CloseReason reason) override { engine_.Close(reason, now_); }
  void OnConnect(ServerConnection::Slot slot, std::string_view nsp, JsonValue auth) override {
    SESIOR_CHECK(JsonValue::Parse(auth.text()) && slot < owed_.size() && connection_.nsp(slot) == nsp);
    if (nsp == "/") {
      SESIOR_CHECK(connection_.Accept(slot, "ID"));
    } else if (nsp == "/no") {
      SESIOR_CHECK(connection_.Refuse(slot, "no"));
      return;
    }
    ++owed_[slot];
    SESIOR_CHECK(owed_[slot] == 1);
  }
  void OnEvent(ServerConnection::Slot slot, const Packet& packet) override {
    SESIOR_CHECK(connection_.joined(slot) && !packet.elements.empty());
    if (packet.id) connection_.SendAck(slot, *packet.id, packet.data, packet.attachments());
    if (packet.event == "leave") connection_.Disconnect(slot);
    if (packet.event == "all") connection_.DisconnectAll(CloseReason::kServerDisconnect);
    if (packet.event == "close") engine_.Close(CloseReason::kSlow, now_);
  }
  void OnAck(ServerConnection::Slot slot, std::uint64_t, const Packet&) override {
    SESIOR_CHECK(connection_.joined(slot));
  }
  void OnDisconnect(ServerConnection::Slot slot, CloseReason) override {
    --owed_[slot];
    SESIOR_CHECK(owed_[slot] == 0);
  }

 private:
  void Poll() {
    if (!started_) return;
    const bool had_poll = std::exchange(waiting_, true);
    const std::optional<EngineAnswer> answer = engine_.OnPoll(now_);
    if (answer) {
      Answered(*answer);
      SESIOR_CHECK(!had_poll || !waiting_);  // an overlap ends both
      waiting_ = false;
    } else {
      SESIOR_CHECK(!had_poll);
    }
  }
  static void Answered(const EngineAnswer& answer) {
    SESIOR_CHECK(answer.status == 200 || answer.status == 400);
    SESIOR_CHECK(answer.status != 200 || !answer.body.empty());
  }

  EngineOptions engine_options_;
  ServerConnectionOptions options_;
  Time now_ = Time() + milliseconds(1000);
  Time timer_ = kNever;
  EngineSession engine_{engine_options_, *this};
  ServerConnection connection_{options_, *this, now_};
  std::vector<int> owed_ = std::vector<int>(3);  // OnDisconnect still to come, by slot
  std::size_t unsent_ = 0;
  std::ptrdiff_t poll_queue_ = 0;
  bool started_ = false, waiting_ = false, socket_ = false, blocked_ = false;
  bool flush_ = false, closed_ = false, finished_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Client client;
  while (!rest.empty()) {
    const char what = rest[0];
    const std::size_t end = rest.find('\n');
    client.Step(what, rest.substr(1, end == std::string_view::npos ? end : end - 1));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return 0;
}
