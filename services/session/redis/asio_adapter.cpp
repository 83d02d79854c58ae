#include "services/session/redis/asio_adapter.hpp"

#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <memory>
#include <system_error>

namespace sesior::session::redis {

namespace {

// Owned by the context (through `self_`), which hiredis frees in its own time.
class Adapter : public std::enable_shared_from_this<Adapter> {
 public:
  Adapter(asio::io_context& io, redisAsyncContext* context) : context_(context), descriptor_(io, context->c.fd) {}

  void Attach() {
    self_ = shared_from_this();
    context_->ev.data = this;
    context_->ev.addRead = [](void* data) { static_cast<Adapter*>(data)->AddRead(); };
    context_->ev.delRead = [](void* data) { static_cast<Adapter*>(data)->want_read_ = false; };
    context_->ev.addWrite = [](void* data) { static_cast<Adapter*>(data)->AddWrite(); };
    context_->ev.delWrite = [](void* data) { static_cast<Adapter*>(data)->want_write_ = false; };
    context_->ev.cleanup = [](void* data) { static_cast<Adapter*>(data)->Cleanup(); };
  }

 private:
  void AddRead() {
    want_read_ = true;
    if (reading_) return;
    reading_ = true;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](std::error_code error) {
                             self->reading_ = false;
                             if (self->context_ == nullptr || error) return;
                             if (self->want_read_) redisAsyncHandleRead(self->context_);
                             if (self->context_ != nullptr && self->want_read_) self->AddRead();
                           });
  }

  // What was put into the buffer in this turn of the loop is tried at once, in one write, without asking the kernel for
  // writability first; only what does not fit waits for it.
  void AddWrite() {
    want_write_ = true;
    if (flushing_) {
      WaitWrite();
    } else if (!flush_posted_ && !writing_) {
      if ((context_->c.flags & REDIS_CONNECTED) == 0) return WaitWrite();  // writable means: connected, or failed
      flush_posted_ = true;
      asio::post(descriptor_.get_executor(), [self = shared_from_this()] {
        self->flush_posted_ = false;
        if (self->context_ == nullptr || !self->want_write_) return;
        self->flushing_ = true;
        redisAsyncHandleWrite(self->context_);
        self->flushing_ = false;
      });
    }
  }

  void WaitWrite() {
    if (writing_) return;
    writing_ = true;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                           [self = shared_from_this()](std::error_code error) {
                             self->writing_ = false;
                             if (self->context_ == nullptr || error) return;
                             self->flushing_ = true;
                             if (self->want_write_) redisAsyncHandleWrite(self->context_);
                             self->flushing_ = false;
                           });
  }

  void Cleanup() {
    want_read_ = want_write_ = false;
    context_ = nullptr;
    descriptor_.cancel();
    descriptor_.release();  // hiredis closes it
    self_.reset();
  }

  redisAsyncContext* context_;
  asio::posix::stream_descriptor descriptor_;
  bool want_read_ = false;
  bool want_write_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool flushing_ = false;
  bool flush_posted_ = false;
  std::shared_ptr<Adapter> self_;
};

}  // namespace

void AttachToAsio(asio::io_context& io, redisAsyncContext* context) {
  std::make_shared<Adapter>(io, context)->Attach();
}

}  // namespace sesior::session::redis
