// The footprints of a dilation that are the same in every octant. Host code.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tubeskel::core {

enum class FootprintShape { kDiamond, kBox, kBall };

// A footprint by its rows: half_widths[dp][dr] columns on either side of the centre, in the plane
// `dp` and the row `dr` away from it, for dp, dr = 0, 1, ... as far as it reaches.
using Footprint = std::vector<std::vector<int64_t>>;

// Voxels within `radius` of the centre in the norm of the shape. `spacing` is the distance between
// planes, rows and columns, all 1 unless the shape is a ball; a flat footprint has one plane.
inline Footprint make_footprint(FootprintShape shape, double radius, std::array<double, 3> spacing,
                                bool flat) {
  // Columns on either side, negative if the row is out of reach.
  const auto half_width = [&](double dp, double dr) {
    const double p = dp * spacing[0], r = dr * spacing[1];
    if (shape == FootprintShape::kDiamond) return radius - p - r;
    if (shape == FootprintShape::kBox) return std::max(p, r) <= radius ? radius : -1.0;
    const double square = radius * radius - p * p - r * r;
    if (square < 0) return -1.0;
    // The root is corrected where rounding took it across a whole number of columns.
    double width = std::floor(std::sqrt(square) / spacing[2]);
    const auto reaches = [&](double w) { return w * spacing[2] * (w * spacing[2]) <= square; };
    while (width > 0 && !reaches(width)) --width;
    while (reaches(width + 1)) ++width;
    return width;
  };
  Footprint footprint;
  for (int64_t dp = 0; half_width(double(dp), 0) >= 0 && !(flat && dp > 0); ++dp) {
    std::vector<int64_t> rows;
    for (int64_t dr = 0; half_width(double(dp), double(dr)) >= 0; ++dr)
      rows.push_back(int64_t(half_width(double(dp), double(dr))));
    footprint.push_back(rows);
  }
  return footprint;
}

}  // namespace tubeskel::core
