// Lets hiredis's asynchronous contexts run on Asio.
#pragma once

#include <hiredis/async.h>

#include <asio/io_context.hpp>

namespace sesior::session::redis {

// Call once, right after redisAsyncConnect. The adapter lives as long as the context does.
void AttachToAsio(asio::io_context& io, redisAsyncContext* context);

}  // namespace sesior::session::redis
