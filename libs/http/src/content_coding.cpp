#include "sesior/http/content_coding.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "sesior/base/check.hpp"
#include "sesior/http/request.hpp"

namespace sesior::http {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The text before the next `separator`, which is taken away with it.
std::string_view Next(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view item = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return Trimmed(item);
}

// "0", "0.5", "1.000" in thousandths; anything else counts as refused.
int Weight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return 0;
  if (text.size() > 1 && text[1] != '.') return 0;
  int value = (text[0] - '0') * 1000;
  int unit = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (c < '0' || c > '9') return 0;
    value += (c - '0') * unit;
    unit /= 10;
  }
  return std::min(value, 1000);
}

}  // namespace

std::string_view Name(ContentCoding coding) {
  return coding == ContentCoding::kGzip ? "gzip" : coding == ContentCoding::kDeflate ? "deflate" : "identity";
}

ContentCoding ChooseCoding(std::string_view accept_encoding) {
  int gzip = -1;
  int deflate = -1;
  int any = 0;
  while (!accept_encoding.empty()) {
    std::string_view item = Next(accept_encoding, ',');
    const std::string_view coding = Next(item, ';');
    int weight = 1000;
    while (!item.empty()) {
      std::string_view parameter = Next(item, ';');
      if (parameter.starts_with("q=") || parameter.starts_with("Q=")) weight = Weight(parameter.substr(2));
    }
    if (EqualsIgnoreCase(coding, "gzip") || EqualsIgnoreCase(coding, "x-gzip")) gzip = weight;
    if (EqualsIgnoreCase(coding, "deflate")) deflate = weight;
    if (coding == "*") any = weight;
  }
  if (gzip < 0) gzip = any;
  if (deflate < 0) deflate = any;
  if (gzip == 0 && deflate == 0) return ContentCoding::kIdentity;
  return gzip >= deflate ? ContentCoding::kGzip : ContentCoding::kDeflate;
}

struct Packer::Stream {
  Stream(ContentCoding coding, int level) {
    constexpr int kWindowBits = 15;
    constexpr int kGzip = 16;  // added to the bits: zlib writes gzip's head and foot
    const int bits = kWindowBits + (coding == ContentCoding::kGzip ? kGzip : 0);
    SESIOR_CHECK(::deflateInit2(&z, level, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~Stream() { ::deflateEnd(&z); }

  void Feed(std::string_view bytes, bool last, std::string& out) {
    std::array<unsigned char, 16 * 1024> buffer;
    z.next_in = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    z.avail_in = static_cast<unsigned>(bytes.size());
    do {
      z.next_out = buffer.data();
      z.avail_out = static_cast<unsigned>(buffer.size());
      ::deflate(&z, last ? Z_FINISH : Z_NO_FLUSH);
      out.append(reinterpret_cast<const char*>(buffer.data()), buffer.size() - z.avail_out);
    } while (z.avail_out == 0);
  }

  z_stream z{};
};

Packer::Packer(ContentCoding coding, std::string body, bool for_keeps)
    : stream_(std::make_unique<Stream>(coding, for_keeps ? Z_BEST_COMPRESSION : Z_BEST_SPEED)),
      body_(std::move(body)) {}

Packer::~Packer() = default;

bool Packer::Step(std::size_t bytes) {
  const std::string_view piece = std::string_view(body_).substr(done_, bytes);
  done_ += piece.size();
  const bool last = done_ == body_.size();
  stream_->Feed(piece, last, packed_);
  return last;
}

}  // namespace sesior::http
