#include "services/realtime/hub/name_pattern.hpp"

#include <optional>

#include "sesior/base/check.hpp"

// With sanitizers g++ 12 takes a member of libstdc++'s regular expressions for uninitialized.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <regex>

namespace sesior::realtime::hub {

struct NamePattern::Compiled {
  std::regex regex;
};

NamePattern::NamePattern(const std::string& pattern) {
  std::optional<std::regex> regex;
  try {
    regex.emplace(pattern);
  } catch (const std::regex_error&) {  // said below
  }
  SESIOR_CHECK(regex.has_value());
  compiled_ = std::make_shared<const Compiled>(Compiled{*std::move(regex)});
}

bool NamePattern::Matches(std::string_view name) const {
  try {
    return std::regex_match(name.begin(), name.end(), compiled_->regex);
  } catch (const std::regex_error&) {
    return false;
  }
}

}  // namespace sesior::realtime::hub
