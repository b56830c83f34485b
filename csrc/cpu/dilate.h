// Dilation on bit images by the footprints that are the same in every octant.
#pragma once

#include <cstdint>

#include "../core/footprint.h"
#include "bit_image.h"

namespace tubeskel::cpu {

using core::Footprint;
using core::FootprintShape;

// Dilates rows [first, first + result.rows) of a plane of the source into the flat `result`.
//
// Each plane of the source in reach is widened by one pixel at a time; when it has reached the half
// width of the rows dr and -dr of the footprint it is or-ed into the result, moved by dr and -dr.
// That is about radius + 1 passes over a band that fits the cache, whatever the footprint.
void dilate_band(const BitImage& source, int64_t plane, int64_t first, const Footprint& footprint,
                 BitImage& result);

}  // namespace tubeskel::cpu
