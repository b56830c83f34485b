// Dilation on bit images by the footprints that are the same in every quadrant.
#pragma once

#include <cstdint>
#include <vector>

#include "bit_image.h"

namespace tubeskel::cpu {

enum class Footprint { kDiamond, kBox, kBall };

// Half width of the footprint in the row `dy` away from its centre, for dy = 0 .. radius.
std::vector<int64_t> half_widths(Footprint footprint, int64_t radius);

// Dilates rows [first, first + result.rows) of the source into `result`.
//
// The source is widened by one pixel at a time; when it has reached the half width of the rows dy
// and -dy of the footprint it is or-ed into the result, moved by dy and -dy. That is radius + 1
// passes over a band that fits the cache, whatever the footprint.
void dilate_band(const BitImage& source, int64_t first, const std::vector<int64_t>& half_widths,
                 BitImage& result);

}  // namespace tubeskel::cpu
