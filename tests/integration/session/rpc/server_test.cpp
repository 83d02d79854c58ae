// The server around the services: where it listens, health, what is not there.
#include <grpcpp/generic/generic_stub.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "rpc_world.hpp"
#include "sesior/base/error.hpp"
#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session {
namespace {

class Server : public ::testing::Test {
 protected:
  absl::Status StartOn(const std::string& listen) {
    rpc::RpcServer server(listen, {world_.operations, world_.executor, world_.metrics}, world_.watches,
                          world_.broadcasts);
    const absl::Status status = server.Start();
    EXPECT_EQ(status.ok(), server.port() > 0);
    return status;
  }
  grpc::StatusCode Get() {
    const auto stub = session::v1::SessionService::NewStub(world_.channel);
    grpc::ClientContext context;
    session::v1::GetSessionRequest request;
    request.mutable_session()->set_session_id("nobody");
    session::v1::GetSessionResponse response;
    return stub->GetSession(&context, request, &response).error_code();
  }

  // The answer of grpc.health.v1 for a name: 1 SERVING, 2 NOT_SERVING; -1: it knows no such name.
  int HealthOf(std::string name) {
    // HealthCheckRequest {string service = 1}, by hand: Debian has no header of it. One byte of length is enough here.
    const grpc::Slice text("\x0a" + std::string(1, static_cast<char>(name.size())) + name);
    const grpc::ByteBuffer request(&text, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    grpc::Status status;
    absl::Notification done;
    grpc::GenericStub(world_.channel)
        .UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response, [&](grpc::Status answer) {
          status = std::move(answer);
          done.Notify();
        });
    done.WaitForNotification();
    if (!status.ok()) return -1;
    grpc::Slice slice;
    if (!response.TrySingleSlice(&slice).ok() || slice.size() != 2) return 0;  // HealthCheckResponse {status = 1}
    return slice.begin()[1];
  }

  testing::RpcWorld world_;
};

TEST_F(Server, TellsProbesWhatItDependsOn) {
  world_.server.SetServing(false);
  EXPECT_EQ(HealthOf(""), 2);
  EXPECT_EQ(HealthOf("redis"), 2);
  EXPECT_EQ(HealthOf("live"), 1);
  world_.server.SetServing(true);
  EXPECT_EQ(HealthOf(""), 1);
  EXPECT_EQ(HealthOf("redis"), 1);
  EXPECT_EQ(HealthOf("live"), 1);
  EXPECT_EQ(HealthOf("nothing"), -1);
}

TEST_F(Server, ListensOnLoopbackOnly) {
  for (const char* good : {"127.0.0.1:0", "127.1.2.3:0", "localhost:0"}) EXPECT_TRUE(StartOn(good).ok()) << good;
  for (const char* bad :
       {"0.0.0.0:0", "[::]:0", "*:0", "", "127.example.com:0", "10.0.0.1:0", "localhost.example.com:0"}) {
    EXPECT_EQ(StartOn(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST_F(Server, SharesItsPortWithNobody) {
  rpc::RpcServer first("127.0.0.1:0", {world_.operations, world_.executor, world_.metrics}, world_.watches,
                       world_.broadcasts);
  ASSERT_TRUE(first.Start().ok());
  EXPECT_TRUE(absl::IsUnavailable(StartOn("127.0.0.1:" + std::to_string(first.port()))));
}

TEST_F(Server, CarriesTheReasonOfAnErrorInItsDetails) {
  const auto stub = session::v1::SessionService::NewStub(world_.channel);
  grpc::ClientContext context;
  session::v1::GetSessionRequest request;
  request.mutable_session()->set_session_id("nobody");
  session::v1::GetSessionResponse response;
  const absl::Status status = grpc_status::FromGrpc(stub->GetSession(&context, request, &response));
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(ReasonOf(status), "SESSION_NOT_FOUND");
}

TEST_F(Server, AnswersUnimplementedForWhatIsNotThereYet) {
  const auto stub = broadcast::v1::BroadcastService::NewStub(world_.channel);
  grpc::ClientContext context;
  EXPECT_EQ(stub->RunCommand(&context, {})->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(Server, SurvivesGarbage) {
  const std::string path = world_.address.substr(5);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  for (int i = 0; i < 50; ++i) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::string garbage = i % 3 == 0 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
    for (int k = 0; k < 2000; ++k) garbage += static_cast<char>((i * 7919 + k * 104729) >> 3);
    (void)!send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL);
    close(fd);
  }
  EXPECT_EQ(Get(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Server, TakesHealthReportsFromAnyThreadWhileItStops) {
  std::thread reporter([this] {
    for (int i = 0; i < 2000; ++i) world_.server.SetServing(i % 2 == 0);
  });
  world_.server.Drain(std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
  world_.server.Stop();
  reporter.join();
}

}  // namespace
}  // namespace sesior::session
