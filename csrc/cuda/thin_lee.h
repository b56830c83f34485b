#pragma once

#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

// Bytes of workspace that thinning takes, aligned as a tensor is.
size_t lee_workspace(const Shape& shape, bool keep_components);

// Queues Lee's thinning of a batch in place: in 3D, or by its 2D variant if there is one plane, as
// scikit-image 0.26 does it. With `keep_components` a component that would lose all its voxels
// keeps the first in the order of strips of 64 columns, planes, rows, columns. `workspace` needs no
// particular content and is free again when the stream is past this call. Throws
// std::runtime_error if a launch fails.
void thin_lee(const Shape& shape, bool keep_components, Word* bits, void* workspace, void* stream,
              const Subject& subject);

}  // namespace tubeskel::cuda
