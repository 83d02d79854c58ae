// BidiStream: one bidirectional gRPC stream from the client's side, for owners that batch. The owner keeps what waits;
// whenever the last write is done the stream asks for all of it at once ("fill"), so batches grow with the load.
// Ownership: keeps itself, and through its callbacks the owner, alive from Start until on_done has returned.
// Threading: Kick, Finish and Cancel are thread-safe. Callbacks run on gRPC threads: reads one at a time, fills one at
//            a time, on_done last and once. Fill may also run inside Kick. Callbacks must not block.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "in_flight.hpp"

namespace sesior::session_client {

template <typename Request, typename Response>
class BidiStream final : public grpc::ClientBidiReactor<Request, Response>,
                         public std::enable_shared_from_this<BidiStream<Request, Response>> {
 public:
  struct Callbacks {
    // Released when the last callback has returned and what the callbacks held is gone.
    InFlight::Token in_flight;
    // The server has accepted the stream.
    absl::AnyInvocable<void()> on_open = [] {};
    absl::AnyInvocable<void(Response&)> on_read;
    // Puts what waits into the (empty) request; false: nothing waits.
    absl::AnyInvocable<bool(Request&)> fill;
    // The stream has ended; nothing else is called any more.
    absl::AnyInvocable<void(const grpc::Status&)> on_done;
  };
  // What to do while the server cannot be reached.
  enum class Unreachable { kWait, kFail };

  explicit BidiStream(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  // `start` is the stub's call, e.g. [&](auto* context, auto* reactor) { stub.async()->Watch(context, reactor); }.
  template <typename StartCall>
  void Start(Unreachable unreachable, StartCall start) {
    self_ = this->shared_from_this();
    context_.set_wait_for_ready(unreachable == Unreachable::kWait);
    start(&context_, this);
    // Kick comes from any thread: the hold keeps the call open for it until the stream is known to have ended.
    this->AddHold();
    this->StartRead(&response_);
    this->StartCall();
  }

  // Something waits to be written.
  void Kick() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (ended_ || broken_) return;
      if (writing_) {
        again_ = true;
        return;
      }
      writing_ = true;
    }
    Pump();
  }

  // Half-closes once nothing waits to be written; the server answers what it still has, then on_done follows.
  void Finish() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      finishing_ = true;
    }
    Kick();
  }

  void Cancel() { context_.TryCancel(); }

 private:
  // Runs while `writing_` is set, so one at a time, and so that nobody else gives up the hold meanwhile.
  void Pump() ABSL_LOCKS_EXCLUDED(mutex_) {
    while (true) {
      request_.Clear();
      if (callbacks_.fill(request_)) {
        this->StartWrite(&request_);
        return;
      }
      {
        absl::MutexLock lock(&mutex_);
        if (again_ && !ended_) {
          again_ = false;
          continue;
        }
        if (ended_ || !finishing_) break;
      }
      this->StartWritesDone();
      return;
    }
    EndWrite();
  }

  void EndWrite() ABSL_LOCKS_EXCLUDED(mutex_) {
    bool again = false;
    bool release = false;
    {
      absl::MutexLock lock(&mutex_);
      again = again_ && !ended_ && !broken_;  // kicked since Pump looked
      again_ = false;
      writing_ = again;
      release = ended_;
    }
    if (again) return Pump();
    if (release) this->RemoveHold();
  }

  void OnReadInitialMetadataDone(bool ok) override {
    if (ok) callbacks_.on_open();
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      callbacks_.on_read(response_);
      this->StartRead(&response_);
      return;
    }
    bool release = false;
    {
      absl::MutexLock lock(&mutex_);
      ended_ = true;
      release = !writing_;  // else EndWrite does it
    }
    if (release) this->RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    if (ok) return Pump();
    // OnReadDone(false) follows or has been.
    OnWritesDoneDone(ok);
  }

  void OnWritesDoneDone(bool /*ok*/) override {
    {
      absl::MutexLock lock(&mutex_);
      broken_ = true;
    }
    EndWrite();
  }

  void OnDone(const grpc::Status& status) override {
    const InFlight::Token in_flight = std::move(callbacks_.in_flight);  // released after `self`
    const std::shared_ptr<BidiStream> self = std::move(self_);
    callbacks_.on_done(status);
    callbacks_ = {};  // callbacks usually hold the owner, which holds this stream
  }

  Callbacks callbacks_;
  grpc::ClientContext context_;
  Request request_;
  Response response_;
  std::shared_ptr<BidiStream> self_;
  absl::Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;    // a fill runs or a write is under way
  bool again_ ABSL_GUARDED_BY(mutex_) = false;      // kicked meanwhile
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;  // half-close when empty
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;     // half-closed, or a write has failed: no write may start any more
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;      // the last read has failed
};

}  // namespace sesior::session_client
