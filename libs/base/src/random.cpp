#include "sesior/base/random.hpp"

#include <openssl/rand.h>

#include "sesior/base/check.hpp"

namespace sesior {

std::string RandomBytes(std::size_t count) {
  std::string bytes(count, '\0');
  SESIOR_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1);
  return bytes;
}

std::uint64_t RandomU64() {
  std::uint64_t value = 0;
  SESIOR_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value) == 1);
  return value;
}

}  // namespace sesior
