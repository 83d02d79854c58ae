// PeerHandshake: whatever comes, nobody gets in without a proof; any way of cutting the bytes comes to the same. The
// first byte chooses the side and the cuts.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/realtime/peers/peer_handshake.hpp"
#include "sesior/base/check.hpp"

using sesior::realtime::PeerHandshake;
using sesior::realtime::PeerSecrets;

namespace {

struct Outcome {
  PeerHandshake::Result result = PeerHandshake::Result::kNeedMore;
  std::string out;
  std::size_t taken = 0;
};

Outcome Meet(PeerHandshake::Role role, std::string_view bytes, std::size_t piece) {
  static const PeerSecrets secrets({"a secret that nobody guesses"});
  PeerHandshake handshake(role, secrets, "r1", std::string(32, 'a'));
  Outcome outcome;
  while (!bytes.empty() && outcome.result == PeerHandshake::Result::kNeedMore) {
    std::string_view part = bytes.substr(0, piece);
    const std::size_t before = part.size();
    outcome.result = handshake.Feed(part, outcome.out);
    outcome.taken += before - part.size();
    bytes.remove_prefix(before - part.size());
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto role = (data[0] & 1) != 0 ? PeerHandshake::Role::kOwner : PeerHandshake::Role::kCaller;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = Meet(role, bytes, size);
  SESIOR_CHECK(whole.result != PeerHandshake::Result::kDone);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{data[0]} / 2 % 61 + 1}) {
    const Outcome cut = Meet(role, bytes, piece);
    SESIOR_CHECK(cut.result == whole.result && cut.out == whole.out);
    // A line that is too long may be refused sooner.
    SESIOR_CHECK(cut.result == PeerHandshake::Result::kFailed || cut.taken == whole.taken);
  }
  return 0;
}
