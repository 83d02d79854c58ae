// ResponseParser: any way of cutting the bytes gives the same answers and the same end, and an answer that was
// accepted, written out again, is read as itself. The first byte chooses the cuts and the method asked with.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sesior/base/check.hpp"
#include "sesior/http/response_parser.hpp"

using namespace sesior::http;

namespace {

using Result = ResponseParser::Result;
constexpr ResponseParser::Limits kLimits{1024, 512};

struct Outcome {
  std::vector<std::string> answers;
  Result last = Result::kNeedMore;
  std::string left;
};

Outcome Read(std::string_view bytes, std::size_t piece, Method method) {
  Outcome outcome;
  ResponseParser parser(kLimits);
  parser.Begin(method);
  Request request;
  request.method = method;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (!part.empty()) {
      outcome.last = parser.Feed(part);
      if (outcome.last == Result::kError) return outcome;
      if (outcome.last == Result::kUpgraded) {
        outcome.left = parser.head() + std::string(part) + std::string(bytes);
        return outcome;
      }
      SESIOR_CHECK(outcome.last == Result::kComplete || part.empty());
      if (outcome.last != Result::kComplete) continue;
      const bool close = !parser.keep_alive();
      outcome.answers.push_back(parser.Take().Serialize(request, close));
      parser.Begin(method);
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Method method = (data[0] & 1) != 0 ? Method::kGet : Method::kHead;
  const std::size_t step = data[0] / 2 % 61 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = Read(bytes, size, method);
  for (const std::size_t piece : {std::size_t{1}, step}) {
    const Outcome cut = Read(bytes, piece, method);
    SESIOR_CHECK(cut.answers == whole.answers && cut.last == whole.last && cut.left == whole.left);
  }
  if (method == Method::kHead) return 0;  // what would stand behind it is written without a length that counts
  for (const std::string& answer : whole.answers) {
    // Written out it may be longer than it came: blanks, and a length of zero.
    if (answer.size() > kLimits.head_bytes) continue;
    const Outcome again = Read(answer, answer.size(), method);
    SESIOR_CHECK(again.answers.size() == 1 && again.answers[0] == answer);
  }
  return 0;
}
