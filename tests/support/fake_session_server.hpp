// FakeSessionServer: a session service of a test's own over real gRPC, in process, on a free port of loopback. It keeps
// what clients send and answers as the test says.
//   FakeSessionServer server;
//   server.answer = [](const Call&) { return std::nullopt; };   // hold every call
//   ASSERT_TRUE(server.WaitFor([&] { return server.calls.size() == 1; }));
// Threading: thread-safe. The public members are guarded by the server's mutex: hooks run under it, so does WaitFor's
// condition; With() takes it for anything else.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "sesior/broadcast/v1/broadcast.pb.h"
#include "sesior/internal/v1/exchange.pb.h"
#include "sesior/presence/v1/presence.pb.h"
#include "sesior/session/v1/session.pb.h"

namespace sesior::testing {

class FakeSessionServer {
 public:
  using Call = internal::v1::Call;
  using Reply = internal::v1::Reply;
  using WatchEvents = session::v1::WatchSessionsResponse;
  using WatchAdd = session::v1::WatchSessionsRequest::Add;

  // Port 0: any free one.
  explicit FakeSessionServer(int port = 0);
  ~FakeSessionServer();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

  // Ends at once, as a crash does: calls, streams and connections are cut.
  void Kill();
  // As a drain begins: every stream is told to go away, and nobody new is let in. Streams end when clients half-close.
  void GoAway();
  // The end of a drain: waits until the streams have ended, at most until `patience` is over; false: it was.
  bool FinishDrain(std::chrono::milliseconds patience);

  // Waits until `condition`, at most 10 s; whether it holds.
  bool WaitFor(absl::FunctionRef<bool()> condition);
  void With(absl::FunctionRef<void()> action);

  // --- Calls on the batched stream.
  std::vector<Call> calls;               // in the order they came
  std::vector<int> batches;              // how many came together
  std::vector<std::uint64_t> cancelled;  // ids
  int exchange_streams = 0;              // ever opened
  int exchange_half_closed = 0;          // half-closed by the client
  // Answers a call (the id is filled in); nothing: it is held. At first: the empty result of its operation.
  std::function<std::optional<Reply>(const Call&)> answer;
  // Answers all held calls by `answer` as it is now.
  void AnswerHeld();
  // Tells exchange streams only.
  void ExchangeGoAway();

  // --- Watches.
  std::vector<WatchAdd> watch_adds;  // of all streams
  std::vector<std::uint64_t> watch_removes;
  int watch_streams = 0;
  // The first answer to an Add; nothing: none. At first: CURRENT with revision 1 and the id that is asked for, or
  // "of:" and the cookie.
  std::function<std::optional<WatchEvents::Event>(const WatchAdd&)> on_watch;
  // Sends an event to the newest stream that has added its id.
  void Push(WatchEvents::Event event);
  void WatchGoAway();
  // Ends all watch streams with this status.
  void FailWatches(const grpc::Status& status);

  // --- Subscriptions.
  std::vector<broadcast::v1::SubscribeRequest> subscribes;
  // The answer to a request. At first: started at epoch "e", offset 10.
  std::function<std::optional<broadcast::v1::SubscribeResponse>(const broadcast::v1::SubscribeRequest&)> on_subscribe;
  void Deliver(const broadcast::v1::SubscribeResponse& response);  // to all streams

  // --- Unary calls: ListOnline and GetSession.
  std::vector<presence::v1::ListOnlineRequest> list_requests;
  std::vector<std::string> correlation_ids;  // of ListOnline, from its metadata
  // Nothing: held until the client cancels or the server is killed.
  std::function<std::optional<grpc::Status>(const presence::v1::ListOnlineRequest&, presence::v1::ListOnlineResponse&)>
      on_list;

 private:
  class Services;

  int port_ = 0;
  absl::Mutex mutex_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sesior::testing
