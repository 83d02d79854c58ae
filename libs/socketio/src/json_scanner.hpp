// JsonScanner: one pass over JSON text, checking its grammar and its UTF-8, nothing kept.
// Recursion is bounded by kMaxJsonDepth. Private to the library.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace sesior::socketio {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : p_(text.data()), end_(text.data() + text.size()) {}

  // A placeholder, the number in it as written, and which attachment it means.
  struct Placeholder {
    std::string_view object;
    std::string_view num;
    std::size_t attachment;
  };
  // From now on every {"_placeholder":true,"num":N} must have an integer N with 0 <= N < attachments; `found`, unless
  // it is null, gets them, those inside others first.
  void CheckPlaceholders(std::size_t attachments, std::vector<Placeholder>* found = nullptr) {
    check_placeholders_ = true;
    attachments_ = attachments;
    found_ = found;
  }

  // Takes the blanks and then `c`, or only the blanks.
  bool Take(char c);
  // Takes the blanks; is everything taken?
  bool AtEnd();
  // Takes one value, with the blanks in front of it, and tells where it stands, without them. `depth`: in how many
  // containers it stands. False: there is none; the position is then unspecified.
  bool Value(std::string_view& slice, int depth = 0);

 private:
  bool Value(int depth);
  bool Object(int depth);
  bool Array(int depth);
  bool String();
  bool Number();
  bool Literal(std::string_view word);
  bool Digits();
  void Blanks();

  const char* p_;
  const char* end_;
  bool check_placeholders_ = false;
  std::size_t attachments_ = 0;
  std::vector<Placeholder>* found_ = nullptr;
};

// Takes one UTF-8 sequence of more than one byte at `p`; null: it is none.
const char* TakeUtf8(const char* p, const char* end);

}  // namespace sesior::socketio
