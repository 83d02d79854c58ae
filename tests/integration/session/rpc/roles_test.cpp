// Every rpc of every service against every role and against none. The rpcs are those of the protos: one without a row
// here fails.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>

#include <filesystem>
#include <map>
#include <set>

#include "rpc_world.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "sesior/grpc_status/grpc_status.hpp"

namespace sesior::session {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using ::testing::IsEmpty;
using std::chrono_literals::operator""s;

struct Row {
  const char* method;
  const char* request;  // text format
  Role least;
};

constexpr Row kRows[] = {
    {"SessionService.CreateSession", "", Role::kEdge},
    {"SessionService.CreateSession", "express {}", Role::kBackend},
    {"SessionService.GetSession", "session { cookie_header: 'x' }", Role::kEdge},
    {"SessionService.GetSession", "session { session_id: 'x' }", Role::kEdge},
    {"SessionService.GetSession", "session { session_id: 'x' } with_cookie_json: true", Role::kBackend},
    {"SessionService.BatchGetSessions", "session_ids: 'x'", Role::kBackend},
    {"SessionService.UpdateSession", "session { session_id: 'x' } merge_patch_json: '{}'", Role::kEdge},
    {"SessionService.UpdateSession", "session { session_id: 'x' } merge_patch_json: '{}' express {}", Role::kBackend},
    {"SessionService.TouchSession", "session { session_id: 'x' }", Role::kEdge},
    {"SessionService.RegenerateSession", "session { session_id: 'x' }", Role::kEdge},
    {"SessionService.DestroySession", "session { session_id: 'x' }", Role::kEdge},
    {"SessionService.DestroyUserSessions", "caller { session_id: 'x' } except_caller: true", Role::kEdge},
    {"SessionService.DestroyUserSessions", "user_id: 'u'", Role::kAdmin},
    {"SessionService.DestroyUserSessions", "user_id: 'u' caller { session_id: 'x' }", Role::kAdmin},
    {"SessionService.DestroyUserSessions", "caller { session_id: 'x' } except_session_id: 'y'", Role::kAdmin},
    {"SessionService.ListSessions", "caller { session_id: 'x' }", Role::kEdge},
    {"SessionService.ListSessions", "user_id: 'u'", Role::kAdmin},
    {"SessionService.ListSessions", "user_id: 'u' caller { session_id: 'x' }", Role::kAdmin},
    {"SessionService.ResolveCookie", "cookie_header: 'x'", Role::kEdge},
    {"SessionService.WatchSessions", "add { watch_id: 1 session { session_id: 'x' } }", Role::kEdge},
    {"SessionService.EraseUser", "user_id: 'u'", Role::kAdmin},
    {"SessionService.ExportUser", "user_id: 'u'", Role::kAdmin},
    {"BroadcastService.Publish", "broadcast { namespace: '/' packet { args_json: '[\"e\"]' } }", Role::kEdge},
    {"BroadcastService.Emit", "event: 'e'", Role::kBackend},
    {"BroadcastService.Subscribe", "replica_id: 'r' add { namespace: '/' }", Role::kEdge},
    {"BroadcastService.ReadHistory", "", Role::kEdge},
    {"BroadcastService.GetPositions", "", Role::kEdge},
    {"BroadcastService.RunCommand", "", Role::kEdge},
    {"PresenceService.KeepLease", "replica_id: 'r'", Role::kEdge},
    {"PresenceService.ReleaseLease", "replica_id: 'r'", Role::kEdge},
    {"PresenceService.Enter", "replica_id: 'r' namespace: '/' session_id: 'x' key: 'k'", Role::kEdge},
    {"PresenceService.Leave", "replica_id: 'r' namespace: '/' session_id: 'x'", Role::kEdge},
    {"PresenceService.ListOnline", "namespace: '/'", Role::kEdge},
    {"PresenceService.CountOnline", "namespace: '/'", Role::kEdge},
    {"PresenceService.SaveRecovery", "", Role::kEdge},
    {"PresenceService.TakeRecovery", "", Role::kEdge},
    {"ExchangeService.Exchange", "", Role::kEdge},
};

const std::map<Role, std::string> kTokens = {{Role::kEdge, "the token of an edge"},
                                             {Role::kBackend, "the token of a backend"},
                                             {Role::kAdmin, "the token of an admin"}};

// All rpcs in the folder of the protos, "Service.Method".
std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SESIOR_PROTO_DIR)) {
    if (entry.path().extension() != ".proto") continue;
    const std::string name = std::filesystem::relative(entry.path(), SESIOR_PROTO_DIR).string();
    const auto* file = DescriptorPool::generated_pool()->FindFileByName(name);
    EXPECT_NE(file, nullptr) << name << " is not part of this program";
    if (file == nullptr) continue;
    for (int s = 0; s < file->service_count(); ++s) {
      const ServiceDescriptor* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) methods.push_back(service->method(m));
    }
  }
  return methods;
}

std::string ShortName(const MethodDescriptor& method) { return method.service()->name() + "." + method.name(); }

std::unique_ptr<Message> RequestOf(const MethodDescriptor& method, const Row& row) {
  std::unique_ptr<Message> request(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.input_type())->New());
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(row.request, request.get())) << row.method;
  return request;
}

void Show(grpc::ClientContext& context, const std::optional<std::string>& token) {
  if (token) context.AddMetadata("authorization", "Bearer " + *token);
  context.set_deadline(std::chrono::system_clock::now() + 20s);
}

class Roles : public ::testing::Test {
 protected:
  Roles() {
    for (const auto& [role, token] : kTokens) callers_.SetTokens(role, {token});
    EXPECT_TRUE(server_.Start().ok());
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_.port()), grpc::InsecureChannelCredentials());
  }

  // How one call ends, of whatever shape: one message, the end of the requests, all answers read.
  absl::Status Ask(const MethodDescriptor& method, const Message& request, const std::optional<std::string>& token) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    Show(context, token);
    grpc::CompletionQueue queue;
    const auto step = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto call = stub.PrepareCall(&context, "/" + method.service()->full_name() + "/" + method.name(), &queue);
    call->StartCall(nullptr);
    step();
    const grpc::Slice bytes(request.SerializeAsString());
    call->WriteLast(grpc::ByteBuffer(&bytes, 1), {}, nullptr);
    step();
    grpc::ByteBuffer answer;
    do {
      call->Read(&answer, nullptr);
    } while (step());
    grpc::Status status;
    call->Finish(&status, nullptr);
    step();
    return grpc_status::FromGrpc(status);
  }

  testing::RpcWorld world_;
  Callers callers_{CertificateNames{}};
  rpc::RpcServer server_{"127.0.0.1:0",
                         {world_.operations, world_.executor, world_.metrics, &callers_},
                         world_.watches,
                         world_.broadcasts};
  std::shared_ptr<grpc::Channel> channel_;
};

// Whether the answer is one of those that tell who called that they may not.
bool IsDenial(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason == "ROLE_REQUIRED" || reason == "CREDENTIALS_MISSING" || reason == "CREDENTIALS_UNKNOWN";
}

TEST_F(Roles, EveryRpcHasARow) {
  std::set<std::string> methods;
  for (const MethodDescriptor* method : AllMethods()) methods.insert(ShortName(*method));
  EXPECT_GT(methods.size(), 25u);
  std::set<std::string> rows;
  for (const Row& row : kRows) rows.insert(row.method);
  EXPECT_EQ(methods, rows);
}

TEST_F(Roles, EveryRpcAsksForItsRole) {
  for (const MethodDescriptor* method : AllMethods()) {
    for (const Row& row : kRows) {
      if (ShortName(*method) != row.method) continue;
      const std::unique_ptr<Message> request = RequestOf(*method, row);
      const absl::Status as_admin = Ask(*method, *request, kTokens.at(Role::kAdmin));
      EXPECT_FALSE(IsDenial(as_admin)) << row.method << as_admin;
      if (absl::IsUnimplemented(as_admin)) continue;  // there is nothing to guard yet
      const absl::Status as_nobody = Ask(*method, *request, std::nullopt);
      EXPECT_TRUE(absl::IsUnauthenticated(as_nobody)) << row.method << as_nobody;
      EXPECT_EQ(ReasonOf(as_nobody), "CREDENTIALS_MISSING") << row.method;
      const absl::Status as_stranger = Ask(*method, *request, "a token that nobody has");
      EXPECT_TRUE(absl::IsUnauthenticated(as_stranger)) << row.method << as_stranger;
      EXPECT_EQ(ReasonOf(as_stranger), "CREDENTIALS_UNKNOWN") << row.method;
      for (const Role role : {Role::kEdge, Role::kBackend}) {
        const absl::Status status = Ask(*method, *request, kTokens.at(role));
        SCOPED_TRACE(std::string(row.method) + " {" + row.request + "} as " + NameOf(role));
        if (role >= row.least) {
          EXPECT_FALSE(IsDenial(status)) << status;
          EXPECT_EQ(status.code(), as_admin.code()) << status;
        } else {
          EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
          EXPECT_EQ(ReasonOf(status), "ROLE_REQUIRED");
          EXPECT_EQ(MetadataOf(status)["role"], NameOf(row.least));
        }
      }
    }
  }
  EXPECT_GT(world_.metrics.denied_role.Value(), 0);
  EXPECT_GT(world_.metrics.denied_unknown.Value(), 0);
}

// Whatever the rows say of a request holds for it as a call in the batched stream.
TEST_F(Roles, EveryCallInTheBatchedStreamAsksForItsRole) {
  const auto* op = internal::v1::Call::descriptor()->FindOneofByName("op");
  ASSERT_NE(op, nullptr);
  const auto stub = internal::v1::ExchangeService::NewStub(channel_);
  for (const Role role : {Role::kEdge, Role::kBackend, Role::kAdmin}) {
    std::map<std::uint64_t, const Row*> asked;
    internal::v1::ExchangeRequest batch;
    std::set<std::string> ops;
    for (const MethodDescriptor* method : AllMethods()) {
      for (const Row& row : kRows) {
        if (ShortName(*method) != row.method) continue;
        for (int i = 0; i < op->field_count(); ++i) {
          if (op->field(i)->message_type() != method->input_type()) continue;
          internal::v1::Call& call = *batch.add_calls();
          call.set_id(asked.size() + 1);
          call.set_timeout_ms(20'000);
          call.GetReflection()->MutableMessage(&call, op->field(i))->CopyFrom(*RequestOf(*method, row));
          asked.emplace(call.id(), &row);
          ops.insert(op->field(i)->name());
        }
      }
    }
    EXPECT_EQ(ops.size(), static_cast<std::size_t>(op->field_count()));
    grpc::ClientContext context;
    Show(context, kTokens.at(role));
    const auto stream = stub->Exchange(&context);
    ASSERT_TRUE(stream->Write(batch));
    stream->WritesDone();
    internal::v1::ExchangeResponse response;
    while (stream->Read(&response)) {
      for (const internal::v1::Reply& reply : response.replies()) {
        const Row& row = *asked.at(reply.id());
        asked.erase(reply.id());
        const absl::Status status = reply.has_status() ? grpc_status::FromProto(reply.status()) : absl::OkStatus();
        EXPECT_EQ(ReasonOf(status) == "ROLE_REQUIRED", role < row.least)
            << row.method << " {" << row.request << "} as " << NameOf(role) << ": " << status;
      }
    }
    EXPECT_TRUE(stream->Finish().ok());
    EXPECT_THAT(asked, IsEmpty());
  }
}

TEST_F(Roles, HealthAsksForNone) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  Show(context, std::nullopt);
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer nothing = [] {
    const grpc::Slice empty;
    return grpc::ByteBuffer(&empty, 1);
  }();
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", nothing, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(Roles, ATokenThatIsWithdrawnEndsTheStreamsThatStoodOnIt) {
  const auto exchange_stub = internal::v1::ExchangeService::NewStub(channel_);
  const auto session_stub = session::v1::SessionService::NewStub(channel_);
  const auto broadcast_stub = broadcast::v1::BroadcastService::NewStub(channel_);
  grpc::ClientContext of_exchange, of_watch, of_subscribe, of_other;
  for (grpc::ClientContext* context : {&of_exchange, &of_watch, &of_subscribe}) {
    Show(*context, kTokens.at(Role::kEdge));
  }
  Show(of_other, kTokens.at(Role::kBackend));
  const auto exchange = exchange_stub->Exchange(&of_exchange);
  const auto watch = session_stub->WatchSessions(&of_watch);
  const auto subscribe = broadcast_stub->Subscribe(&of_subscribe);
  const auto other = exchange_stub->Exchange(&of_other);
  exchange->WaitForInitialMetadata();
  watch->WaitForInitialMetadata();
  subscribe->WaitForInitialMetadata();
  other->WaitForInitialMetadata();

  callers_.SetTokens(Role::kEdge, {"the next token of an edge"});
  world_.OnCore([this] { server_.RecheckCallers(); });
  internal::v1::ExchangeResponse exchanged;
  ASSERT_TRUE(exchange->Read(&exchanged));
  EXPECT_TRUE(exchanged.go_away());
  session::v1::WatchSessionsResponse watched;
  ASSERT_TRUE(watch->Read(&watched));
  EXPECT_TRUE(watched.go_away());
  broadcast::v1::SubscribeResponse subscribed;
  ASSERT_TRUE(subscribe->Read(&subscribed));
  EXPECT_TRUE(subscribed.go_away());
  EXPECT_FALSE(exchange->Read(&exchanged));
  EXPECT_EQ(exchange->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_FALSE(watch->Read(&watched));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_FALSE(subscribe->Read(&subscribed));
  EXPECT_EQ(subscribe->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);

  // Others are left alone.
  internal::v1::ExchangeRequest request;
  internal::v1::Call& call = *request.add_calls();
  call.set_id(1);
  call.set_timeout_ms(20'000);
  call.mutable_resolve_cookie();
  ASSERT_TRUE(other->Write(request));
  ASSERT_TRUE(other->Read(&exchanged));
  EXPECT_FALSE(exchanged.go_away());
  EXPECT_EQ(exchanged.replies_size(), 1);
  other->WritesDone();
  EXPECT_FALSE(other->Read(&exchanged));
  EXPECT_TRUE(other->Finish().ok());
}

}  // namespace
}  // namespace sesior::session
