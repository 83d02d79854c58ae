// Structured logs on standard error, one line an event:
//   ts=2026-11-23T07:00:00.123Z level=info event=listening name=http addr=127.0.0.1:8080
// error = a human must act; warn = degraded, will recover; info = lifecycle; debug = per request.
// Never a cookie, a payload, a secret or a bare id: ids go through Masked(). Field names are literals.
// Threading: thread-safe. A line is written before Log returns.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace sesior::telemetry {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kKeyValue, kJson };

// Once, before threads start. Default: kInfo, kKeyValue.
void ConfigureLog(Level least, LogFormat format);
bool LogEnabled(Level level);

struct Field {
  Field(std::string_view key, std::string_view text) : name(key), value(text) {}
  Field(std::string_view key, const char* text) : name(key), value(text) {}
  Field(std::string_view key, const std::string& text) : name(key), value(text) {}
  Field(std::string_view key, bool flag) : name(key), value(flag ? "true" : "false"), quoted(false) {}
  template <typename T>
  requires(std::integral<T> || std::floating_point<T>) Field(std::string_view key, T number)
      : name(key), value(std::to_string(number)), quoted(false) {}

  std::string_view name;
  std::string value;
  bool quoted = true;  // in JSON: a string
};

void Log(Level level, std::string_view event, std::initializer_list<Field> fields = {});

// Lets one event through per `interval`, for "dependency down" and the like. One static object a place.
// Threading: thread-safe.
class RateLimit {
 public:
  explicit constexpr RateLimit(int interval_seconds) : interval_seconds_(interval_seconds) {}
  bool Allow();

 private:
  const int interval_seconds_;
  long long last_ = -1'000'000'000;  // steady seconds; guarded by an atomic_ref in Allow
};

}  // namespace sesior::telemetry
