// What the tests of the session client share: calls as futures, sessions that belong to a given replica.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "sesior/base/error.hpp"
#include "sesior/session_client/grpc_session_client.hpp"
#include "tests/support/fake_session_server.hpp"

namespace sesior::session_client {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::FakeSessionServer;

// A call under way; Get() waits for its end.
template <typename T>
class Pending {
 public:
  Done<T> MakeDone() {
    std::promise<absl::StatusOr<T>> promise;
    future_ = promise.get_future();
    return [promise = std::move(promise)](absl::StatusOr<T> result) mutable { promise.set_value(std::move(result)); };
  }
  absl::StatusOr<T> Get() {
    if (future_.wait_for(seconds(20)) != std::future_status::ready) return absl::InternalError("never called");
    return future_.get();
  }
  bool ready() const { return future_.wait_for(seconds(0)) == std::future_status::ready; }

 private:
  std::future<absl::StatusOr<T>> future_;
};

inline Pending<session::v1::GetSessionResponse> Get(SessionClient& client, const std::string& id,
                                                    milliseconds timeout = milliseconds(5000)) {
  session::v1::GetSessionRequest request;
  request.mutable_session()->set_session_id(id);
  Pending<session::v1::GetSessionResponse> pending;
  client.GetSession(std::move(request), {.timeout = timeout}, pending.MakeDone());
  return pending;
}

inline Pending<session::v1::UpdateSessionResponse> Update(SessionClient& client, const std::string& id,
                                                          const std::string& patch = "{}",
                                                          milliseconds timeout = milliseconds(5000)) {
  session::v1::UpdateSessionRequest request;
  request.mutable_session()->set_session_id(id);
  request.set_merge_patch_json(patch);
  Pending<session::v1::UpdateSessionResponse> pending;
  client.UpdateSession(std::move(request), {.timeout = timeout}, pending.MakeDone());
  return pending;
}

// For what nobody announces. True: it came to hold within 10 s.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = steady_clock::now() + seconds(10);
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

// A client of these servers, connected to every one of them.
inline std::unique_ptr<SessionClient> Connect(std::initializer_list<FakeSessionServer*> servers,
                                              Options::Transport transport = Options::Transport::kStream);

// The id of a session whose calls go to `server`; it must be up.
inline std::string SessionOf(SessionClient& client, FakeSessionServer& server) {
  static int next = 0;
  for (int tries = 0; tries < 100'000; ++tries) {
    const std::string id = "session-" + std::to_string(next++);
    Get(client, id).Get().IgnoreError();
    bool here = false;
    server.With([&] {
      here = !server.calls.empty() && server.calls.back().get_session().session().session_id() == id;
      server.calls.clear();
      server.batches.clear();
    });
    if (here) return id;
  }
  ADD_FAILURE() << "no session belongs to " << server.address();
  return "";
}

inline std::unique_ptr<SessionClient> Connect(std::initializer_list<FakeSessionServer*> servers,
                                              Options::Transport transport) {
  Options options{.addresses = {}, .transport = transport};
  for (FakeSessionServer* server : servers) options.addresses.push_back(server->address());
  std::unique_ptr<SessionClient> client = MakeSessionClient(std::move(options));
  EXPECT_TRUE(Eventually([&] { return client->connected(); }));
  if (transport == Options::Transport::kStream) {
    for (FakeSessionServer* server : servers) SessionOf(*client, *server);
  }
  return client;
}

}  // namespace sesior::session_client
