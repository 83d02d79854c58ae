#include "sesior/telemetry/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>

namespace sesior::telemetry {

namespace {

std::atomic<bool> g_json{false};

// Made on first use and never destroyed, so that threads may log while the process ends.
spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("sesior", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc));
    made->set_level(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      break;
  }
  return spdlog::level::err;
}

const char* Name(Level level) {
  constexpr const char* kNames[] = {"debug", "info", "warn", "error"};
  return kNames[static_cast<int>(level)];
}

// Escapes so that a value can neither end its quotes nor begin a line.
void AppendQuoted(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      line += escaped;
    } else {
      line += c;
    }
  }
  line += '"';
}

bool IsPlain(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '\\' || c == '=' || c == 0x7f) return false;
  }
  return !text.empty();
}

void AppendField(std::string& line, const Field& field, bool json) {
  line += json ? "," : " ";
  if (json) AppendQuoted(line, field.name);
  if (!json) line += field.name;
  line += json ? ':' : '=';
  if (!field.quoted || (!json && IsPlain(field.value))) {
    line += field.value;
  } else {
    AppendQuoted(line, field.value);
  }
}

std::string Timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(millis));
  return text;
}

}  // namespace

void ConfigureLog(Level least, LogFormat format) {
  g_json = format == LogFormat::kJson;
  Logger().set_level(ToSpdlog(least));
}

bool LogEnabled(Level level) { return Logger().should_log(ToSpdlog(level)); }

void Log(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (!LogEnabled(level)) return;
  const bool json = g_json;
  std::string line;
  line.reserve(128);
  line += json ? "{\"ts\":\"" : "ts=";
  line += Timestamp();
  line += json ? "\",\"level\":\"" : " level=";
  line += Name(level);
  if (json) line += '"';
  AppendField(line, Field("event", event), json);
  for (const Field& field : fields) AppendField(line, field, json);
  if (json) line += '}';
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

bool RateLimit::Allow() {
  const long long now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  std::atomic_ref<long long> last(last_);
  long long seen = last.load();
  return now - seen >= interval_seconds_ && last.compare_exchange_strong(seen, now);
}

}  // namespace sesior::telemetry
