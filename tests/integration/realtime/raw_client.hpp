// RawClient: a TCP connection that speaks HTTP and WebSocket byte by byte, so that a test can also speak them wrongly.
// Every wait has a deadline; what is late is a failed expectation, not a hang.
// Threading: thread-compatible; blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sesior::realtime {

inline constexpr std::chrono::milliseconds kPatience{5'000};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct WebSocketFrame {
  int opcode = 0;
  std::string payload;
};

class RawClient {
 public:
  // `address`: host:port. `receive_buffer_bytes`: of the kernel; 0: its default.
  explicit RawClient(const std::string& address, int receive_buffer_bytes = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept : fd_(other.fd_), buffer_(std::move(other.buffer_)) { other.fd_ = -1; }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void Send(std::string_view bytes);
  // GET with these header lines ("Name: value\r\n"...).
  void SendGet(std::string_view target, std::string_view headers = {});
  void SendPost(std::string_view target, std::string_view body, std::string_view headers = {});
  // nullopt: the peer closed, or nothing came in time.
  std::optional<HttpAnswer> ReadAnswer(std::chrono::milliseconds patience = kPatience);

  // Opens a WebSocket; the answer's status.
  int Upgrade(std::string_view target, std::string_view headers = {});
  void SendText(std::string_view text) { SendFrame(0x81, text); }
  void SendFrame(unsigned char first_byte, std::string_view payload);
  std::optional<WebSocketFrame> ReadFrame(std::chrono::milliseconds patience = kPatience);
  // The next frame's payload, "" when there is none in time.
  std::string ReadText(std::chrono::milliseconds patience = kPatience);
  // Reads until a frame contains `part`; its payload, or "".
  std::string ReadUntil(std::string_view part);

  // Whatever came; empty: closed by the peer, or nothing in time.
  std::string ReadSome(std::chrono::milliseconds patience = kPatience);
  // True when the peer closes in time; what it sends before is dropped.
  bool WaitClosed(std::chrono::milliseconds patience = kPatience);
  // Closes with a reset.
  void Abort();

 private:
  bool Fill(std::chrono::steady_clock::time_point deadline);

  int fd_ = -1;
  std::string buffer_;
  bool closed_ = false;
};

}  // namespace sesior::realtime
