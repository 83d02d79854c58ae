#include "sesior/http/form.hpp"

namespace sesior::http {

namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes the escape at `at`; -1: there is none.
int Escape(std::string_view text, std::size_t at) {
  if (at + 2 >= text.size()) return -1;
  const int high = HexValue(text[at + 1]);
  const int low = HexValue(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string DecodeField(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int escaped = text[i] == '%' ? Escape(text, i) : -1;
    if (escaped >= 0) {
      decoded += static_cast<char>(escaped);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int escaped = Escape(text, i);
    if (escaped < 0) return std::nullopt;
    decoded += static_cast<char>(escaped);
    i += 2;
  }
  return decoded;
}

Form ParseForm(std::string_view text) {
  Form form;
  while (!text.empty() && form.size() < kMaxFormFields) {
    const std::size_t ampersand = text.find('&');
    const std::string_view part = text.substr(0, ampersand);
    text = ampersand == std::string_view::npos ? std::string_view() : text.substr(ampersand + 1);
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    form.emplace_back(DecodeField(part.substr(0, equals)),
                      equals == std::string_view::npos ? std::string() : DecodeField(part.substr(equals + 1)));
  }
  return form;
}

const std::string* FindField(const Form& form, std::string_view name) {
  for (const auto& [field, value] : form) {
    if (field == name) return &value;
  }
  return nullptr;
}

}  // namespace sesior::http
