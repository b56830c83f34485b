#pragma once

#include "../core/element_type.h"
#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

// An array of pixels on the device, and what counts as foreground in it.
struct Pixels {
  const void* data;  // [images, planes, rows, columns]
  int item_size;     // 1, 2, 4 or 8 bytes
  core::Foreground foreground;
  // Where to keep the least index of an invalid value, of all ones before; null: the kernel stops
  // with a failed assertion.
  unsigned long long* first_invalid;
};

// Queues the packing of foreground bits. out: [classes, images, planes, rows, row_words], words
// beyond those of the shape being zero. If a single class is asked for, the bits of it and of the
// `classes - 1` labels above it follow each other. Throws std::runtime_error if the launch fails.
void pack_bits(const Shape& shape, const Pixels& pixels, int64_t classes, int64_t row_words,
               Word* out, void* stream, const Subject& subject);

inline void pack_bits(const Shape& shape, const Pixels& pixels, Word* out, void* stream,
                      const Subject& subject) {
  pack_bits(shape, pixels, 1, shape.words(), out, stream, subject);
}

}  // namespace tubeskel::cuda
