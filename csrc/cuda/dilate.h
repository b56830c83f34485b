#pragma once

#include <vector>

#include "../core/footprint.h"
#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

// A row of a footprint in one octant: it stands for the rows +-row of the planes +-plane.
struct FootprintRow {
  int plane, row, half_width;
};

// As many rows of a footprint as a kernel can take in its parameters, which hold 4 KB.
struct FootprintPart {
  static constexpr int kCapacity = 320;
  int count;
  FootprintRow rows[kCapacity];
};

// The pixel itself.
inline constexpr FootprintPart kPoint = {1, {{0, 0, 0}}};

// Bits that are still to be dilated by some rows when they are read.
struct WidenedBits {
  const Word* bits;
  FootprintPart footprint;
};

// A footprint in parts: all its rows that can reach a pixel from another of the shape.
struct Footprint {
  std::vector<FootprintPart> parts;  // at least one

  Footprint(const core::Footprint& footprint, const Shape& shape);

  // Bytes of the buffer that `widen` takes.
  size_t spare_bytes(const Shape& shape) const {
    return parts.size() == 1 ? 0 : size_t(shape.total_words()) * sizeof(Word);
  }
  // The dilation of a batch, left to the reader where the footprint has one part; else it is queued
  // and made in `spare`. Throws std::runtime_error if a launch fails.
  WidenedBits widen(const Shape& shape, const Word* bits, Word* spare, void* stream,
                    const Subject& subject) const;
};

}  // namespace tubeskel::cuda
