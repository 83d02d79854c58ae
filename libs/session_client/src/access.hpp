// Access: what every call and stream to the session service shows, and how channels to it are made.
// Threading: thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "sesior/session_client/credentials.hpp"

namespace sesior::session_client {

class Access {
 public:
  explicit Access(ClientCredentials credentials);

  // `address`: host:port with a numeric host; `host`: as it is configured, which the certificate must name.
  std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, const std::string& host,
                                             grpc::ChannelArguments arguments) const;

  // Adds the bearer token to a call or stream that begins. The file is looked at once a second at most; one that cannot
  // be read, or is empty, leaves the token as it was.
  void Authorize(grpc::ClientContext& context) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const ClientCredentials credentials_;
  const std::shared_ptr<grpc::ChannelCredentials> channel_credentials_;
  absl::Mutex mutex_;
  std::string header_ ABSL_GUARDED_BY(mutex_);  // empty: none
  std::chrono::steady_clock::time_point looked_at_ ABSL_GUARDED_BY(mutex_);
};

// What the service says of us is no verdict on a session: kUnauthenticated for our credentials becomes kUnavailable,
// logged as the error of configuration that it is. Other statuses stay as they are.
absl::Status WithoutOurRefusal(absl::Status status);

}  // namespace sesior::session_client
