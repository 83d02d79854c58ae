#include "services/session/domain/callers.hpp"

#include "gtest/gtest.h"
#include "sesior/base/error.hpp"
#include "sesior/base/ids.hpp"

namespace sesior::session {
namespace {

ShownCredentials Token(const std::string& token) {
  ShownCredentials shown;
  shown.token_sha256 = Sha256Hex(token);
  return shown;
}

TEST(Callers, ATokenGivesItsRoleAsLongAsItIsListed) {
  Callers callers({});
  callers.SetTokens(Role::kEdge, {"old edge", "new edge"});
  callers.SetTokens(Role::kAdmin, {"admin"});
  EXPECT_EQ(*callers.RoleOf(Token("old edge")), Role::kEdge);
  EXPECT_EQ(*callers.RoleOf(Token("new edge")), Role::kEdge);
  EXPECT_EQ(*callers.RoleOf(Token("admin")), Role::kAdmin);
  callers.SetTokens(Role::kEdge, {"new edge"});
  EXPECT_EQ(ReasonOf(callers.RoleOf(Token("old edge")).status()), "CREDENTIALS_UNKNOWN");
  EXPECT_EQ(*callers.RoleOf(Token("admin")), Role::kAdmin) << "other roles keep theirs";
  for (const char* bad : {"", "admi", "admin ", "Admin"}) EXPECT_FALSE(callers.RoleOf(Token(bad)).ok()) << bad;
}

TEST(Callers, ATokenOfTwoRolesHasTheLower) {
  Callers callers({});
  callers.SetTokens(Role::kAdmin, {"both"});
  callers.SetTokens(Role::kBackend, {"both"});
  EXPECT_EQ(*callers.RoleOf(Token("both")), Role::kBackend);
}

TEST(Callers, ACertificateGivesTheHighestRoleOfItsNames) {
  const Callers callers({.edge = {"sesior-rest", "spiffe://x/rt"}, .backend = {"billing"}, .admin = {"ops"}});
  EXPECT_EQ(callers.RoleOfCertificate({"sesior-rest.default.svc", "sesior-rest"}), Role::kEdge);
  EXPECT_EQ(callers.RoleOfCertificate({"spiffe://x/rt", "billing"}), Role::kBackend);
  EXPECT_EQ(callers.RoleOfCertificate({"ops"}), Role::kAdmin);
  for (const char* bad : {"", "OPS", "ops.example.com", "op"}) {
    EXPECT_EQ(callers.RoleOfCertificate({bad}), Role::kNone) << bad;
  }
}

TEST(Callers, WhatIsShownTogetherGivesTheHigherRole) {
  Callers callers({.edge = {"rest"}, .backend = {}, .admin = {}});
  callers.SetTokens(Role::kBackend, {"backend"});
  ShownCredentials both = Token("backend");
  both.certificate = true;
  both.by_certificate = Role::kEdge;
  EXPECT_EQ(*callers.RoleOf(both), Role::kBackend);
  both.token_sha256 = Sha256Hex("nobody's");
  EXPECT_EQ(ReasonOf(callers.RoleOf(both).status()), "CREDENTIALS_UNKNOWN");
  both.token_sha256.reset();
  EXPECT_EQ(*callers.RoleOf(both), Role::kEdge);
  EXPECT_EQ(ReasonOf(callers.RoleOf({}).status()), "CREDENTIALS_MISSING");
  ShownCredentials nameless;
  nameless.certificate = true;
  EXPECT_EQ(ReasonOf(callers.RoleOf(nameless).status()), "CREDENTIALS_UNKNOWN");
}

}  // namespace
}  // namespace sesior::session
