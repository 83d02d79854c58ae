// ServerStream: one bidirectional gRPC stream from the server's side, for owners that batch. The owner keeps what
// waits; whenever the last write is done the stream asks for all of it at once ("fill").
// Ownership: keeps itself alive until gRPC is done with it; owners hold a shared_ptr and may outlive that.
// Threading: Kick, Finish, FinishWhenEmpty and Abort are thread-safe. Callbacks run on gRPC threads: reads one at a
//            time, fills one at a time, on_done last and once. They must not block. Fill may also run inside Kick.
// Shutdown:  a status cannot pass a write that the client does not take: Finish gives it kFinishGrace, then the stream
//            is cancelled.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "services/session/domain/executor.hpp"

namespace sesior::session::rpc {

template <typename Request, typename Response>
class ServerStream final : public grpc::ServerBidiReactor<Request, Response>,
                           public std::enable_shared_from_this<ServerStream<Request, Response>> {
 public:
  static constexpr std::chrono::seconds kFinishGrace{2};

  struct Callbacks {
    absl::AnyInvocable<void(Request&)> on_read;
    // The client sends nothing more; answers may still be written. Call FinishWhenEmpty or Finish in time.
    absl::AnyInvocable<void()> on_half_close;
    // Puts what waits into the (empty) response; false: nothing waits.
    absl::AnyInvocable<bool(Response&)> fill;
    // The stream has ended; nothing else is called any more.
    absl::AnyInvocable<void()> on_done;
  };

  // Returns the reactor to hand to gRPC.
  grpc::ServerBidiReactor<Request, Response>* Start(grpc::CallbackServerContext* context, Callbacks callbacks) {
    {
      absl::MutexLock lock(&context_mutex_);
      context_ = context;
    }
    callbacks_ = std::move(callbacks);
    self_ = this->shared_from_this();
    this->StartSendInitialMetadata();  // at once: the client takes it as "the stream stands"
    this->StartRead(&request_);
    return this;
  }

  // Something waits to be written.
  void Kick() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (finished_ || finish_) return;
      if (writing_) {
        again_ = true;
        return;
      }
      writing_ = true;
    }
    Pump();
  }

  // On the core: kicks when all that is ready to run there has run, so that everything a turn has to tell the client
  // goes out in one message and wakes it once.
  void KickAfterTurn(Executor& core) {
    if (std::exchange(kick_is_due_, true)) return;
    core.Post([self = this->shared_from_this()] {
      self->kick_is_due_ = false;
      self->Kick();
    });
  }

  // Ends the stream after the write under way; what waits is dropped.
  void Finish(grpc::Status status) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (finished_ || finish_) return;
      finish_ = std::move(status);
      if (writing_) {
        // Weak: the alarm keeps its function, and the stream keeps the alarm.
        alarm_.Set(std::chrono::system_clock::now() + kFinishGrace, [weak = this->weak_from_this()](bool is_due) {
          const std::shared_ptr<ServerStream> self = is_due ? weak.lock() : nullptr;
          if (self) self->Abort();
        });
      }
    }
    FinishIfIdle();
  }

  // Ends the stream at once, whatever is under way; the client sees CANCELLED.
  void Abort() ABSL_LOCKS_EXCLUDED(context_mutex_) {
    absl::MutexLock lock(&context_mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

  // Ends the stream with OK as soon as nothing waits to be written.
  void FinishWhenEmpty() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      when_empty_ = true;
    }
    Kick();
  }

 private:
  void Pump() ABSL_LOCKS_EXCLUDED(mutex_) {
    while (true) {
      Clear(response_);
      if (callbacks_.fill(response_)) {
        this->StartWrite(&response_);
        return;
      }
      absl::MutexLock lock(&mutex_);
      if (again_ && !finish_) {
        again_ = false;
        continue;
      }
      writing_ = false;
      if (when_empty_ && !finish_) finish_ = grpc::Status::OK;
      break;
    }
    FinishIfIdle();
  }

  void FinishIfIdle() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (!finish_ || writing_ || finished_) return;
      finished_ = true;
    }
    grpc::ServerBidiReactor<Request, Response>::Finish(*finish_);
  }

  static void Clear(grpc::ByteBuffer& buffer) { buffer.Clear(); }
  template <typename Message>
  static void Clear(Message& message) {
    message.Clear();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return callbacks_.on_half_close();
    callbacks_.on_read(request_);
    this->StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    bool pump = false;
    {
      absl::MutexLock lock(&mutex_);
      pump = ok && !finish_;
      if (!pump) {
        writing_ = false;
        if (!finish_) finish_ = grpc::Status::CANCELLED;  // the client is gone
      }
    }
    pump ? Pump() : FinishIfIdle();
  }

  void OnCancel() override { Finish(grpc::Status::CANCELLED); }

  void OnDone() override {
    {
      absl::MutexLock lock(&context_mutex_);
      context_ = nullptr;
    }
    alarm_.Cancel();
    const std::shared_ptr<ServerStream> self = std::move(self_);
    callbacks_.on_done();
    callbacks_ = {};  // callbacks usually hold the owner, which holds this stream
  }

  Callbacks callbacks_;
  // A mutex of its own: OnCancel, which takes the other, follows from TryCancel.
  absl::Mutex context_mutex_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(context_mutex_) = nullptr;  // null when the stream is done
  grpc::Alarm alarm_;
  Request request_;
  Response response_;
  std::shared_ptr<ServerStream> self_;
  bool kick_is_due_ = false;  // on the core
  absl::Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;  // a fill runs or a write is under way
  bool again_ ABSL_GUARDED_BY(mutex_) = false;    // kicked meanwhile
  bool when_empty_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> finish_;  // written under the mutex, once; read after finished_
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// A stream that is refused before it stands: without the initial metadata that a client takes as "it stands".
template <typename Request, typename Response>
class RefusedStream final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }

 private:
  void OnDone() override { delete this; }
};

}  // namespace sesior::session::rpc
