#pragma once

#include <cstdint>

#include "bit_image.h"
#include "interrupt.h"

namespace tubeskel::cpu {

struct LeeStatistics {
  int64_t iterations = 0;   // passes over all borders
  int64_t rounds = 0;       // of decisions, in all planes and sub-iterations of the first thread
  int64_t most_rounds = 0;  // until the same decisions were settled
};

// Thins a volume with padded planes in place by Lee's method, as scikit-image 0.26 does; a volume
// of one plane by its 2D variant. The result does not depend on the number of threads. Throws
// Interrupted if it was asked to stop.
LeeStatistics thin_lee(BitImage& volume, int threads, Interrupt& interrupt);

}  // namespace tubeskel::cpu
