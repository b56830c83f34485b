// The methods of thinning.
#pragma once

#include <cstdint>
#include <limits>

namespace tubeskel::core {

enum class Method { kZhang, kGuoHall, kLee };

inline constexpr int64_t kUntilStable = std::numeric_limits<int64_t>::max();

}  // namespace tubeskel::core
