// NamePattern: a regular expression for names of namespaces. Private to the hub.
// Threading: immutable.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sesior::realtime::hub {

class NamePattern {
 public:
  // ECMAScript syntax. Aborts when `pattern` is none: it comes from the program, not from a client.
  explicit NamePattern(const std::string& pattern);

  // Does it match all of `name`? No, too, when that is too much work.
  bool Matches(std::string_view name) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace sesior::realtime::hub
