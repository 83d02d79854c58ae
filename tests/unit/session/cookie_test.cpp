#include "services/session/domain/cookie.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"

namespace sesior::session {
namespace {

using std::chrono_literals::operator""ms;

// A cookie that express-session 1.19 made.
constexpr char kSecret[] = "keyboard cat";
constexpr char kId[] = "8d88JCadsQco-apkDj-Z6Iu838GB5P40";
constexpr char kSignature[] = "PtWVVN4txDKP8QLIPoGQF9JZXvQaMpT1o9i4d/5fjJc";
const std::string kRaw = absl::StrCat("s:", kId, ".", kSignature);
constexpr char kEncoded[] = "s%3A8d88JCadsQco-apkDj-Z6Iu838GB5P40.PtWVVN4txDKP8QLIPoGQF9JZXvQaMpT1o9i4d%2F5fjJc";

std::string EveryByteEncoded(const std::string& text) {
  std::string out;
  for (const char c : text) absl::StrAppend(&out, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  return out;
}

TEST(CookieSigner, SignsAsCookieSignatureDoes) {
  CookieSigner signer({kSecret});
  EXPECT_EQ(signer.Sign(SessionId(kId)), kRaw);
  EXPECT_EQ(signer.Sign(SessionId(kId)), kRaw) << "the keyed state can be used again";
}

struct Row {
  const char* what;
  std::string header;
  CookieVerdict verdict;
};

TEST(CookieSigner, JudgesAsExpressDoes) {
  CookieSigner signer({kSecret});
  const std::string encoded = kEncoded;
  const std::string cookie = absl::StrCat("connect.sid=", kEncoded);
  // Signed by us, so that only the feature under test can be wrong.
  const std::string long_id(256, 'a');
  const std::string too_long_id(257, 'a');
  const auto signed_header = [&](const std::string& id) {
    return absl::StrCat("connect.sid=", EncodeUriComponent(signer.Sign(SessionId(id))));
  };
  using enum CookieVerdict;
  const std::vector<Row> rows = {
      // In.
      {"normal", cookie, kGood},
      {"lower-case %3a", absl::StrReplaceAll(cookie, {{"%3A", "%3a"}}), kGood},
      {"every byte encoded", absl::StrCat("connect.sid=", EveryByteEncoded(kRaw)), kGood},
      {"not encoded at all", absl::StrCat("connect.sid=", kRaw), kGood},
      {"in double quotes", absl::StrCat("connect.sid=\"", kEncoded, "\""), kGood},
      {"blanks and tabs around", absl::StrCat("a=b; \t connect.sid \t=\t ", kEncoded, " \t ; c=d"), kGood},
      {"two cookies, first good", absl::StrCat(cookie, "; connect.sid=s%3Abad.bad"), kGood},
      {"two header lines, joined", absl::StrCat("x=1; ", cookie, "; connect.sid=other"), kGood},
      {"a piece without = before it", absl::StrCat("junk; ", cookie), kGood},
      {"a cookie with = in its value before it", absl::StrCat("a==b=c; ", cookie), kGood},
      {"id of 256 characters", signed_header(long_id), kGood},
      {"id with dots", signed_header("a.b.c"), kGood},
      // Out.
      {"encoded twice", absl::StrCat("connect.sid=", EncodeUriComponent(encoded)), kMalformed},
      {"%00 appended", absl::StrCat(cookie, "%00"), kBadSignature},
      {"%20 appended", absl::StrCat(cookie, "%20"), kBadSignature},
      {".x appended", absl::StrCat(cookie, ".x"), kBadSignature},
      {"a lone %", absl::StrCat(cookie, "%"), kMalformed},
      {"%zz", absl::StrCat(cookie, "%zz"), kMalformed},
      {"encoded invalid UTF-8", absl::StrCat(cookie, "%ff"), kMalformed},
      {"encoded overlong UTF-8", absl::StrCat(cookie, "%c0%80"), kMalformed},
      {"encoded surrogate", absl::StrCat(cookie, "%ed%a0%80"), kMalformed},
      {"= padding", absl::StrCat(cookie, "="), kBadSignature},
      {"url-safe alphabet", absl::StrCat("connect.sid=s:", kId, ".", absl::StrReplaceAll(kSignature, {{"/", "_"}})),
       kBadSignature},
      {"one character less", cookie.substr(0, cookie.size() - 1), kBadSignature},
      {"one character more", absl::StrCat(cookie, "A"), kBadSignature},
      {"unused bits of the last character", absl::StrCat(cookie.substr(0, cookie.size() - 1), "d"), kBadSignature},
      {"no s:", absl::StrCat("connect.sid=", kId, ".", kSignature), kMalformed},
      {"S:", absl::StrCat("connect.sid=S:", kId, ".", kSignature), kMalformed},
      {"j:", "connect.sid=j%3A%22x%22", kMalformed},
      {"bare id", absl::StrCat("connect.sid=", kId), kMalformed},
      {"other case of the name", absl::StrCat("Connect.sid=", kEncoded), kAbsent},
      {"first bad, second good", absl::StrCat("connect.sid=s%3Abad.bad; ", cookie), kBadSignature},
      {"first empty, second good", absl::StrCat("connect.sid=; ", cookie), kAbsent},
      {"first only a quote", absl::StrCat("connect.sid=\"; ", cookie), kAbsent},
      {"comma instead of semicolon", absl::StrCat("a=b, ", cookie), kAbsent},
      {"comma behind", absl::StrCat(cookie, ", a=b"), kBadSignature},
      {"signed empty id", absl::StrCat("connect.sid=s:.", kSignature), kMalformed},
      {"+ as blank", absl::StrCat("connect.sid=s%3A", kId, "+.", kSignature), kBadSignature},
      {"no dot", "connect.sid=s%3Aabc", kMalformed},
      {"only s:", "connect.sid=s%3A", kMalformed},
      // Stricter than Express, on ids that it never makes.
      {"id of 257 characters", signed_header(too_long_id), kMalformed},
      {"id with a blank", signed_header("a b"), kMalformed},
      {"id with a NUL", signed_header(std::string("a\0b", 3)), kMalformed},
      {"id beyond ASCII", signed_header("\xc3\xa9"), kMalformed},
      {"id with braces", signed_header("{a}"), kMalformed},
      // No cookie.
      {"no header", "", kAbsent},
      {"other cookies", "a=b; c=d", kAbsent},
      {"only semicolons", ";;; ; =;", kAbsent},
      {"above 16 KiB", absl::StrCat(std::string(kMaxCookieHeaderBytes, 'x'), "=1; ", cookie), kMalformed},
  };
  for (const Row& row : rows) {
    const CookieReading reading = signer.Read(row.header, "connect.sid");
    EXPECT_EQ(reading.verdict, row.verdict) << row.what;
    EXPECT_EQ(reading.id.empty(), row.verdict != kGood) << row.what;
    EXPECT_FALSE(reading.retired) << row.what;
  }
}

TEST(CookieSigner, VerifiesByAnySecretAndSignsByTheFirst) {
  CookieSigner old_signer({"old"});
  CookieSigner signer({"new", "old"});
  const SessionId id(kId);
  const std::string old_header = absl::StrCat("connect.sid=", old_signer.Sign(id));
  const CookieReading by_old = signer.Read(old_header, "connect.sid");
  EXPECT_EQ(by_old.verdict, CookieVerdict::kGood);
  EXPECT_EQ(by_old.id, id);
  EXPECT_TRUE(by_old.retired) << "a new cookie is due";
  const CookieReading by_new = signer.Read(absl::StrCat("connect.sid=", signer.Sign(id)), "connect.sid");
  EXPECT_EQ(by_new.verdict, CookieVerdict::kGood);
  EXPECT_FALSE(by_new.retired);
  EXPECT_EQ(old_signer.Read(absl::StrCat("connect.sid=", signer.Sign(id)), "connect.sid").verdict,
            CookieVerdict::kBadSignature);
}

TEST(CookieSigner, DerivesOneIdFromOneRequest) {
  CookieSigner a({"secret"});
  CookieSigner b({"secret", "old"});
  CookieSigner other({"other"});
  const SessionId id = a.DeriveId("create", "request-1");
  EXPECT_EQ(id, b.DeriveId("create", "request-1"));
  EXPECT_EQ(id.text().size(), 32U);
  EXPECT_TRUE(IsUsableSessionId(id.text()));
  EXPECT_NE(id, a.DeriveId("create", "request-2"));
  EXPECT_NE(id, a.DeriveId("regenerate", "request-1"));
  EXPECT_NE(id, other.DeriveId("create", "request-1"));
}

TEST(SetCookie, IsWrittenAsExpressWritesIt) {
  CookieAttributes cookie;
  EXPECT_EQ(SetCookieText(cookie, kRaw, {}), absl::StrCat("connect.sid=", kEncoded, "; Path=/; HttpOnly"));
  cookie.same_site = CookieAttributes::SameSite::kLax;
  EXPECT_EQ(SetCookieText(cookie, "s:a.b+c", 1795405078952),
            "connect.sid=s%3Aa.b%2Bc; Path=/; Expires=Mon, 23 Nov 2026 03:37:58 GMT; HttpOnly; SameSite=Lax");
  cookie.domain = "example.com";
  cookie.secure = true;
  cookie.partitioned = true;
  cookie.priority = CookieAttributes::Priority::kHigh;
  cookie.same_site = CookieAttributes::SameSite::kNone;
  EXPECT_EQ(SetCookieText(cookie, "s:a.b", {}),
            "connect.sid=s%3Aa.b; Domain=example.com; Path=/; HttpOnly; Secure; Partitioned; Priority=High; "
            "SameSite=None");
}

TEST(SetCookie, ClearsWithTheSameAttributes) {
  CookieAttributes cookie;
  cookie.domain = "example.com";
  EXPECT_EQ(ClearCookieText(cookie),
            "connect.sid=; Domain=example.com; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly");
}

TEST(UriComponent, DecodesOnlyWhatJavaScriptDecodes) {
  EXPECT_EQ(DecodeUriComponent("a%20b%C3%A9%f0%9f%98%80"), "a b\xc3\xa9\xf0\x9f\x98\x80");
  for (const char* bad : {"%", "%1", "%zz", "%ff", "%c3", "%c3x", "%c3%41", "%ed%a0%80", "%c0%80", "%f5%80%80%80"}) {
    EXPECT_FALSE(DecodeUriComponent(bad)) << bad;
  }
  EXPECT_EQ(EncodeUriComponent("s:a/b+c=-_.!~*'()"), "s%3Aa%2Fb%2Bc%3D-_.!~*'()");
}

}  // namespace
}  // namespace sesior::session
