#include "services/session/redis/client.hpp"

#include <algorithm>
#include <array>
#include <asio/post.hpp>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "services/session/domain/record.hpp"
#include "sesior/base/error.hpp"
#include "sesior/base/string_view.hpp"

namespace sesior::session::redis {

namespace {

constexpr std::chrono::milliseconds kRetryAfter{500};

// Answers that say "not now", by their first word.
constexpr std::array<std::string_view, 10> kNotNow = {"READONLY",    "LOADING", "MASTERDOWN", "OOM",      "BUSY",
                                                      "CLUSTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN", "NOAUTH"};

absl::Status ErrorStatus(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  if (std::find(kNotNow.begin(), kNotNow.end(), word) != kNotNow.end()) {
    return RedisUnavailable(absl::StrCat("Redis cannot do this now (", ToAbsl(word), ")"));
  }
  // No string under the record's key, or one that scripts/common.lua finds too long.
  if (word == "WRONGTYPE" || word == "TOOLONG") return RecordCorrupt();
  return absl::InternalError(absl::StrCat("Redis: ", ToAbsl(text.substr(0, 200))));
}

}  // namespace

absl::Status RedisUnavailable(std::string_view why) {
  return Error(absl::StatusCode::kUnavailable, why,
               {.reason = "REDIS_UNAVAILABLE", .field = {}, .retry_after = kRetryAfter});
}

struct Client::Call {
  Client* client;
  Arguments arguments;
  Done done;
  const Script* script = nullptr;  // set while EVALSHA is tried
};

Client::Client(asio::io_context& io, Options options, const ScriptSet& scripts, Events events)
    : io_(io),
      options_(std::move(options)),
      scripts_(scripts),
      events_(std::move(events)),
      connection_(io, options_.connection,
                  {.on_ready =
                       [this](const ServerInfo& server) {
                         server_ = server;
                         ready_since_ = std::chrono::steady_clock::now();
                         for (const Script& script : scripts_.all()) {
                           if (!options_.load_scripts) break;
                           Command(Arguments().Add("SCRIPT").Add("LOAD").Add(script.body), [](auto) {});
                         }
                         events_.on_up(server);
                       },
                   .on_lost = [this](const absl::Status& why, bool fatal) { events_.on_down(why, fatal); }}) {}

Client::~Client() { stopping_ = true; }

void Client::FailSoon(Done done, absl::Status status) {
  asio::post(io_, [done = std::move(done), status = std::move(status)]() mutable { std::move(done)(status); });
}

void Client::Command(Arguments arguments, Done done) {
  Send(std::make_unique<Call>(Call{this, std::move(arguments), std::move(done)}));
}

void Client::Run(ScriptId script_id, int key_count, Arguments arguments, Done done) {
  const Script& script = scripts_.Get(script_id);
  auto call = std::make_unique<Call>(Call{this, {}, std::move(done), &script});
  call->arguments.Reserve(arguments.values().size() + 3);
  call->arguments.Add("EVALSHA").Add(script.sha1).Add(std::int64_t{key_count});
  call->arguments.Append(std::move(arguments));
  Send(std::move(call));
}

void Client::Send(std::unique_ptr<Call> call) {
  redisAsyncContext* context = connection_.context();
  if (context == nullptr) return FailSoon(std::move(call->done), RedisUnavailable("Redis is away"));
  if (pending_ >= options_.max_pending) {
    return FailSoon(std::move(call->done),
                    Error(absl::StatusCode::kResourceExhausted,
                          absl::StrCat("more than ", options_.max_pending, " Redis commands are under way"),
                          {.reason = "TOO_MANY_CALLS", .field = {}, .retry_after = kRetryAfter}));
  }
  absl::InlinedVector<const char*, 32> argv;
  absl::InlinedVector<std::size_t, 32> lengths;
  for (const std::string& argument : call->arguments.values()) {
    argv.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  Call* raw = call.release();
  const int sent = redisAsyncCommandArgv(
      context,
      [](redisAsyncContext*, void* reply, void* data) {
        std::unique_ptr<Call> mine(static_cast<Call*>(data));
        Client* client = mine->client;
        if (client->stopping_) return;
        client->OnReply(std::move(mine), static_cast<const redisReply*>(reply));
      },
      raw, static_cast<int>(argv.size()), argv.data(), lengths.data());
  if (sent != REDIS_OK) {  // the connection is going down
    std::unique_ptr<Call> back(raw);
    return FailSoon(std::move(back->done), RedisUnavailable("Redis is away"));
  }
  if (raw->script == nullptr) raw->arguments = {};  // only a script may have to be sent again
  ++pending_;
  connection_.Expect();
}

void Client::OnReply(std::unique_ptr<Call> call, const redisReply* raw) {
  --pending_;
  connection_.Answered();
  if (raw == nullptr) return std::move(call->done)(RedisUnavailable("the connection to Redis was lost"));
  const Reply reply(raw);
  if (!reply.is_error()) return std::move(call->done)(reply);
  if (call->script != nullptr && reply.text().starts_with("NOSCRIPT")) {
    call->arguments.Replace(0, "EVAL");
    call->arguments.Replace(1, call->script->body);
    call->script = nullptr;
    return Send(std::move(call));
  }
  if (reply.text().starts_with("READONLY")) {
    // The primary has become a replica: ask again where the primary is.
    connection_.DropSoon(absl::UnavailableError("this Redis has become a read-only replica"));
  }
  std::move(call->done)(ErrorStatus(reply.text()));
}

}  // namespace sesior::session::redis
