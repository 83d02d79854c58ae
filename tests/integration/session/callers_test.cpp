// Our own client and a generated stub against a replica that knows its callers: TLS, client certificates, bearer
// tokens, and what changes while all of it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "replica.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_tls/credentials.hpp"
#include "sesior/session_client/grpc_session_client.hpp"
#include "stub_call.hpp"
#include "tests/support/redis_server.hpp"

namespace sesior::testing {
namespace {

using std::chrono_literals::operator""s;
using session_client::ClientCredentials;
using session_client::SessionClient;

constexpr const char* kEdgeToken = "the token of an edge";

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/sesior-callers-XXXXXX";
    path_ = mkdtemp(name);
    Make("certs");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  // A set of certificates, of an authority of its own.
  void Make(const std::string& name) const {
    const std::string command = std::string(SESIOR_CERTIFICATES) + " " + path_ + "/" + name;
    EXPECT_EQ(std::system(command.c_str()), 0);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(*this / (name + ".next")) << text;
    std::filesystem::rename(*this / (name + ".next"), *this / name);
  }

 private:
  std::string path_;
};

template <typename Response, typename Request>
absl::StatusOr<Response> Call(SessionClient& client,
                              void (SessionClient::*method)(Request, session_client::CallOptions, Done<Response>),
                              Request request = {}) {
  std::promise<absl::StatusOr<Response>> promise;
  std::future<absl::StatusOr<Response>> future = promise.get_future();
  (client.*method)(std::move(request), {.timeout = 10s},
                   [&promise](absl::StatusOr<Response> result) { promise.set_value(std::move(result)); });
  return future.get();
}
// In the batched stream.
absl::StatusOr<session::v1::CreateSessionResponse> Create(SessionClient& client) {
  return Call<session::v1::CreateSessionResponse>(client, &SessionClient::CreateSession);
}
// A unary call.
absl::Status List(SessionClient& client) {
  return Call<presence::v1::ListOnlineResponse>(client, &SessionClient::ListOnline).status();
}

class KnownCallers : public ::testing::Test {
 protected:
  KnownCallers() { folder_.Write("edge", std::string(kEdgeToken) + "\n"); }

  std::unique_ptr<Replica> Serve(std::vector<std::string> more = {}) {
    std::vector<std::string> flags = {"--cookie-secret=keyboard cat",
                                      "--tls-cert=" + folder_ / "certs/server.pem",
                                      "--tls-key=" + folder_ / "certs/server.key",
                                      "--tls-client-ca=" + folder_ / "certs/ca.pem",
                                      "--edge-names=sesior-rest",
                                      "--backend-names=billing",
                                      "--admin-names=ops",
                                      "--edge-tokens-file=" + folder_ / "edge",
                                      "--cookie-secret-reload=50ms"};
    flags.insert(flags.end(), more.begin(), more.end());
    return std::make_unique<Replica>(redis_.url(), flags);
  }
  std::unique_ptr<SessionClient> Client(const std::string& address, ClientCredentials credentials) {
    return session_client::MakeSessionClient({.addresses = {address}, .credentials = std::move(credentials)});
  }
  ClientCredentials WithToken() const {
    return {.tls = {.cert = {}, .key = {}, .ca = folder_ / "certs/ca.pem"},
            .server_name = {},
            .tokens = {kEdgeToken},
            .token_file = {}};
  }
  ClientCredentials WithCertificate(const std::string& name) const {
    return {.tls = {.cert = folder_ / ("certs/" + name + ".pem"),
                    .key = folder_ / ("certs/" + name + ".key"),
                    .ca = folder_ / "certs/ca.pem"},
            .server_name = {},
            .tokens = {},
            .token_file = {}};
  }
  // How a call that only an admin may make ends for a caller with this certificate.
  absl::Status EraseAs(const std::string& name, const Replica& replica) {
    grpc::ChannelArguments arguments;
    arguments.SetString(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, "sesior-session");
    const auto stub = session::v1::SessionService::NewStub(grpc::CreateCustomChannel(
        replica.address(), grpc_tls::MakeChannelCredentials(WithCertificate(name).tls), arguments));
    session::v1::EraseUserRequest request;
    request.set_user_id("nobody");
    return CallStub(*stub, &SessionStub::EraseUser, request).status();
  }

  const Folder folder_;
  RedisServer redis_;
};

// Everything that an edge does: a call in the batched stream, a unary one, a watch, a subscription.
void ExpectServed(SessionClient& client) {
  ASSERT_TRUE(WaitFor([&] { return client.connected(); }));
  const auto created = Create(client);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(List(client).ok());
  session::v1::SessionRef ref;
  ref.set_session_id(created->session().session_id());
  std::promise<absl::StatusOr<session_client::WatchEvent>> watched;
  const auto watch =
      client.Watch(ref, 10s, [&watched, told = false](absl::StatusOr<session_client::WatchEvent> event) mutable {
        if (!std::exchange(told, true)) watched.set_value(std::move(event));
      });
  const auto event = watched.get_future().get();
  EXPECT_TRUE(event.ok()) << event.status();
  struct Handler : session_client::SubscriptionHandler {
    void OnBroadcasts(const broadcast::v1::SubscribeResponse&) override {}
    void OnConnected(bool connected) override {
      if (connected && !std::exchange(told, true)) stands.set_value();
    }
    bool told = false;
    std::promise<void> stands;
  } handler;
  const auto subscription = client.Subscribe("r", "/", handler);
  EXPECT_EQ(handler.stands.get_future().wait_for(20s), std::future_status::ready);
}

TEST_F(KnownCallers, AnEdgeIsServedByItsTokenOrItsCertificate) {
  const auto replica = Serve();
  ExpectServed(*Client(replica->address(), WithToken()));
  ExpectServed(*Client(replica->address(), WithCertificate("edge")));
  // By name, and by the name that is expected of it.
  ExpectServed(*Client("localhost:" + std::to_string(replica->port()), WithToken()));
  ClientCredentials named = WithToken();
  named.server_name = "sesior-session";
  ExpectServed(*Client(replica->address(), named));
}

TEST_F(KnownCallers, ATokenIsEnoughWithoutTlsOnLoopback) {
  Replica replica(redis_.url(), {"--cookie-secret=keyboard cat", "--edge-tokens-file=" + folder_ / "edge"});
  ClientCredentials credentials;
  credentials.tokens = {kEdgeToken};
  ExpectServed(*Client(replica.address(), credentials));
}

TEST_F(KnownCallers, ACertificateGivesTheRoleOfItsName) {
  const auto replica = Serve();
  EXPECT_TRUE(EraseAs("admin", *replica).ok()) << EraseAs("admin", *replica);
  for (const char* other : {"edge", "backend"}) EXPECT_EQ(ReasonOf(EraseAs(other, *replica)), "ROLE_REQUIRED") << other;
  EXPECT_TRUE(absl::IsUnavailable(EraseAs("stranger", *replica))) << "no handshake";
}

// What the service says of us is no verdict on anybody's session: REST would sign people out.
TEST_F(KnownCallers, BadCredentialsAreAnOutage) {
  const auto replica = Serve();
  ClientCredentials unknown = WithToken();
  unknown.tokens = {"a token that nobody has"};
  ClientCredentials nothing = WithToken();
  nothing.tokens.clear();
  ClientCredentials other_authority = WithToken();
  other_authority.tls.ca = folder_ / "certs/other.pem";
  ClientCredentials other_name = WithToken();
  other_name.server_name = "another-service";
  std::vector<std::unique_ptr<SessionClient>> bad;
  for (const ClientCredentials& credentials : {unknown, nothing, other_authority, other_name, ClientCredentials{}}) {
    bad.push_back(Client(replica->address(), credentials));
  }
  const auto good = Client(replica->address(), WithToken());
  ASSERT_TRUE(WaitFor([&] { return good->connected(); }));
  const std::string none = "sesior_session_calls_denied_total{reason=\"credentials\"} 0\n";
  EXPECT_TRUE(WaitFor([&] { return replica->MetricsText().find(none) == std::string::npos; }));
  for (const auto& client : bad) {
    EXPECT_TRUE(absl::IsUnavailable(Create(*client).status()));
    EXPECT_TRUE(absl::IsUnavailable(List(*client)));
    EXPECT_FALSE(client->connected());
  }
}

TEST_F(KnownCallers, ATokenThatIsWithdrawnIsAnOutageToo) {
  const auto replica = Serve();
  const auto client = Client(replica->address(), WithToken());
  ASSERT_TRUE(WaitFor([&] { return client->connected(); }));
  folder_.Write("edge", "the token of others\n");
  // First the unary calls, then, when it is ended, those on the stream.
  EXPECT_TRUE(WaitFor([&] {
    const absl::Status status = List(*client);
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
    return !status.ok();
  }));
  EXPECT_TRUE(WaitFor([&] {
    const absl::Status status = Create(*client).status();
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
    return !status.ok() && !client->connected();
  }));
}

TEST_F(KnownCallers, TokensAreExchangedWhileCallsGoOn) {
  const auto replica = Serve();
  folder_.Write("mine", kEdgeToken);
  ClientCredentials credentials = WithToken();
  credentials.token_file = folder_ / "mine";
  const auto client = Client(replica->address(), credentials);
  ASSERT_TRUE(WaitFor([&] { return client->connected(); }));
  const auto loads = [&](const std::string& count) {
    return replica->MetricsText().find("secret_reloads_total{result=\"loaded\"} " + count) != std::string::npos;
  };
  // The service takes both, the client changes, the service drops the old.
  constexpr const char* kNext = "the next token of an edge";
  folder_.Write("edge", std::string(kEdgeToken) + "\n" + kNext + "\n");
  ASSERT_TRUE(WaitFor([&] { return loads("1"); }));
  folder_.Write("mine", kNext);
  const auto until = std::chrono::steady_clock::now() + 2s;  // the client looks once a second
  while (std::chrono::steady_clock::now() < until) {
    EXPECT_TRUE(List(*client).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  folder_.Write("edge", kNext);
  // The streams that stood on the old one are moved: no call fails.
  const auto moved = std::chrono::steady_clock::now() + 4s;
  while (std::chrono::steady_clock::now() < moved) {
    const auto created = Create(*client);
    EXPECT_TRUE(created.ok()) << created.status();
    EXPECT_TRUE(List(*client).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(loads("2"));
}

TEST_F(KnownCallers, CertificatesAreExchangedWhileItServes) {
  std::filesystem::create_directory_symlink(folder_ / "certs", folder_ / "current");
  const auto replica =
      Serve({"--tls-cert=" + folder_ / "current/server.pem", "--tls-key=" + folder_ / "current/server.key",
             "--tls-client-ca=" + folder_ / "current/ca.pem"});
  const auto standing = Client(replica->address(), WithToken());
  ExpectServed(*standing);
  folder_.Make("next");
  ClientCredentials next = WithToken();
  next.tls = {.cert = folder_ / "next/edge.pem", .key = folder_ / "next/edge.key", .ca = folder_ / "next/ca.pem"};
  next.tokens.clear();
  const auto client = Client(replica->address(), next);  // tries again until the service has the new ones
  std::filesystem::create_directory_symlink(folder_ / "next", folder_ / "swapped");
  std::filesystem::rename(folder_ / "swapped", folder_ / "current");
  ExpectServed(*client);
  ExpectServed(*standing);
}

}  // namespace
}  // namespace sesior::testing
