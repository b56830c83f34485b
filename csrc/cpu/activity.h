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
        plane_pitch_(image.blocks + 2 + kBlocksAtOnce - 1),
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
  // Free of branches, which nothing could predict: what is not to be woken stands for one that is.
  void wake(const Word* changed, int64_t j, int64_t p, int64_t b) const {
    Word any = 0;
    for (int64_t row = 0; row < kBlockRows; ++row) any |= changed[row];
    const Word top = changed[0], bottom = changed[kBlockRows - 1];
    const auto wake_column = [&](int64_t column, bool above, bool below) {
      uint8_t* const block = line(j + column, p) + b;
      set(block);
      set(block - above);
      set(block + below);
    };
    wake_column(0, top != 0, bottom != 0);
    wake_column(-int64_t(any & 1), top & 1, bottom & 1);
    wake_column(int64_t(any >> 63), top >> 63, bottom >> 63);
  }

 private:
  void set(uint8_t* block) const { __atomic_store_n(block, all_, __ATOMIC_RELAXED); }

  const uint8_t all_;
  const int64_t plane_pitch_, pitch_, size_;
  Buffer<uint8_t> bytes_;
};

}  // namespace tubeskel::cpu
