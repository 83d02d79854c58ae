#include "services/rest/http/exchange.hpp"

#include <algorithm>

#include "sesior/base/ids.hpp"
#include "sesior/telemetry/log.hpp"

namespace sesior::rest {
namespace {

constexpr std::size_t kMaxRequestIdBytes = 64;
constexpr std::size_t kMaxUserAgentBytes = 256;
// What scripts of other origins may read beside the headers that they always may.
constexpr std::string_view kExposedHeaders = "ETag, Retry-After, X-Request-Id, X-Total-Count";

bool IsIdCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// The client's own id, where it is harmless in a log.
std::string RequestIdOf(const http::Request& request) {
  const std::string* id = request.Find("X-Request-Id");
  const bool good = id != nullptr && !id->empty() && id->size() <= kMaxRequestIdBytes &&
                    std::all_of(id->begin(), id->end(), IsIdCharacter);
  return good ? *id : NewRequestId();
}

// W3C trace context: 00-<32 hex>-<16 hex>-<2 hex>, lower case.
std::string TraceparentOf(const http::Request& request) {
  constexpr std::string_view kForm = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
  const std::string* text = request.Find("Traceparent");
  if (text == nullptr || text->size() != kForm.size()) return {};
  const bool good = std::equal(text->begin(), text->end(), kForm.begin(), [](char c, char form) {
    return form == 'x' ? (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') : c == form;
  });
  return good ? *text : std::string();
}

}  // namespace

Exchange::Exchange(http::Request request, std::string client_address, const http::CorsPolicy& cors,
                   http::OriginVerdict origin, RouteMetrics& metrics, Reply reply)
    : request_(std::move(request)),
      client_address_(std::move(client_address)),
      cors_(&cors),
      origin_(origin),
      metrics_(&metrics),
      request_id_(RequestIdOf(request_)),
      begin_(std::chrono::steady_clock::now()),
      reply_(std::move(reply)) {}

session::v1::Device Exchange::device() const {
  session::v1::Device device;
  device.set_address(client_address_);
  // Bytes of any kind may stand in a header, but only text in a message.
  const std::string* agent = request_.Find("User-Agent");
  if (agent != nullptr) {
    std::string text = agent->substr(0, kMaxUserAgentBytes);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
    device.set_user_agent(std::move(text));
  }
  return device;
}

session_client::CallOptions Exchange::call_options() const {
  return {.correlation_id = request_id_, .traceparent = TraceparentOf(request_)};
}

void Exchange::Answer(http::Response response) && {
  const int status = response.status();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin_;
  (status < 400 ? metrics_->good : status < 500 ? metrics_->refused : metrics_->failed).Increment();
  metrics_->duration.Observe(seconds.count());
  if (telemetry::LogEnabled(telemetry::Level::kDebug)) {
    telemetry::Log(telemetry::Level::kDebug, "request",
                   {{"method", request_.method_text},
                    {"path", request_.path},
                    {"status", status},
                    {"seconds", seconds.count()},
                    {"request_id", request_id_}});
  }
  if (!http::CorsPolicy::IsPreflight(request_)) {  // Preflight() has added them
    cors_->AddHeaders(request_, origin_, response);
    if (origin_ == http::OriginVerdict::kListed) response.Add("Access-Control-Expose-Headers", kExposedHeaders);
  }
  response.Add("X-Request-Id", request_id_);
  response.Add("X-Content-Type-Options", "nosniff");
  std::move(reply_).Send(std::move(response));
}

}  // namespace sesior::rest
