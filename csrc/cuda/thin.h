#pragma once

#include "../core/method.h"
#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

// Bytes of workspace that thinning takes, aligned as a tensor is.
size_t thin_workspace(const Shape& shape);

// Queues the thinning of a batch of 2D images in place, by the method of Zhang or of Guo and Hall:
// at most `max_iterations` iterations of two sub-iterations, until one deletes nothing.
// `workspace` needs no particular content and is free again when the stream is past this call.
// Throws std::runtime_error if a launch fails.
void thin(const Shape& shape, core::Method method, int64_t max_iterations, Word* bits,
          void* workspace, void* stream, const Subject& subject);

}  // namespace tubeskel::cuda
