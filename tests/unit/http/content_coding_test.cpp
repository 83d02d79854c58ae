#include "sesior/http/content_coding.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

namespace sesior::http {
namespace {

TEST(ContentCoding, TakesWhatTheClientLikesBest) {
  const struct {
    const char* header;
    ContentCoding coding;
  } rows[] = {
      {"", ContentCoding::kIdentity},
      {"identity", ContentCoding::kIdentity},
      {"br", ContentCoding::kIdentity},
      {"gzip", ContentCoding::kGzip},
      {"GZip", ContentCoding::kGzip},
      {"x-gzip", ContentCoding::kGzip},
      {"gzip, deflate, br", ContentCoding::kGzip},
      {"deflate, gzip", ContentCoding::kGzip},
      {"deflate", ContentCoding::kDeflate},
      {"deflate;q=1, gzip;q=0.5", ContentCoding::kDeflate},
      {"deflate ; q=0.4 , gzip ; q=0.5", ContentCoding::kGzip},
      {"gzip;q=0", ContentCoding::kIdentity},
      {"gzip;q=0.000, deflate;q=0", ContentCoding::kIdentity},
      {"*", ContentCoding::kGzip},
      {"*;q=0", ContentCoding::kIdentity},
      {"gzip;q=0, *", ContentCoding::kDeflate},
      {"gzip;q=nonsense", ContentCoding::kIdentity},
      {"gzip;q=-1", ContentCoding::kIdentity},
      {",;,", ContentCoding::kIdentity},
      {"gzipped", ContentCoding::kIdentity},
  };
  for (const auto& row : rows) EXPECT_EQ(ChooseCoding(row.header), row.coding) << row.header;
}

std::string Unpacked(const std::string& packed) {
  z_stream z{};
  EXPECT_EQ(::inflateInit2(&z, 15 + 32), Z_OK);  // finds out which of the two it is
  std::string body(10'000'000, '\0');
  z.next_in = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(packed.data()));
  z.avail_in = static_cast<unsigned>(packed.size());
  z.next_out = reinterpret_cast<unsigned char*>(body.data());
  z.avail_out = static_cast<unsigned>(body.size());
  EXPECT_EQ(::inflate(&z, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(z.avail_in, 0u);
  body.resize(z.total_out);
  ::inflateEnd(&z);
  return body;
}

TEST(Packer, GivesTheSameBackWhateverThePieces) {
  std::string body;
  for (int i = 0; i < 50'000; ++i) body += std::to_string(i * 7919 % 1013) + ",";
  for (const ContentCoding coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    for (const std::size_t step : {std::size_t{1000}, std::size_t{65'536}, body.size(), body.size() + 1}) {
      Packer packer(coding, body);
      while (!packer.Step(step)) {
      }
      const std::string packed = packer.Take();
      EXPECT_LT(packed.size(), body.size() / 2);
      EXPECT_EQ(static_cast<unsigned char>(packed[0]), coding == ContentCoding::kGzip ? 0x1f : 0x78);
      EXPECT_EQ(Unpacked(packed), body);
    }
  }
  Packer empty(ContentCoding::kGzip, "", true);
  EXPECT_TRUE(empty.Step(1));
  EXPECT_EQ(Unpacked(empty.Take()), "");
}

}  // namespace
}  // namespace sesior::http
