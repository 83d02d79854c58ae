// Content codings: what a client takes, and a body packed so. gzip and deflate (which is zlib's format) as the
// reference server has them. Threading: functions are thread-safe, a Packer is thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sesior::http {

enum class ContentCoding : std::uint8_t { kIdentity, kGzip, kDeflate };

// What stands in Content-Encoding; "identity" is not sent.
std::string_view Name(ContentCoding coding);

// The best of ours that an Accept-Encoding header lets us use: by its weights, gzip first among equals; kIdentity when
// the header is empty or names none of ours.
ContentCoding ChooseCoding(std::string_view accept_encoding);

// Packer: packs one body piece by piece, so that a large one does not hold a thread up. About 100 MB/s; takes 270 KB of
// memory while it lives.
class Packer {
 public:
  // `coding`: not kIdentity. `for_keeps`: as small as it gets, ten times as slow: for what is packed once and sent
  // often.
  Packer(ContentCoding coding, std::string body, bool for_keeps = false);
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // Packs up to so many bytes more. True: all is done.
  bool Step(std::size_t bytes);
  // After all is done.
  std::string Take() { return std::move(packed_); }

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  const std::string body_;
  std::size_t done_ = 0;
  std::string packed_;
};

}  // namespace sesior::http
