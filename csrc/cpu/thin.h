#pragma once

#include <cstdint>

#include "../core/method.h"
#include "bit_image.h"
#include "interrupt.h"
#include "kernels.h"

namespace tubeskel::cpu {

using core::kUntilStable;
using core::Method;

// Thins a 2D image in place by the method of Zhang or of Guo and Hall: iterations of two
// sub-iterations each, at most `max_iterations`, until one of them deletes nothing. The result does
// not depend on the number of threads. Throws Interrupted if it was asked to stop.
void thin(BitImage& image, Method method, int64_t max_iterations, int threads,
          Interrupt& interrupt);

}  // namespace tubeskel::cpu
