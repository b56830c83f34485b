#pragma once

#include <cstdint>

namespace tubeskel::cuda {

// Foreground bits of each row of byte images: bit i of word j is pixel 64 j + i.
// image: [rows, columns]; out: [rows, ceil(columns / 64)]. Throws std::runtime_error if the launch
// fails.
void pack_bits(const uint8_t* image, int64_t rows, int64_t columns, uint64_t* out, void* stream);

}  // namespace tubeskel::cuda
