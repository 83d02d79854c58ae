#include "sesior/http/response_parser.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace sesior::http {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f'; });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename T>
bool ParseNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && text.front() >= '0' && text.front() <= '9' && error == std::errc() &&
         end == text.data() + text.size();
}

}  // namespace

void ResponseParser::Begin(Method method) {
  method_ = method;
  head_.clear();
  headers_.clear();
  body_ = std::string();
  body_left_ = 0;
  head_done_ = false;
  keep_alive_ = true;
}

ResponseParser::Result ResponseParser::Feed(std::string_view& bytes) {
  if (!head_done_) {
    // The end may be cut anywhere: look from a little before what is new.
    const std::size_t old = head_.size();
    const std::size_t from = old < kEndOfHead.size() ? 0 : old - (kEndOfHead.size() - 1);
    const std::size_t room = limits_.head_bytes > old ? limits_.head_bytes - old : 0;
    head_.append(bytes.substr(0, room + 1));
    const std::size_t end = head_.find(kEndOfHead, from);
    if (end == std::string::npos) {
      if (head_.size() > limits_.head_bytes) return Result::kError;
      bytes = {};
      return Result::kNeedMore;
    }
    head_.resize(end + kEndOfHead.size());
    if (head_.size() > limits_.head_bytes) return Result::kError;
    bytes.remove_prefix(head_.size() - old);
    if (const Result result = FinishHead(); result != Result::kNeedMore) return result;
    head_done_ = true;
  }
  const std::size_t take = std::min(body_left_, bytes.size());
  body_.append(bytes.substr(0, take));
  bytes.remove_prefix(take);
  body_left_ -= take;
  return body_left_ == 0 ? Result::kComplete : Result::kNeedMore;
}

// kNeedMore: the body may come.
ResponseParser::Result ResponseParser::FinishHead() {
  std::string_view rest(head_);
  rest.remove_suffix(2);  // the empty line
  auto next_line = [&rest] {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    return line;
  };
  const std::string_view first = next_line();
  if (!first.starts_with("HTTP/1.1 ") || first.size() < 12 || (first.size() > 12 && first[12] != ' ')) {
    return Result::kError;
  }
  if (!ParseNumber(first.substr(9, 3), status_) || status_ < 100 || HasControl(first)) return Result::kError;
  std::optional<std::size_t> length;
  while (!rest.empty()) {
    const std::string_view line = next_line();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)) || HasControl(line)) return Result::kError;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = Trimmed(line.substr(colon + 1));
    if (EqualsIgnoreCase(name, "transfer-encoding")) return Result::kError;
    if (EqualsIgnoreCase(name, "content-length")) {
      std::size_t announced = 0;
      if (length || !ParseNumber(value, announced)) return Result::kError;
      length = announced;
    } else if (EqualsIgnoreCase(name, "connection")) {
      if (HasToken(value, "close")) keep_alive_ = false;
    } else {
      headers_.push_back({std::string(name), std::string(value)});
    }
  }
  if (status_ == 101) return Result::kUpgraded;
  if (status_ < 200) return Result::kError;
  const bool has_body = method_ != Method::kHead && status_ != 204 && status_ != 304;
  if (has_body && !length) return Result::kError;
  body_left_ = has_body ? *length : 0;
  return body_left_ > limits_.body_bytes ? Result::kError : Result::kNeedMore;
}

Response ResponseParser::Take() {
  Response response(status_);
  for (const Header& header : headers_) response.Add(header.name, header.value);
  response.SetBody(std::move(body_));
  body_ = std::string();
  return response;
}

}  // namespace sesior::http
