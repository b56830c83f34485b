// The operations on batches of images and volumes: pack, work on bits, unpack.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dilate.h"
#include "element_type.h"
#include "interrupt.h"
#include "kernels.h"
#include "thin.h"

namespace tubeskel::cpu {

// Contiguous images of one shape, [images, planes, rows, columns]; one plane if they are 2D.
struct Batch {
  const void* data;
  ElementType type;
  int64_t images, planes, rows, columns;
};

// How to run: Interrupted is thrown where `interrupt` is asked for.
struct Execution {
  int threads;
  Interrupt& interrupt;
};

// Foreground bits of each row: bit i of word j is pixel 64 j + i.
// out: [images, planes, rows, ceil(columns / 64)]
void pack_images(const Batch& images, uint64_t* out, Execution run);

struct ThinOptions {
  Method method = Method::kZhang;
  int64_t max_iterations = kUntilStable;  // not for Lee's method
  bool keep_components = false;
};

// out: bool, of the shape of the images
void thin_images(const Batch& images, const ThinOptions& options, uint8_t* out, Execution run);
void dilate_images(const Batch& images, const Footprint& footprint, uint8_t* out, Execution run);

struct TubeOptions {
  ThinOptions thinning;
  const uint8_t* skeletons = nullptr;  // made by another method; bool, of the shape of the labels
  Footprint footprint;
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
                 Execution run);

}  // namespace tubeskel::cpu
