// The table of errors (proto/README.md), row by row over real gRPC and a real Redis: code, reason, field, and what else
// a caller can act on. Bad input leaves the record as it was.
#include <atomic>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "sesior/base/error_metadata.hpp"
#include "sesior/presence/v1/presence.grpc.pb.h"
#include "tests/integration/session/replica.hpp"
#include "tests/integration/session/stub_call.hpp"
#include "tests/support/redis_server.hpp"

namespace sesior::testing {
namespace {

namespace v1 = session::v1;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using enum absl::StatusCode;

class Errors : public ::testing::Test {
 protected:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (SessionStub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    return CallStub(*stub_, method, request, &last_);
  }
  v1::CreateSessionResponse Create(const std::string& data = "") {
    v1::CreateSessionRequest request;
    request.set_data_json(data);
    auto response = Call(&SessionStub::CreateSession, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return *response;
  }
  static v1::UpdateSessionRequest PatchOf(const std::string& id, const std::string& patch) {
    v1::UpdateSessionRequest request;
    request.mutable_session()->set_session_id(id);
    request.set_merge_patch_json(patch);
    return request;
  }
  static void AddClaim(const std::string& value, v1::UpdateSessionRequest& request,
                       const std::string& name_space = "userName") {
    v1::Claim& claim = *request.add_claims();
    claim.set_namespace_(name_space);
    claim.set_value(value);
    claim.set_member("userName");
  }
  absl::Status Update(const v1::UpdateSessionRequest& request) {
    return Call(&SessionStub::UpdateSession, request).status();
  }
  absl::Status GetById(const std::string& id) {
    v1::GetSessionRequest request;
    request.mutable_session()->set_session_id(id);
    return Call(&SessionStub::GetSession, request).status();
  }
  absl::Status GetByCookie(const std::string& header) {
    v1::GetSessionRequest request;
    request.mutable_session()->set_cookie_header(header);
    return Call(&SessionStub::GetSession, request).status();
  }

  // What every error must be like; `id` must not be told.
  void Expect(const absl::Status& status, absl::StatusCode code, const char* reason, const char* field,
              const std::string& id = "no such id") {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(ReasonOf(status), reason) << status;
    EXPECT_EQ(DetailsOf(status).field, field) << status;
    EXPECT_THAT(last_.error_message(), Not(HasSubstr(id)));
    EXPECT_THAT(last_.error_details(), Not(HasSubstr(id)));
    internal::v1::Status details;
    ASSERT_TRUE(details.ParseFromString(last_.error_details())) << reason;
    std::set<std::string> types;
    for (const google::protobuf::Any& any : details.details()) {
      types.insert(any.type_url());
      internal::v1::ErrorInfo info;
      if (!any.type_url().ends_with("ErrorInfo")) continue;
      ASSERT_TRUE(info.ParseFromString(any.value()));
      EXPECT_EQ(info.domain(), "sesior");
    }
    const auto has = [&types](const char* name) {
      return types.contains(std::string("type.googleapis.com/google.rpc.") + name);
    };
    EXPECT_TRUE(has("ErrorInfo")) << reason;
    EXPECT_EQ(has("BadRequest"), *field != '\0') << reason;
    EXPECT_EQ(has("QuotaFailure"), code == kResourceExhausted) << reason;
    EXPECT_EQ(has("RetryInfo"), code == kUnavailable || std::string(reason) == "CREATE_RATE") << reason;
  }

  RedisServer redis_{true};
  Replica replica_{redis_.url(), {"--cookie-secret=keyboard cat", "--create-rate-per-address=1"}};
  std::unique_ptr<SessionStub> stub_ = StubFor(replica_.address());
  grpc::Status last_;
};

TEST_F(Errors, OfASessionThatIsNotThere) {
  Expect(GetById("nobody"), kNotFound, "SESSION_NOT_FOUND", "");
  Expect(Update(PatchOf("nobody", "{}")), kNotFound, "SESSION_NOT_FOUND", "");
  const std::string id = Create().session().session_id();
  v1::DestroySessionRequest destroy;
  destroy.mutable_session()->set_session_id(id);
  destroy.set_reason(v1::END_REASON_LOGOUT);
  ASSERT_TRUE(Call(&SessionStub::DestroySession, destroy).ok());
  const absl::Status destroyed = GetById(id);
  Expect(destroyed, kNotFound, "SESSION_DESTROYED", "", id);
  EXPECT_EQ(MetadataOf(destroyed)["end_reason"], absl::StrCat(v1::END_REASON_LOGOUT));

  // Who holds the old id of a session learns nothing of the new one.
  const std::string old_id = Create().session().session_id();
  v1::RegenerateSessionRequest regenerate;
  regenerate.mutable_session()->set_session_id(old_id);
  regenerate.set_reason(v1::END_REASON_LOGIN);
  const auto renewed = Call(&SessionStub::RegenerateSession, regenerate);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  for (const absl::Status& status : {GetById(old_id), Update(PatchOf(old_id, R"({"a":1})")),
                                     Call(&SessionStub::RegenerateSession, regenerate).status()}) {
    Expect(status, kNotFound, "SESSION_DESTROYED", "", renewed->session().session_id());
  }
  EXPECT_THAT(redis_.Command({"GET", "sesior:tomb:{sess:" + old_id + "}"}),
              Not(HasSubstr(renewed->session().session_id())));

  v1::CreateSessionRequest brief;
  brief.mutable_absolute_ttl()->set_nanos(1'000'000);
  const auto created = Call(&SessionStub::CreateSession, brief);
  ASSERT_TRUE(created.ok()) << created.status();
  // Express keeps it alive.
  const std::string brief_id = created->session().session_id();
  redis_.Command({"SET", "sess:" + brief_id, R"({"cookie":{}})", "EX", "100"});
  ASSERT_TRUE(WaitFor([&] { return absl::IsNotFound(GetById(brief_id)); }));
  Expect(GetById(brief_id), kNotFound, "SESSION_EXPIRED", "", brief_id);
}

TEST_F(Errors, OfAVersionThatIsNotThePresentOne) {
  const v1::Session session = Create(R"({"a":1})").session();
  v1::UpdateSessionRequest request = PatchOf(session.session_id(), R"({"a":2})");
  request.set_etag("\"" + std::string(40, '0') + "\"");
  absl::Status status = Update(request);
  Expect(status, kAborted, "ETAG_MISMATCH", "etag", session.session_id());
  EXPECT_EQ(MetadataOf(status)["current_etag"], session.etag());
  v1::DestroySessionRequest destroy;
  destroy.mutable_session()->set_session_id(session.session_id());
  destroy.set_etag(request.etag());
  status = Call(&SessionStub::DestroySession, destroy).status();
  Expect(status, kAborted, "ETAG_MISMATCH", "etag", session.session_id());
  EXPECT_EQ(MetadataOf(status)["current_etag"], session.etag());
  request.set_etag("v1");
  Expect(Update(request), kInvalidArgument, "INVALID_FIELD", "etag");
  EXPECT_THAT(redis_.Command({"GET", "sess:" + session.session_id()}), HasSubstr(R"("a":1)"));
}

TEST_F(Errors, OfAWriterThatOthersKeepOut) {
  const std::string id = Create().session().session_id();
  std::atomic<bool> enough{false};
  std::vector<std::thread> foreign;
  for (int i = 0; i < 3; ++i) {
    foreign.emplace_back([&, i] {
      for (int n = 0; !enough; ++n) {
        redis_.Command({"SET", "sess:" + id, absl::StrCat(R"({"cookie":{},"n":")", i, ".", n, "\"}"), "EX", "100"});
      }
    });
  }
  absl::Status status;
  EXPECT_TRUE(WaitFor([&] { return !(status = Update(PatchOf(id, R"({"ours":1})"))).ok(); }));
  enough = true;
  for (std::thread& thread : foreign) thread.join();
  Expect(status, kAborted, "WRITE_CONFLICT", "", id);
  EXPECT_EQ(MetadataOf(status)["current_etag"].size(), 42U);
  EXPECT_TRUE(Update(PatchOf(id, R"({"ours":2})")).ok());
}

TEST_F(Errors, OfACookie) {
  const std::string header = Create().set_cookie();
  const std::string cookie = header.substr(0, header.find(';'));
  EXPECT_TRUE(GetByCookie(cookie).ok());
  for (const char* bad : {"", "other=1", "connect.sid=", "connect.sid=x", "connect.sid=s%3A"}) {
    Expect(GetByCookie(bad), kUnauthenticated, "COOKIE_MALFORMED", "");
  }
  // In the id, whose characters are never escaped: half an escape would be a malformed cookie.
  std::string forged = cookie;
  char& first_of_id = forged[std::string_view("connect.sid=s%3A").size()];
  first_of_id = first_of_id == 'A' ? 'B' : 'A';
  Expect(GetByCookie(forged), kUnauthenticated, "SIGNATURE_INVALID", "");
  v1::DestroySessionRequest logout;
  logout.mutable_session()->set_cookie_header(forged);
  const absl::Status status = Call(&SessionStub::DestroySession, logout).status();
  Expect(status, kUnauthenticated, "SIGNATURE_INVALID", "");
  EXPECT_EQ(MetadataOf(status)["clear_cookie"], "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly")
      << "so that the browser forgets it all the same";
}

TEST_F(Errors, OfBadInputNameTheMemberAndChangeNothing) {
  const std::string id = Create(R"({"a":1})").session().session_id();
  v1::UpdateSessionRequest ann = PatchOf(Create().session().session_id(), "{}");
  AddClaim("ann", ann);
  ASSERT_TRUE(Update(ann).ok());
  const std::string before = redis_.Command({"GET", "sess:" + id});

  const std::string deep = absl::StrCat(R"({"ok":1,"deep":)", std::string(33, '['), std::string(33, ']'), "}");
  const std::string large = absl::StrCat(R"({"ok":1,"large":")", std::string(70'000, 'x'), "\"}");
  const struct {
    std::string patch;
    absl::StatusCode code;
    const char* reason;
    const char* field;
  } patches[] = {
      {"[1]", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
      {"\"x\"", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
      {"{", kInvalidArgument, "INVALID_PATCH", "merge_patch_json"},
      {deep, kInvalidArgument, "INVALID_PATCH", "deep"},
      {R"({"a":2,"cookie":null})", kInvalidArgument, "RESERVED_MEMBER", "cookie"},
      {R"({"a":2,"__proto__":{}})", kInvalidArgument, "RESERVED_MEMBER", "__proto__"},
      {R"({"a":2,"userName":"x"})", kInvalidArgument, "CLAIMED_MEMBER", "userName"},
      {large, kResourceExhausted, "RECORD_TOO_LARGE", "large"},
  };
  for (const auto& row : patches) {
    Expect(Update(PatchOf(id, row.patch)), row.code, row.reason, row.field, id);
    v1::CreateSessionRequest create;
    create.set_data_json(row.patch);
    Expect(Call(&SessionStub::CreateSession, create).status(), row.code, row.reason, row.field);
    EXPECT_EQ(redis_.Command({"GET", "sess:" + id}), before) << row.patch.substr(0, 60);
  }

  v1::UpdateSessionRequest request = PatchOf(id, R"({"a":2})");
  AddClaim("ann", request);
  Expect(Update(request), kAlreadyExists, "CLAIM_TAKEN", "userName", id);
  request.clear_claims();
  AddClaim("", request);
  Expect(Update(request), kInvalidArgument, "INVALID_FIELD", "claims.value");
  request.clear_claims();
  AddClaim("x", request, "a b");
  Expect(Update(request), kInvalidArgument, "INVALID_FIELD", "claims.namespace");
  request.clear_claims();
  request.set_request_id("a b");
  Expect(Update(request), kInvalidArgument, "INVALID_FIELD", "request_id");
  request.clear_request_id();
  request.mutable_announcement()->mutable_broadcast()->set_namespace_("nowhere");
  Expect(Update(request), kInvalidArgument, "INVALID_FIELD", "broadcast.namespace");
  EXPECT_EQ(redis_.Command({"GET", "sess:" + id}), before);
}

TEST_F(Errors, OfAClientThatMakesSessionsTooFast) {
  v1::CreateSessionRequest request;
  request.mutable_device()->set_address("192.0.2.1");
  ASSERT_TRUE(Call(&SessionStub::CreateSession, request).ok());
  const absl::Status status = Call(&SessionStub::CreateSession, request).status();
  Expect(status, kResourceExhausted, "CREATE_RATE", "device.address", "192.0.2.1");
  EXPECT_GT(DetailsOf(status).retry_after, std::chrono::seconds(20));
  request.mutable_device()->set_address("192.0.2.2");
  EXPECT_TRUE(Call(&SessionStub::CreateSession, request).ok());
  EXPECT_TRUE(WaitFor([this] {
    return replica_.MetricsText().find(R"(sesior_session_creates_refused_total{limit="address"} 1)") !=
           std::string::npos;
  })) << replica_.MetricsText();
}

TEST_F(Errors, OfARecordThatIsNone) {
  for (const char* record : {"not json", "[]", "{}", R"({"cookie":null})", "\xff\xfe", "1"}) {
    redis_.Command({"SET", "sess:bad-record", record, "EX", "100"});
    Expect(GetById("bad-record"), kDataLoss, "RECORD_CORRUPT", "", "bad-record");
    Expect(Update(PatchOf("bad-record", R"({"a":1})")), kDataLoss, "RECORD_CORRUPT", "", "bad-record");
    EXPECT_EQ(redis_.Command({"GET", "sess:bad-record"}), record);
  }
  redis_.Command({"RPUSH", "sess:bad-type", "x"});
  Expect(GetById("bad-type"), kDataLoss, "RECORD_CORRUPT", "", "bad-type");
  Expect(Update(PatchOf("bad-type", R"({"a":1})")), kDataLoss, "RECORD_CORRUPT", "", "bad-type");
  EXPECT_EQ(redis_.Command({"LRANGE", "sess:bad-type", "0", "-1"}), "x");
}

TEST_F(Errors, OfALeaseThatIsOver) {
  const std::string id = Create().session().session_id();
  const auto presence = presence::v1::PresenceService::NewStub(
      grpc::CreateChannel(replica_.address(), grpc::InsecureChannelCredentials()));
  presence::v1::EnterRequest enter;
  enter.set_replica_id("r1");
  enter.set_namespace_("/");
  enter.set_session_id(id);
  enter.set_key("ann");
  Expect(CallStub(*presence, &presence::v1::PresenceService::Stub::Enter, enter, &last_).status(), kFailedPrecondition,
         "LEASE_EXPIRED", "replica_id", id);
}

TEST_F(Errors, OfARedisThatIsAway) {
  const v1::CreateSessionResponse created = Create();
  redis_.Kill();
  ASSERT_TRUE(WaitFor([this] { return !replica_.serving(); }));
  const std::string& id = created.session().session_id();
  Expect(GetById(id), kUnavailable, "REDIS_UNAVAILABLE", "", id);
  Expect(Update(PatchOf(id, R"({"a":1})")), kUnavailable, "REDIS_UNAVAILABLE", "", id);
  v1::ResolveCookieRequest resolve;
  resolve.set_cookie_header(created.set_cookie().substr(0, created.set_cookie().find(';')));
  Expect(Call(&SessionStub::ResolveCookie, resolve).status(), kUnavailable, "REDIS_UNAVAILABLE", "", id);
}

}  // namespace
}  // namespace sesior::testing
