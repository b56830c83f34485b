#include "dilate.h"

#include <algorithm>
#include <cstdlib>

#include "kernels.h"

namespace tubeskel::cpu {

namespace {

// A row that a footprint sees from the one in question, as far away as it says.
struct SeenRow {
  int64_t plane, row, half_width;
};

// The rows of existing planes that are seen from a plane, the widest first.
std::vector<SeenRow> seen_rows(const BitImage& source, int64_t plane, const Footprint& footprint) {
  std::vector<SeenRow> seen;
  const int64_t planes = int64_t(footprint.size()) - 1;
  const int64_t from = std::max(-planes, -plane), to = std::min(planes, source.planes - 1 - plane);
  for (int64_t dp = from; dp <= to; ++dp) {
    const std::vector<int64_t>& half_widths = footprint[std::abs(dp)];
    const int64_t rows = int64_t(half_widths.size()) - 1;
    for (int64_t dr = -rows; dr <= rows; ++dr) seen.push_back({dp, dr, half_widths[std::abs(dr)]});
  }
  std::sort(seen.begin(), seen.end(),
            [](const SeenRow& a, const SeenRow& b) { return a.half_width > b.half_width; });
  return seen;
}

}  // namespace

void dilate_band(const BitImage& source, int64_t plane, int64_t first, const Footprint& footprint,
                 BitImage& result) {
  const std::vector<SeenRow> seen = seen_rows(source, plane, footprint);
  const Buffer<Word> spare((source.strips + 2) * kBlockRows);
  // All blocks see the same as long as nothing beyond the padding is in reach.
  const int64_t together = footprint[0].size() <= kBlockRows + 1 ? result.blocks : 1;
  std::vector<Reach> reaches;
  for (int64_t block = 0; block < result.blocks; block += together) {
    const int64_t row = first + block * kBlockRows;
    reaches.clear();
    for (const SeenRow& s : seen)
      if (row + s.row >= -kBlockRows && row + s.row <= source.blocks * kBlockRows)
        reaches.push_back({s.plane * source.plane_pitch + s.row, s.half_width});
    kernels().dilate(source.strip(0, plane) + row, source.pitch, source.strips, together,
                     reaches.data(), int64_t(reaches.size()), spare.get(),
                     result.strip(0) + block * kBlockRows, result.pitch);
  }
}

}  // namespace tubeskel::cpu
