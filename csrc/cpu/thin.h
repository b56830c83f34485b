#pragma once

#include <cstdint>
#include <limits>

#include "bit_image.h"
#include "kernels.h"

namespace tubeskel::cpu {

enum class Method { kZhang, kGuoHall };

inline constexpr int64_t kUntilStable = std::numeric_limits<int64_t>::max();

// Thins the image in place: iterations of two sub-iterations each, at most `max_iterations`, until
// one of them deletes nothing. The result does not depend on the number of threads.
void thin(BitImage& image, Method method, int64_t max_iterations, int threads);

}  // namespace tubeskel::cpu
