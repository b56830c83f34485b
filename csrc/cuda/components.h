#pragma once

#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

// Bytes of workspace.
size_t components_workspace(const Shape& shape);

// Queues what csrc/cpu/components.h does for a batch: sets one voxel of each 26-connected component
// of `mask` (8-connected in 2D) that has none in `skeleton`, the first in the order of strips of 64
// columns, planes, rows, columns. Leaves in `mask` the components that were lost. Throws
// std::runtime_error if a launch fails.
void restore_lost_components(const Shape& shape, Word* mask, Word* skeleton, void* workspace,
                             void* stream, const Subject& subject);

}  // namespace tubeskel::cuda
