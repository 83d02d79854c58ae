#include "sesior/socketio/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include "json_scanner.hpp"
#include "sesior/base/check.hpp"

namespace sesior::socketio {
namespace {

// Where in a text the number of a placeholder stands.
struct Hole {
  std::size_t at;
  std::size_t length;
  std::size_t attachment;
};

}  // namespace

struct Json::Binaries {
  std::vector<Hole> holes;  // in the order of the text
  std::vector<std::string> attachments;
};

// Joins texts; their placeholders are numbered anew.
class Json::Builder {
 public:
  void Append(char c) { text_.push_back(c); }
  void Append(const Json& json) {
    if (json.binaries_) {
      Append(json.text_, json.binaries_->holes, json.binaries_->attachments);
    } else {
      text_.append(json.text_);
    }
  }
  void Append(std::string_view text, const std::vector<Hole>& holes, std::span<const std::string> attachments) {
    constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
    std::vector<std::size_t> renumbered(attachments.size(), kNone);
    std::size_t from = 0;
    for (const Hole& hole : holes) {
      std::size_t& attachment = renumbered[hole.attachment];
      if (attachment == kNone) {  // meant twice, it is still sent once
        attachment = binaries_.attachments.size();
        binaries_.attachments.push_back(attachments[hole.attachment]);
      }
      const std::string digits = std::to_string(attachment);
      text_.append(text.substr(from, hole.at - from));
      binaries_.holes.push_back({text_.size(), digits.size(), attachment});
      text_.append(digits);
      from = hole.at + hole.length;
    }
    text_.append(text.substr(from));
  }
  std::string& text() { return text_; }

  Json Take() {
    Json json;
    json.text_ = std::move(text_);
    if (!binaries_.attachments.empty()) json.binaries_ = std::make_shared<const Binaries>(std::move(binaries_));
    return json;
  }

 private:
  std::string text_;
  Binaries binaries_;
};

Json::Json(double value) {
  if (!std::isfinite(value)) {
    text_ = "null";
    return;
  }
  std::array<char, 32> buffer;
  const std::to_chars_result result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  text_.assign(buffer.data(), result.ptr);
}

Json::Json(const Argument& value) {
  if (value.attachments().empty()) {
    text_ = value.text();
    return;
  }
  std::vector<JsonScanner::Placeholder> found;
  JsonScanner scanner(value.text());
  scanner.CheckPlaceholders(value.attachments().size(), &found);
  std::string_view all;
  SESIOR_CHECK(scanner.Value(all));  // as Argument demands
  std::vector<Hole> holes;
  for (const JsonScanner::Placeholder& placeholder : found) {
    const auto at = static_cast<std::size_t>(placeholder.num.data() - value.text().data());
    holes.push_back({at, placeholder.num.size(), placeholder.attachment});
  }
  std::sort(holes.begin(), holes.end(), [](const Hole& a, const Hole& b) { return a.at < b.at; });
  Builder builder;
  builder.Append(value.text(), holes, value.attachments());
  *this = builder.Take();
}

Json Json::Raw(std::string text) {
  Json json;
  json.text_ = std::move(text);
  return json;
}

Json Json::Binary(std::string bytes) {
  constexpr std::string_view kHead = R"({"_placeholder":true,"num":)";
  Binaries binaries;
  binaries.holes.push_back({kHead.size(), 1, 0});
  binaries.attachments.push_back(std::move(bytes));
  Json json;
  json.text_.append(kHead).append("0}");
  json.binaries_ = std::make_shared<const Binaries>(std::move(binaries));
  return json;
}

Json Json::Object(std::initializer_list<std::pair<std::string_view, Json>> members) {
  Builder builder;
  for (const auto& [name, value] : members) {
    builder.Append(builder.text().empty() ? '{' : ',');
    AppendJsonString(builder.text(), name);
    builder.Append(':');
    builder.Append(value);
  }
  if (builder.text().empty()) builder.Append('{');
  builder.Append('}');
  return builder.Take();
}

Json Json::ArrayOf(std::initializer_list<Json> values) {
  return ArrayOf(std::span<const Json>(values.begin(), values.size()));
}

Json Json::ArrayOf(std::span<const Json> values) {
  Builder builder;
  std::size_t bytes = values.size() + 2;
  for (const Json& value : values) bytes += value.text_.size();
  builder.text().reserve(bytes);
  builder.Append('[');
  for (const Json& value : values) {
    if (&value != values.data()) builder.Append(',');
    builder.Append(value);
  }
  builder.Append(']');
  return builder.Take();
}

std::span<const std::string> Json::attachments() const {
  return binaries_ ? std::span<const std::string>(binaries_->attachments) : std::span<const std::string>();
}

}  // namespace sesior::socketio
