// Thinning by any method.
#pragma once

#include "thin.h"
#include "thin_lee.h"

namespace tubeskel::cuda {

struct ThinOptions {
  core::Method method = core::Method::kZhang;
  int64_t max_iterations = core::kUntilStable;  // not for Lee's method
  bool keep_components = false;                 // the 2D methods never delete one
};

// Bytes of workspace that thin_bits takes, aligned as a tensor is.
inline size_t thin_bits_workspace(const Shape& shape, const ThinOptions& options) {
  return options.method == core::Method::kLee ? lee_workspace(shape, options.keep_components)
                                              : thin_workspace(shape);
}

// Queues the thinning of a batch in place. Throws std::runtime_error if a launch fails.
inline void thin_bits(const Shape& shape, const ThinOptions& options, Word* bits, void* workspace,
                      void* stream, const Subject& subject) {
  if (options.method == core::Method::kLee)
    thin_lee(shape, options.keep_components, bits, workspace, stream, subject);
  else
    thin(shape, options.method, options.max_iterations, bits, workspace, stream, subject);
}

}  // namespace tubeskel::cuda
