#pragma once

#include "bits.h"
#include "dilate.h"
#include "launch.h"
#include "pack_bits.h"

namespace tubeskel::cuda {

// Where labels go.
struct Selection {
  void* out;  // as the labels, or bytes; begins at a multiple of 16
  bool as_bytes;
  int64_t num_classes;         // labels at or above it are not counted
  unsigned long long* counts;  // [images, num_classes], to be added to; or null
};

// Queues the writing of bits as bytes 0 and 1, [images, planes, rows, columns]. `out` begins at a
// multiple of 16 bytes. Throws std::runtime_error if the launch fails.
void unpack_bits(const Shape& shape, const WidenedBits& bits, uint8_t* out, void* stream,
                 const Subject& subject);

// Queues the writing of labels where bits are set and the label is foreground, and of zero
// elsewhere. Throws std::runtime_error if the launch fails.
void select_labels(const Shape& shape, const WidenedBits& bits, const Pixels& labels,
                   const Selection& selection, void* stream, const Subject& subject);

}  // namespace tubeskel::cuda
