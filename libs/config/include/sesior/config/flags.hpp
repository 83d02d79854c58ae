// Flags: a service's settings from flags and environment; the only reader of the environment.
//
//   struct Config { std::string listen = "127.0.0.1:0"; std::chrono::milliseconds stop_timeout{10000}; };
//   Flags flags("sesior-rest", "SESIOR_REST_", "Answers REST requests.");
//   flags.Add("listen", &config.listen, "address to listen on, host:port; port 0: any free one");
//   flags.Add("stop-timeout", &config.stop_timeout, "time a stop may take", {1000ms, 600s});
//   flags.AddSecret("cookie-secret", &config.secrets, "...");
//   absl::StatusOr<Flags::Action> action = flags.Parse(argc, argv);   // all problems in one status
//
// --stop-timeout=5s, --stop-timeout 5s and SESIOR_REST_STOP_TIMEOUT=5s mean the same; flags win. Every flag FILE of the
// form --NAME-file PATH (environment ..._NAME_FILE) exists for secrets and gives the value as the file's text without
// its last line break (lists also take a line each there). Durations are a number with ms, s, m, h or d. Lists are
// separated by commas. Threading: thread-compatible; used in main before anything else starts.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sesior::config {

class Flags {
 public:
  // What the command line asks for.
  enum class Action {
    kRun,
    kExit,  // --help, --print-config or --check-config was answered on standard output: exit with 0
  };

  Flags(std::string program, std::string environment_prefix, std::string purpose);

  void Add(std::string name, std::string* value, std::string help);
  void Add(std::string name, bool* value, std::string help);
  void Add(std::string name, std::vector<std::string>* value, std::string help);
  // Both ends inclusive.
  struct IntRange {
    std::int64_t min = std::numeric_limits<std::int64_t>::min();
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
  };
  void Add(std::string name, std::int64_t* value, std::string help, IntRange range);
  struct DurationRange {
    std::chrono::milliseconds min{1};
    std::chrono::milliseconds max{std::chrono::hours(24 * 366)};
  };
  void Add(std::string name, std::chrono::milliseconds* value, std::string help, DurationRange range);
  // Masked by --print-config; can come from a file. A list, as secrets rotate.
  void AddSecret(std::string name, std::vector<std::string>* value, std::string help);
  void AddSecret(std::string name, std::string* value, std::string help);
  // As the list above; `path` becomes the file that the value came from, empty when it came from no file.
  void AddSecret(std::string name, std::vector<std::string>* value, std::string* path, std::string help);
  // A rule over several settings, run after parsing; gives one line per problem.
  void AddCheck(std::function<std::vector<std::string>()> check);

  // kInvalidArgument with every problem, one a line, each naming its flag. `environment` is for tests; null: the
  // process's own.
  absl::StatusOr<Action> Parse(int argc, const char* const* argv,
                               const std::function<const char*(const char*)>& environment = nullptr);

  std::string Help() const;
  // One "name=value" a line, secrets as "***".
  std::string Print() const;

 private:
  struct Flag {
    std::string name;
    std::string help;
    bool is_bool = false;
    bool is_secret = false;
    std::string* path = nullptr;                         // where to tell the file it came from
    std::function<std::string(const std::string&)> set;  // the problem; empty: fine
    std::function<std::string()> get;
  };
  Flag* Find(const std::string& name);

  std::string program_;
  std::string prefix_;
  std::string purpose_;
  std::vector<Flag> flags_;
  std::vector<std::function<std::vector<std::string>()>> checks_;
};

// The list of secrets in a file, as AddSecret would take it. kNotFound: it cannot be read. kOutOfRange: above 64 KiB.
absl::StatusOr<std::vector<std::string>> ReadSecrets(const std::string& path);

// Writes the problems to standard error; the exit code for main: 2.
int FailStart(const absl::Status& status);

}  // namespace sesior::config
