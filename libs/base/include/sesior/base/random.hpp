// Unpredictable bytes from the operating system. Thread-safe. Aborts if the system cannot give any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sesior {

std::string RandomBytes(std::size_t count);
std::uint64_t RandomU64();

}  // namespace sesior
