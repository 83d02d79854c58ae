// RecoveryStore: what a socket needs to go on elsewhere: its id, session and rooms, what the application keeps with it.
//
// A record belongs to a replica. Open, it lasts as long as that replica's lease and one recovery window more; closed
// (the connection broke), one window. Of several who take it one wins: for the moment after that it is in use, unless
// its new owner says otherwise. `generation` counts the takings; a save that knows of fewer than the record comes from
// a former owner and changes nothing. Threading: confined to the core executor; `done` runs there too, never inside the
// call. Errors of every call: kUnavailable (REDIS_UNAVAILABLE).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sesior/base/done.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {

enum class RecoveryState : std::uint8_t { kOpen = 0, kClosed = 1, kEnded = 2 };  // ended: forgotten

// No text but `body` holds a blank, and none is empty.
struct RecoveryRecord {
  std::string private_id;
  std::string socket_id;
  std::string name_space;
  SessionId session_id;
  std::string owner;
  std::uint64_t generation = 0;
  RecoveryState state = RecoveryState::kOpen;
  std::string body;  // as the owner wrote it
};

struct TakeRecovery {
  std::string private_id;
  std::string name_space;
  SessionId session_id;
  std::string new_owner;
};

struct TakenRecovery {
  RecoveryRecord record;  // as it is now: of the new owner, open, kept for a window until that one saves it
  std::string former_owner;
};

class RecoveryStore {
 public:
  virtual ~RecoveryStore() = default;
  // In one step. Answers the private ids of records that others have taken: nothing of these was kept.
  virtual void Save(std::vector<RecoveryRecord> records, Done<std::vector<std::string>> done) = 0;
  // kNotFound (RECOVERY_NOT_FOUND): there is none, it is of another namespace or session, or it was taken a moment ago
  // and is in use. PresenceStore::KeepLease tells its former owner.
  virtual void Take(TakeRecovery take, Done<TakenRecovery> done) = 0;
};

}  // namespace sesior::session
