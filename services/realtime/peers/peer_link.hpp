// PeerLink: a connection to the peer port of another replica: connects, proves itself (peer_handshake), then carries
// one request at a time and its answer, like any HTTP client.
//
// Errors:    the owner closed, is silent or says what it should not: User::OnBroken, and the link is over. Nothing is
//            tried twice: the other replica may have done what was asked.
// Bounds:    one answer within kMaxAnswerBytes; connecting with all that belongs to it `connect_timeout`; an answer
//            `answer_timeout`; a link that is not used `idle_timeout`. A host that is gone without a word is noticed by
//            the kernel's keep-alive within about 11 s.
// Ownership: lives by its waits; its user is not owned.
// Threading: confined to its loop.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "services/realtime/peers/peer_handshake.hpp"
#include "services/realtime/transport/loop.hpp"
#include "sesior/http/response_parser.hpp"

namespace sesior::realtime {

// Why a request could not be passed on.
enum class PeerFailure : std::uint8_t {
  kUnknown,      // no such replica in the lease table
  kUnreachable,  // nobody, or another start of the process, at its address
  kUntrusted,    // somebody without the secret is there, or we have the wrong one
  kBroken,       // the connection ended before the answer, or none came in time
  kBusy,         // too many requests are being passed on
};

struct PeerLinkOptions {
  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds answer_timeout{50'000};  // a poll is answered by the next ping at the latest
  std::chrono::milliseconds idle_timeout{30'000};    // less than the idle_timeout of the owner's channel
};

class PeerLink final : public std::enable_shared_from_this<PeerLink>, private Timer {
 public:
  static constexpr std::size_t kMaxAnswerBytes = 16 << 20;

  // Whom a link works for. Held weakly.
  class User {
   public:
    // The whole answer. The link may be used again if `reusable`.
    virtual void OnAnswer(http::Response response, bool reusable) = 0;
    // The answer is 101: the connection now is the user's, with the bytes that came, the answer's head included. The
    // link is over.
    virtual void OnUpgraded(int fd, std::string bytes) = 0;
    virtual void OnBroken(PeerFailure failure) = 0;

   protected:
    ~User() = default;
  };

  // `on_end` is called once, when the connection is closed or has been taken over.
  static std::shared_ptr<PeerLink> Connect(Loop& loop, const PeerLinkOptions& options, const PeerSecrets& secrets,
                                           const asio::ip::tcp::endpoint& endpoint, std::string replica_id,
                                           std::function<void(const PeerLink&)> on_end);
  // Use Connect.
  PeerLink(Loop& loop, const PeerLinkOptions& options, const PeerSecrets& secrets, std::string replica_id,
           std::function<void(const PeerLink&)> on_end);
  ~PeerLink() override;

  // Sends a request, now or when connected; `bytes` may be its first part only. Not while another one is under way.
  void Send(http::Method method, std::string bytes, std::weak_ptr<User> user);
  // More of the same request.
  void SendMore(std::string_view bytes);
  // Ends it, and with it what is under way; the user is not told.
  void Close();
  bool closed() const { return state_ == State::kClosed; }

 private:
  enum class State : std::uint8_t { kConnecting, kMeeting, kOpen, kClosed };

  void Start(const asio::ip::tcp::endpoint& endpoint);
  void OnDeadline(Time now) override;
  void OnConnected();
  void WaitReadable();
  void OnReadable();
  void OnMeeting(std::string_view& bytes);
  void OnAnswerBytes(std::string_view bytes);
  void Flush();
  void Fail(PeerFailure failure);

  Loop& loop_;
  const PeerLinkOptions& options_;
  std::function<void(const PeerLink&)> on_end_;
  asio::posix::stream_descriptor descriptor_;
  PeerHandshake handshake_;
  http::ResponseParser parser_;
  std::string out_;      // to be written
  std::string request_;  // until the handshake is done
  std::weak_ptr<User> user_;
  State state_ = State::kConnecting;
  bool busy_ = false;  // a request is under way
  bool reading_ = false;
  bool writing_ = false;  // waits until the peer takes more
};

}  // namespace sesior::realtime
