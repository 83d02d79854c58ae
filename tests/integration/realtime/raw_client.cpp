#include "tests/integration/realtime/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "sesior/base/check.hpp"

namespace sesior::realtime {

using SteadyClock = std::chrono::steady_clock;

RawClient::RawClient(const std::string& address, int receive_buffer_bytes) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr);
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer_bytes > 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  SESIOR_CHECK(::connect(fd_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0);
}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

void RawClient::Abort() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(fd_, -1));
}

void RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the peer has closed; reading will tell
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void RawClient::SendGet(std::string_view target, std::string_view headers) {
  std::string request = "GET ";
  Send(request.append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(headers).append("\r\n"));
}

void RawClient::SendPost(std::string_view target, std::string_view body, std::string_view headers) {
  std::string request = "POST ";
  request.append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(headers);
  Send(request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body));
}

bool RawClient::Fill(SteadyClock::time_point deadline) {
  if (closed_ || fd_ < 0) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
  pollfd wait{fd_, POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(std::max<long long>(left, 0))) <= 0) return false;
  std::array<char, 65536> bytes;
  const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), 0);
  if (count <= 0) {
    closed_ = true;
    return false;
  }
  buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::optional<HttpAnswer> RawClient::ReadAnswer(std::chrono::milliseconds patience) {
  const auto deadline = SteadyClock::now() + patience;
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(deadline)) return std::nullopt;
  }
  HttpAnswer answer;
  answer.status = std::stoi(buffer_.substr(9, 3));
  std::size_t at = buffer_.find("\r\n") + 2;
  while (at < end + 2) {
    const std::size_t line_end = buffer_.find("\r\n", at);
    const std::size_t colon = buffer_.find(':', at);
    std::string name = buffer_.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    answer.headers[name] = buffer_.substr(colon + 2, line_end - colon - 2);
    at = line_end + 2;
  }
  buffer_.erase(0, end + 4);
  const auto length = answer.headers.find("content-length");
  const std::size_t body_bytes = length == answer.headers.end() ? 0 : std::stoul(length->second);
  while (buffer_.size() < body_bytes) {
    if (!Fill(deadline)) return std::nullopt;
  }
  answer.body = buffer_.substr(0, body_bytes);
  buffer_.erase(0, body_bytes);
  return answer;
}

int RawClient::Upgrade(std::string_view target, std::string_view headers) {
  std::string all =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  SendGet(target, all.append(headers));
  const std::optional<HttpAnswer> answer = ReadAnswer();
  return answer ? answer->status : 0;
}

void RawClient::SendFrame(unsigned char first_byte, std::string_view payload) {
  constexpr char kMask[4] = {0x11, 0x22, 0x33, 0x44};
  std::string frame(1, static_cast<char>(first_byte));
  if (payload.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | payload.size()));
  } else if (payload.size() <= 0xffff) {
    frame.push_back(static_cast<char>(0x80 | 126));
    for (int shift : {8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift));
  } else {
    frame.push_back(static_cast<char>(0x80 | 127));
    for (int shift = 56; shift >= 0; shift -= 8) frame.push_back(static_cast<char>(payload.size() >> shift));
  }
  frame.append(kMask, 4);
  for (std::size_t i = 0; i < payload.size(); ++i) frame.push_back(static_cast<char>(payload[i] ^ kMask[i % 4]));
  Send(frame);
}

std::optional<WebSocketFrame> RawClient::ReadFrame(std::chrono::milliseconds patience) {
  const auto deadline = SteadyClock::now() + patience;
  auto need = [&](std::size_t bytes) {
    while (buffer_.size() < bytes) {
      if (!Fill(deadline)) return false;
    }
    return true;
  };
  if (!need(2)) return std::nullopt;
  std::uint64_t length = static_cast<unsigned char>(buffer_[1]);
  std::size_t header = 2;
  if (length >= 126) {
    const std::size_t extra = length == 126 ? 2 : 8;
    if (!need(2 + extra)) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < extra; ++i) length = length << 8 | static_cast<unsigned char>(buffer_[2 + i]);
    header += extra;
  }
  if (!need(header + length)) return std::nullopt;
  WebSocketFrame frame{buffer_[0] & 0x0f, buffer_.substr(header, length)};
  buffer_.erase(0, header + length);
  return frame;
}

std::string RawClient::ReadText(std::chrono::milliseconds patience) {
  const std::optional<WebSocketFrame> frame = ReadFrame(patience);
  return frame ? frame->payload : "";
}

std::string RawClient::ReadUntil(std::string_view part) {
  const auto deadline = SteadyClock::now() + kPatience;
  while (SteadyClock::now() < deadline) {
    std::string text = ReadText();
    if (text.empty() || text.find(part) != std::string::npos) return text;
  }
  return "";
}

std::string RawClient::ReadSome(std::chrono::milliseconds patience) {
  if (buffer_.empty()) Fill(SteadyClock::now() + patience);
  return std::exchange(buffer_, std::string());
}

bool RawClient::WaitClosed(std::chrono::milliseconds patience) {
  const auto deadline = SteadyClock::now() + patience;
  while (Fill(deadline)) buffer_.clear();
  return closed_;
}

}  // namespace sesior::realtime
