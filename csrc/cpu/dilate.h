// Dilation on bit images by the footprints that are the same in every octant.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bit_image.h"

namespace tubeskel::cpu {

enum class FootprintShape { kDiamond, kBox, kBall };

// A footprint by its rows: half_widths[dp][dr] columns on either side of the centre, in the plane
// `dp` and the row `dr` away from it, for dp, dr = 0, 1, ... as far as it reaches.
using Footprint = std::vector<std::vector<int64_t>>;

// Voxels within `radius` of the centre in the norm of the shape. `spacing` is the distance between
// planes, rows and columns, all 1 unless the shape is a ball; a flat footprint has one plane.
Footprint make_footprint(FootprintShape shape, double radius, std::array<double, 3> spacing,
                         bool flat);

// Dilates rows [first, first + result.rows) of a plane of the source into the flat `result`.
//
// Each plane of the source in reach is widened by one pixel at a time; when it has reached the half
// width of the rows dr and -dr of the footprint it is or-ed into the result, moved by dr and -dr.
// That is about radius + 1 passes over a band that fits the cache, whatever the footprint.
void dilate_band(const BitImage& source, int64_t plane, int64_t first, const Footprint& footprint,
                 BitImage& result);

}  // namespace tubeskel::cpu
