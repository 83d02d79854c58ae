// How two replicas meet on the peer port, before any request. Each proves that it knows the shared secret without
// showing it, so that neither a stranger who calls nor one who sits at an address that a replica had before learns
// anything; and the one that is called says who it is, since an address may belong to another start of the process by
// now.
//
//   owner  → sesior-peer 1 <replica id> <nonce A>       nonces: 32 hex digits, never used twice
//   caller → <nonce B> <HMAC(secret, "caller" A B id)>  HMAC-SHA256 in hex
//   owner  → <HMAC(secret, "owner" A B id)>
//
// one line each. What follows are HTTP/1.1 requests with their answers, one at a time, each with X-Forwarded-For set to
// the client's address by the caller. The bytes travel in clear: the peer port belongs in a private network.
// Bounds:    a line has at most 256 bytes.
// Threading: thread-compatible; no I/O, no clock. PeerSecrets is immutable.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sesior::realtime {

// The secrets that replicas share: the first one proves, all are accepted, so that they can be rotated.
class PeerSecrets {
 public:
  static constexpr std::size_t kLeastBytes = 16;

  explicit PeerSecrets(std::vector<std::string> secrets) : secrets_(std::move(secrets)) {}
  bool empty() const { return secrets_.empty(); }
  std::string Prove(std::string_view text) const;
  // Takes the same time wherever a proof is wrong.
  bool Accepts(std::string_view text, std::string_view proof) const;

 private:
  std::vector<std::string> secrets_;
};

class PeerHandshake {
 public:
  enum class Role { kCaller, kOwner };
  enum class Result { kNeedMore, kDone, kFailed };

  // `replica_id`: the owner's: its own, or the one that is expected. `nonce`: NewNonce(), or a test's.
  PeerHandshake(Role role, const PeerSecrets& secrets, std::string replica_id, std::string nonce);
  static std::string NewNonce();

  // What to send first; empty: wait for the other side.
  std::string Greeting() const;
  // Takes from the front of `bytes`, not beyond the handshake; what is to be sent is appended to `out`.
  Result Feed(std::string_view& bytes, std::string& out);
  // After kFailed of a caller: the other one is well, but somebody else (another start of the process).
  bool met_another() const { return met_another_; }

 private:
  Result OnLine(std::string_view line, std::string& out);
  std::string Claim(std::string_view role) const;

  const Role role_;
  const PeerSecrets& secrets_;
  const std::string replica_id_;
  std::string nonce_a_;  // the owner's
  std::string nonce_b_;  // the caller's
  std::string line_;
  bool greeted_ = false;  // the caller has been
  bool met_another_ = false;
};

}  // namespace sesior::realtime
