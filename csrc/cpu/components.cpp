#include "components.h"

#include <algorithm>
#include <vector>

namespace tubeskel::cpu {

namespace {

struct Reached {
  int64_t strip, plane, row;
  Word bits;
};

// Removes from `remaining` all voxels that are connected to those on the stack.
void flood(BitImage& remaining, std::vector<Reached>& stack) {
  const auto take = [&](int64_t strip, int64_t plane, int64_t row, Word reach) {
    Word& word = remaining.strip(strip, plane)[row];
    const Word bits = word & reach;
    if (bits == 0) return;
    word &= ~bits;
    stack.push_back({strip, plane, row, bits});
  };
  while (!stack.empty()) {
    const Reached from = stack.back();
    stack.pop_back();
    const Word reach = from.bits | from.bits << 1 | from.bits >> 1;
    const int64_t last_plane = std::min(from.plane + 1, remaining.planes - 1);
    for (int64_t plane = std::max<int64_t>(from.plane - 1, 0); plane <= last_plane; ++plane) {
      for (int64_t row = from.row - 1; row <= from.row + 1; ++row) {  // padding has none to take
        take(from.strip, plane, row, reach);
        if (from.bits & 1) take(from.strip - 1, plane, row, Word(1) << 63);
        if (from.bits >> 63) take(from.strip + 1, plane, row, 1);
      }
    }
  }
}

template <class Visit>
void for_each_word(const BitImage& image, const Visit& visit) {
  for (int64_t strip = 0; strip < image.strips; ++strip)
    for (int64_t plane = 0; plane < image.planes; ++plane)
      for (int64_t row = 0; row < image.rows; ++row) visit(strip, plane, row);
}

}  // namespace

void restore_lost_components(BitImage& mask, BitImage& skeleton) {
  std::vector<Reached> stack;
  for_each_word(mask, [&](int64_t strip, int64_t plane, int64_t row) {
    const Word bits = skeleton.strip(strip, plane)[row];
    if (bits == 0) return;
    mask.strip(strip, plane)[row] &= ~bits;
    stack.push_back({strip, plane, row, bits});
    flood(mask, stack);
  });
  for_each_word(mask, [&](int64_t strip, int64_t plane, int64_t row) {
    while (const Word lost = mask.strip(strip, plane)[row]) {
      const Word first = lost & -lost;
      skeleton.strip(strip, plane)[row] |= first;
      mask.strip(strip, plane)[row] &= ~first;
      stack.push_back({strip, plane, row, first});
      flood(mask, stack);
    }
  });
}

}  // namespace tubeskel::cpu
