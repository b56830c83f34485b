#include "dilate.h"

#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace tubeskel::cpu {

std::vector<int64_t> half_widths(Footprint footprint, int64_t radius) {
  std::vector<int64_t> widths;
  for (int64_t dy = 0; dy <= radius; ++dy) {
    if (footprint == Footprint::kDiamond) {
      widths.push_back(radius - dy);
    } else if (footprint == Footprint::kBox) {
      widths.push_back(radius);
    } else {
      const int64_t square = radius * radius - dy * dy;
      int64_t width = int64_t(std::sqrt(double(square)));
      while (width * width > square) --width;
      while ((width + 1) * (width + 1) <= square) ++width;
      widths.push_back(width);
    }
  }
  return widths;
}

void dilate_band(const BitImage& source, int64_t first, const std::vector<int64_t>& half_widths,
                 BitImage& result) {
  const Kernels& kernel = kernels();
  const int64_t radius = int64_t(half_widths.size()) - 1;
  // Rows of the source that the band sees; row r of `wide` is row `start + r` of the source.
  const int64_t start = std::max<int64_t>(first - radius, 0);
  const int64_t stop = std::min(first + result.rows + radius, source.rows);
  BitImage wide(std::max<int64_t>(stop - start, 0), source.columns);
  result.clear();
  if (wide.rows == 0) return;
  wide.clear();
  for (int64_t j = 0; j < source.strips; ++j)
    std::copy(source.strip(j) + start, source.strip(j) + stop, wide.strip(j));

  const auto add_moved = [&](int64_t dy) {  // result[y] |= wide[y + dy]
    const int64_t offset = first - start + dy;
    const int64_t from = std::max<int64_t>(0, -offset);
    const int64_t to = std::min(result.rows, wide.rows - offset);
    for (int64_t j = 0; j < source.strips && from < to; ++j)
      kernel.or_words(result.strip(j) + from, wide.strip(j) + from + offset, to - from);
  };
  // Half widths do not grow with dy, so the rows are met from the outside in.
  int64_t dy = radius;
  for (int64_t width = 0;; ++width) {
    for (; dy >= 0 && half_widths[dy] == width; --dy) {
      add_moved(dy);
      if (dy > 0) add_moved(-dy);
    }
    if (dy < 0) break;
    for (int64_t block = 0; block < wide.blocks; ++block)
      kernel.widen(wide.strip(0) + block * kBlockRows, wide.pitch, wide.strips);
  }
}

}  // namespace tubeskel::cpu
