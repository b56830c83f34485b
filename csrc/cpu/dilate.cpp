#include "dilate.h"

#include <algorithm>
#include <cstdlib>

#include "kernels.h"

namespace tubeskel::cpu {

namespace {

// or-s a band of one plane of the source, dilated within its plane, into the result.
void add_plane(const BitImage& source, int64_t plane, int64_t first,
               const std::vector<int64_t>& half_widths, BitImage& result) {
  const Kernels& kernel = kernels();
  const int64_t radius = int64_t(half_widths.size()) - 1;
  // Rows of the source that the band sees; row r of `wide` is row `start + r` of the source.
  const int64_t start = std::max<int64_t>(first - radius, 0);
  const int64_t stop = std::min(first + result.rows + radius, source.rows);
  if (stop <= start) return;
  BitImage wide(stop - start, source.columns);
  wide.clear();
  for (int64_t j = 0; j < source.strips; ++j)
    std::copy(source.strip(j, plane) + start, source.strip(j, plane) + stop, wide.strip(j));

  const auto add_moved = [&](int64_t dr) {  // result[r] |= wide[r + dr]
    const int64_t offset = first - start + dr;
    const int64_t from = std::max<int64_t>(0, -offset);
    const int64_t to = std::min(result.rows, wide.rows - offset);
    for (int64_t j = 0; j < source.strips && from < to; ++j)
      kernel.or_words(result.strip(j) + from, wide.strip(j) + from + offset, to - from);
  };
  // Half widths do not grow with dr, so the rows are met from the outside in.
  int64_t dr = radius;
  for (int64_t width = 0;; ++width) {
    for (; dr >= 0 && half_widths[dr] == width; --dr) {
      add_moved(dr);
      if (dr > 0) add_moved(-dr);
    }
    if (dr < 0) break;
    for (int64_t block = 0; block < wide.blocks; ++block)
      kernel.widen(wide.strip(0) + block * kBlockRows, wide.pitch, wide.strips);
  }
}

}  // namespace

void dilate_band(const BitImage& source, int64_t plane, int64_t first, const Footprint& footprint,
                 BitImage& result) {
  result.clear();
  const int64_t reach = int64_t(footprint.size()) - 1;
  const int64_t last = std::min(plane + reach, source.planes - 1);
  for (int64_t p = std::max<int64_t>(plane - reach, 0); p <= last; ++p)
    add_plane(source, p, first, footprint[std::abs(p - plane)], result);
}

}  // namespace tubeskel::cpu
