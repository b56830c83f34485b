// A word of a dilated image, from the image.
//
// The rows of the footprint are taken one by one: the words of the image around the place are
// widened by the half width of the row, and joined. A row of up to 32 columns on either side reads
// three words and doubles what it covers at each step; a longer one asks each word in reach for the
// set bit that is nearest to the place.
#pragma once

#include "bits.h"
#include "dilate.h"
#include "launch.h"

namespace tubeskel::cuda {

// An image of a batch, [planes, rows, words].
struct BitsOfImage {
  const Word* bits;
  int64_t planes, rows, columns, words;
};

__device__ inline Word widened_little(Word west, Word centre, Word east, int half_width) {
  uint64_t up = uint64_t(centre) << 32 | west;  // what reaches the upper half from below
  uint64_t down = uint64_t(east) << 32 | centre;
  for (int covered = 0; covered < half_width;) {
    const int step = min(covered + 1, half_width - covered);
    up |= up << step;
    down |= down >> step;
    covered += step;
  }
  return Word(up >> 32) | Word(down);
}

__device__ inline Word widened_much(const Word* row, int64_t words, int64_t word, int half_width) {
  const int64_t reach = (half_width + kWordColumns - 1) / kWordColumns;
  const int64_t last = min(word + reach, words - 1);
  Word out = 0;
  for (int64_t other = max(word - reach, int64_t(0)); other <= last && ~out; ++other) {
    const Word bits = __ldg(row + other);
    if (bits == 0) continue;
    const int64_t offset = (other - word) * kWordColumns;
    if (other < word) {  // the highest bit covers this and all lower ones
      const int64_t to = offset + 31 - __clz(int(bits)) + half_width;
      if (to >= 0) out |= to >= 31 ? ~0u : (2u << to) - 1;
    } else {
      const int64_t from = offset + __ffs(int(bits)) - 1 - half_width;
      if (from <= 31) out |= from <= 0 ? ~0u : ~0u << from;
    }
  }
  return out;
}

__device__ inline Word widened(const Word* row, int64_t words, int64_t word, int half_width) {
  if (half_width > kWordColumns) return widened_much(row, words, word, half_width);
  const Word centre = __ldg(row + word);
  if (half_width == 0) return centre;
  const Word west = word > 0 ? __ldg(row + word - 1) : 0;
  const Word east = word + 1 < words ? __ldg(row + word + 1) : 0;
  return (west | centre | east) ? widened_little(west, centre, east, half_width) : 0;
}

__device__ inline Word dilated_word(const BitsOfImage& image, const FootprintPart& footprint,
                                    int64_t plane, int64_t row, int64_t word) {
  Word out = 0;
  for (int i = 0; i < footprint.count && ~out; ++i) {
    const FootprintRow& part = footprint.rows[i];
    for (int side = 0; side < 4; ++side) {
      if ((part.plane == 0 && side & 2) || (part.row == 0 && side & 1)) continue;
      const int64_t p = plane + (side & 2 ? part.plane : -part.plane);
      const int64_t r = row + (side & 1 ? part.row : -part.row);
      if (p < 0 || p >= image.planes || r < 0 || r >= image.rows) continue;
      out |= widened(image.bits + (p * image.rows + r) * image.words, image.words, word,
                     part.half_width);
    }
  }
  const int64_t left = image.columns - word * kWordColumns;
  return left < kWordColumns ? out & ((1u << left) - 1) : out;
}

}  // namespace tubeskel::cuda
