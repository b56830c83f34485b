// The operations on batches of 2D images: pack, work on bits, unpack.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dilate.h"
#include "element_type.h"
#include "kernels.h"
#include "thin.h"

namespace tubeskel::cpu {

// Contiguous images of one shape, [images, rows, columns].
struct Batch {
  const void* data;
  ElementType type;
  int64_t images, rows, columns;
};

// Foreground bits of each row: bit i of word j is pixel 64 j + i.
// out: [images, rows, ceil(columns / 64)]
void pack_images(const Batch& images, uint64_t* out, int threads);

// out: bool [images, rows, columns]
void thin_images(const Batch& images, Method method, int64_t max_iterations, uint8_t* out,
                 int threads);
void dilate_images(const Batch& images, Footprint footprint, int64_t radius, uint8_t* out,
                   int threads);

struct TubeOptions {
  Method method = Method::kZhang;
  int64_t radius = 2;
  bool per_class = false;
  const int64_t* ignore_index = nullptr;
  int64_t num_classes = 0;      // if positive, labels at or above it are invalid
  bool as_bytes = false;        // write uint8 instead of the labels' type
  std::string name = "labels";  // what an error calls the labels
};

// Labels on the tubed skeleton, zero elsewhere.
// out: as the labels; counts: null, or zeros [images, num_classes] to which the tube's pixels of
// each class are added.
void tube_images(const Batch& labels, const TubeOptions& options, void* out, int64_t* counts,
                 int threads);

}  // namespace tubeskel::cpu
