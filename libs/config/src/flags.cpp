#include "sesior/config/flags.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace sesior::config {

namespace {

using std::chrono::milliseconds;

std::optional<std::int64_t> ParseInt(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Unit {
  const char* suffix;
  std::int64_t millis;
};
constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};

std::optional<milliseconds> ParseDuration(const std::string& text) {
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits == std::string::npos || digits == 0 || digits > 12) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (text.substr(digits) == unit.suffix) return milliseconds(*ParseInt(text.substr(0, digits)) * unit.millis);
  }
  return std::nullopt;
}

std::string PrintDuration(milliseconds value) {
  const Unit* best = &kUnits[0];
  for (const Unit& unit : kUnits) {
    if (value.count() != 0 && value.count() % unit.millis == 0) best = &unit;
  }
  return absl::StrCat(value.count() / best->millis, best->suffix);
}

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> items;
  for (absl::string_view item : absl::StrSplit(text, absl::ByAnyChar(",\r\n"), absl::SkipWhitespace())) {
    items.emplace_back(absl::StripAsciiWhitespace(item));
  }
  return items;
}

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

std::string EnvironmentName(const std::string& prefix, const std::string& name) {
  std::string result = prefix;
  for (char c : name) result += c == '-' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c));
  return result;
}

}  // namespace

Flags::Flags(std::string program, std::string environment_prefix, std::string purpose)
    : program_(std::move(program)), prefix_(std::move(environment_prefix)), purpose_(std::move(purpose)) {}

void Flags::Add(std::string name, std::string* value, std::string help) {
  flags_.push_back({.name = std::move(name),
                    .help = std::move(help),
                    .set =
                        [value](const std::string& text) {
                          *value = text;
                          return std::string();
                        },
                    .get = [value] { return *value; }});
}

void Flags::Add(std::string name, bool* value, std::string help) {
  flags_.push_back({.name = std::move(name),
                    .help = std::move(help),
                    .is_bool = true,
                    .set = [value](const std::string& text) -> std::string {
                      if (text != "true" && text != "false") return "must be true or false";
                      *value = text == "true";
                      return "";
                    },
                    .get = [value] { return std::string(*value ? "true" : "false"); }});
}

void Flags::Add(std::string name, std::vector<std::string>* value, std::string help) {
  flags_.push_back({.name = std::move(name),
                    .help = std::move(help),
                    .set =
                        [value](const std::string& text) {
                          *value = SplitList(text);
                          return std::string();
                        },
                    .get = [value] { return absl::StrJoin(*value, ","); }});
}

void Flags::Add(std::string name, std::int64_t* value, std::string help, IntRange range) {
  flags_.push_back({.name = std::move(name),
                    .help = std::move(help),
                    .set = [value, range](const std::string& text) -> std::string {
                      const std::optional<std::int64_t> parsed = ParseInt(text);
                      if (!parsed || *parsed < range.min || *parsed > range.max) {
                        return absl::StrCat("must be a whole number from ", range.min, " to ", range.max);
                      }
                      *value = *parsed;
                      return "";
                    },
                    .get = [value] { return absl::StrCat(*value); }});
}

void Flags::Add(std::string name, milliseconds* value, std::string help, DurationRange range) {
  flags_.push_back({.name = std::move(name),
                    .help = std::move(help),
                    .set = [value, range](const std::string& text) -> std::string {
                      const std::optional<milliseconds> parsed = ParseDuration(text);
                      if (!parsed || *parsed < range.min || *parsed > range.max) {
                        return absl::StrCat("must be a duration such as 500ms, 30s or 2h, from ",
                                            PrintDuration(range.min), " to ", PrintDuration(range.max));
                      }
                      *value = *parsed;
                      return "";
                    },
                    .get = [value] { return PrintDuration(*value); }});
}

void Flags::AddSecret(std::string name, std::vector<std::string>* value, std::string help) {
  Add(std::move(name), value, std::move(help));
  flags_.back().is_secret = true;
}

void Flags::AddSecret(std::string name, std::string* value, std::string help) {
  Add(std::move(name), value, std::move(help));
  flags_.back().is_secret = true;
}

void Flags::AddSecret(std::string name, std::vector<std::string>* value, std::string* path, std::string help) {
  AddSecret(std::move(name), value, std::move(help));
  flags_.back().path = path;
}

void Flags::AddCheck(std::function<std::vector<std::string>()> check) { checks_.push_back(std::move(check)); }

Flags::Flag* Flags::Find(const std::string& name) {
  for (Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

absl::StatusOr<Flags::Action> Flags::Parse(int argc, const char* const* argv,
                                           const std::function<const char*(const char*)>& environment) {
  std::vector<std::string> problems;
  const auto set = [&](Flag& flag, const std::string& source, const std::string& text) {
    // The problem never repeats the text: it may be a secret.
    if (flag.path != nullptr) flag.path->clear();
    if (const std::string problem = flag.set(text); !problem.empty()) {
      problems.push_back(absl::StrCat(source, ": ", problem));
    }
  };
  const auto set_from_file = [&](Flag& flag, const std::string& source, const std::string& path) {
    if (const std::optional<std::string> text = ReadFile(path)) {
      set(flag, source, *text);
      if (flag.path != nullptr) *flag.path = path;
    } else {
      problems.push_back(absl::StrCat(source, ": cannot read ", path));
    }
  };

  for (Flag& flag : flags_) {
    const std::string name = EnvironmentName(prefix_, flag.name);
    const auto read = [&](const std::string& variable) {
      return environment ? environment(variable.c_str()) : std::getenv(variable.c_str());
    };
    if (flag.is_secret) {
      if (const char* path = read(name + "_FILE")) set_from_file(flag, name + "_FILE", path);
    }
    if (const char* text = read(name)) set(flag, name, text);
  }

  Action action = Action::kRun;
  bool help = false;
  bool print = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.size() < 3 || argument.compare(0, 2, "--") != 0) {
      problems.push_back(absl::StrCat("unexpected argument \"", argument, "\" (flags begin with --; see --help)"));
      continue;
    }
    const std::size_t equals = argument.find('=');
    std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (name == "help" || name == "print-config" || name == "check-config") {
      action = Action::kExit;
      help = help || name == "help";
      print = print || name == "print-config";
      continue;
    }
    Flag* flag = Find(name);
    bool from_file = false;
    if (flag == nullptr && name.size() > 5 && name.ends_with("-file")) {
      flag = Find(name.substr(0, name.size() - 5));
      from_file = flag != nullptr && flag->is_secret;
      if (!from_file) flag = nullptr;
    }
    if (flag == nullptr) {
      problems.push_back(absl::StrCat("unknown flag --", name, " (see --help)"));
      continue;
    }
    std::string text;
    if (equals != std::string::npos) {
      text = argument.substr(equals + 1);
    } else if (flag->is_bool) {
      text = "true";
    } else if (i + 1 < argc) {
      text = argv[++i];
    } else {
      problems.push_back(absl::StrCat("--", name, ": needs a value"));
      continue;
    }
    if (from_file) {
      set_from_file(*flag, "--" + name, text);
    } else {
      set(*flag, "--" + name, text);
    }
  }
  if (help) {
    std::fputs(Help().c_str(), stdout);
    return Action::kExit;
  }
  for (const auto& check : checks_) {
    for (std::string& problem : check()) problems.push_back(std::move(problem));
  }
  if (print) std::fputs(Print().c_str(), stdout);
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  if (action == Action::kExit && !print) std::puts("configuration is valid");
  return action;
}

std::string Flags::Help() const {
  std::string text = absl::StrCat(program_, ": ", purpose_, "\n\nFlags (each also as environment variable ", prefix_,
                                  "NAME; flags win):\n");
  for (const Flag& flag : flags_) {
    const std::string value = flag.get();
    absl::StrAppend(&text, "  --", flag.name, flag.is_secret ? " (or --" + flag.name + "-file PATH)" : "", "\n      ",
                    flag.help, flag.is_secret || value.empty() ? "" : absl::StrCat(" [", value, "]"), "\n");
  }
  absl::StrAppend(&text, "  --check-config\n      report every problem of the configuration and exit\n",
                  "  --print-config\n      print the configuration, secrets masked, and exit\n");
  return text;
}

std::string Flags::Print() const {
  std::string text;
  for (const Flag& flag : flags_) {
    const std::string value = flag.get();
    absl::StrAppend(&text, flag.name, "=", flag.is_secret && !value.empty() ? "***" : value, "\n");
  }
  return text;
}

absl::StatusOr<std::vector<std::string>> ReadSecrets(const std::string& path) {
  constexpr std::size_t kMaxBytes = 64 << 10;
  const std::optional<std::string> text = ReadFile(path);
  if (!text) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  if (text->size() > kMaxBytes) return absl::OutOfRangeError(absl::StrCat(path, " is larger than 64 KiB"));
  return SplitList(*text);
}

int FailStart(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 2;
}

}  // namespace sesior::config
