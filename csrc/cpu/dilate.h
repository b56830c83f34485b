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
// Horner's scheme: the rows of the source that the footprint sees widest are or-ed together,
// widened by a pixel, the rows that it sees one less wide are added, and so on. So each row in
// reach is read once, and one row of blocks at a time is widened as often as the footprint is wide.
void dilate_band(const BitImage& source, int64_t plane, int64_t first, const Footprint& footprint,
                 BitImage& result);

}  // namespace tubeskel::cpu
