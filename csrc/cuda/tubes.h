#pragma once

#include "../core/footprint.h"
#include "bits.h"
#include "launch.h"
#include "pack_bits.h"
#include "select.h"
#include "skeleton.h"

namespace tubeskel::cuda {

struct TubeOptions {
  ThinOptions thinning;
  core::Footprint footprint;
  bool per_class = false;  // of labels 1 .. num_classes - 1, or of all values of one byte
  int64_t num_classes = 0;
};

// Bytes of workspace that tubes take, aligned as a tensor is.
size_t tube_workspace(const Shape& shape, const Pixels& labels, const TubeOptions& options);

// Queues the making of tubes: the skeleton of the foreground, or of each class by itself, widened
// by the footprint and clipped to what it was made of. Where the labels go is said by `selection`,
// whose counts are zero before. Throws std::runtime_error if a launch fails.
void tubed_skeleton(const Shape& shape, const Pixels& labels, const TubeOptions& options,
                    const Selection& selection, void* workspace, void* stream,
                    const Subject& subject);

}  // namespace tubeskel::cuda
