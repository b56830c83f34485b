// Which blocks of a bit image have to be looked at again: one byte a block.
//
// A byte may be set by several threads, always to the same value, while its owner only reads it;
// the steps of an algorithm are separated by barriers.
#pragma once

#include <cstring>

#include "bit_image.h"

namespace tubeskel::cpu {

class Activity {
 public:
  Activity(const BitImage& image, uint8_t all, uint8_t initial)
      : all_(all),
        plane_pitch_(image.blocks + 2 + 7),  // read eight at a time, never into the next line
        pitch_((image.planes + 2) * plane_pitch_),
        size_((image.strips + 2) * pitch_),
        bytes_(size_) {
    std::memset(bytes_.get(), initial, size_t(size_));
  }

  // Bytes of the blocks of a plane of a strip. Those one before and behind in each direction exist,
  // are set at will and never looked at.
  uint8_t* line(int64_t j, int64_t p) const {
    return bytes_.get() + (j + 1) * pitch_ + (p + 1) * plane_pitch_ + 1;
  }

  // Sets the blocks of a plane that see a pixel of `changed`, the eight words of block (j, p, b).
  void wake(const Word* changed, int64_t j, int64_t p, int64_t b) const {
    Word any = 0;
    for (int64_t row = 0; row < kBlockRows; ++row) any |= changed[row];
    const Word top = changed[0], bottom = changed[kBlockRows - 1];
    wake_column(line(j, p) + b, top != 0, bottom != 0);
    if (any & 1) wake_column(line(j - 1, p) + b, top & 1, bottom & 1);
    if (any >> 63) wake_column(line(j + 1, p) + b, top >> 63, bottom >> 63);
  }

 private:
  void wake_column(uint8_t* block, bool above, bool below) const {
    set(block);
    if (above) set(block - 1);
    if (below) set(block + 1);
  }
  void set(uint8_t* block) const { __atomic_store_n(block, all_, __ATOMIC_RELAXED); }

  const uint8_t all_;
  const int64_t plane_pitch_, pitch_, size_;
  Buffer<uint8_t> bytes_;
};

}  // namespace tubeskel::cpu
