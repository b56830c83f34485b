// A part of an image in shared memory, and the sub-iterations of thinning on it.
//
// The image is divided into blocks of 32 x 32 pixels: a word of 32 rows, a row for each lane of a
// warp. A tile of blocks is held twice, for a sub-iteration reads one copy and writes the other
// (Jacobi), so that one barrier ends it. Words lie in columns, one row behind the other: a warp
// reads the nine words around its own without bank conflicts, and decides 1024 pixels by a circuit
// of 10 to 18 three-input operations.
//
// A block is looked at only if a pixel in or next to it was deleted since the same sub-iteration
// last saw it. Each block has a lane that remembers which of the two sub-iterations are due; a
// deletion wakes the blocks that see it. A block that is not due is the same in both copies.
#pragma once

#include "../core/deletion_rules.h"
#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

inline constexpr int kBlockRows = 32;
inline constexpr int kMaxTileWarps = 32;
inline constexpr int kMaxTileBlocks = kMaxTileWarps * kWarp;  // one a lane

struct Zhang {
  template <int kPhase>
  static __device__ Word deletable(const core::Neighbours<Word>& p) {
    return kPhase == 0 ? core::zhang_first(p) : core::zhang_second(p);
  }
};

struct GuoHall {
  template <int kPhase>
  static __device__ Word deletable(const core::Neighbours<Word>& p) {
    return kPhase == 0 ? core::guo_hall_first(p) : core::guo_hall_second(p);
  }
};

// Blocks [down, down + height) x [across, across + width) of an image.
struct Blocks {
  int down, across, height, width;

  __host__ __device__ int count() const { return height * width; }
};

// How the tile lies in shared memory: columns of words, one column and row more on every side,
// which are read but never change; and a flag for each block, again with a rim.
struct TileLayout {
  int height, width;  // in blocks

  __host__ __device__ int pitch() const {
    return height * kBlockRows + 3;
  }  // odd, against conflicts
  __host__ __device__ int words() const { return (width + 2) * pitch(); }
  __host__ __device__ int flags() const { return (width + 2) * (height + 2); }
  __host__ __device__ size_t bytes() const {
    return 2 * (size_t(words()) * sizeof(Word) + size_t(flags()));
  }
};

// All members are called by all threads of a block, of at most kMaxTileWarps warps, that has a lane
// for each block held.
class ThinningTile {
 public:
  __device__ explicit ThinningTile(const Blocks& held)
      : held_(held), layout_{held.height, held.width}, pitch_(layout_.pitch()) {
    copies_[0] = reinterpret_cast<Word*>(dynamic_shared());
    copies_[1] = copies_[0] + layout_.words();
    woken_[0] = reinterpret_cast<uint8_t*>(copies_[1] + layout_.words());
    woken_[1] = woken_[0] + layout_.flags();
    const int warps = int(blockDim.x) / kWarp, lane = int(threadIdx.x) % kWarp;
    const int block = int(threadIdx.x) / kWarp + lane * warps;
    const int down = block / held.width, across = block % held.width;
    owner_ = block < held.count();
    place_ = (across + 1) * pitch_ + down * kBlockRows + 1;
    flag_ = (down + 1) * (held.width + 2) + across + 1;
  }

  // Reads the blocks held of an image, [rows, words].
  __device__ void load(const Word* image, int rows, int words) {
    for (int i = threadIdx.x; i < 2 * layout_.flags(); i += blockDim.x) woken_[0][i] = 0;
    __syncthreads();
    const int width = held_.width + 2, height = held_.height * kBlockRows + 2;
    const int first_row = held_.down * kBlockRows - 1, first_word = held_.across - 1;
#pragma unroll 4
    for (int i = threadIdx.x; i < width * height; i += blockDim.x) {
      const int down = i / width, across = i % width;
      const int row = first_row + down, word = first_word + across;
      const bool inside = row >= 0 && row < rows && word >= 0 && word < words;
      const Word bits = inside ? __ldcg(image + int64_t(row) * words + word) : 0;
      const int at = across * pitch_ + down;
      copies_[0][at] = copies_[1][at] = bits;
      if (bits) woken_[0][(down + kBlockRows - 1) / kBlockRows * width + across] = 1;
    }
    due_ = 0;
    __syncthreads();
  }

  // At most so many iterations of two sub-iterations, until one deletes nothing. Returns whether
  // the last one still deleted.
  template <class Rules>
  __device__ bool thin(int64_t iterations) {
    bool active = true;
    for (int64_t i = 0; active && i < iterations; ++i) {
      bool deleted = sub_iteration<Rules, 0>();
      __syncthreads();
      deleted |= sub_iteration<Rules, 1>();
      active = __syncthreads_or(deleted);
    }
    return active;
  }

  // Writes some of the blocks held. Returns whether they differ from the image that was loaded.
  __device__ bool store(const Blocks& blocks, const Word* loaded, Word* image, int rows,
                        int words) const {
    const int first_row = blocks.down * kBlockRows;
    const int last_row = min(first_row + blocks.height * kBlockRows, rows);
    const int count = (last_row - first_row) * blocks.width;
    const int offset =
        (blocks.across - held_.across + 1) * pitch_ + (blocks.down - held_.down) * kBlockRows + 1;
    bool changed = false;
#pragma unroll 4
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
      const int down = i / blocks.width, across = i % blocks.width;
      const Word bits = copies_[0][offset + across * pitch_ + down];
      const int64_t at = int64_t(first_row + down) * words + blocks.across + across;
      changed |= bits != __ldcg(loaded + at);
      image[at] = bits;
    }
    return __syncthreads_or(changed);
  }

 private:
  // Returns whether this warp deleted anything.
  template <class Rules, int kPhase>
  __device__ bool sub_iteration() {
    const Word* const from = copies_[kPhase];
    Word* const to = copies_[1 - kPhase];
    uint8_t* const woken = woken_[kPhase];
    uint8_t* const wake = woken_[1 - kPhase];
    const int lane = int(threadIdx.x) % kWarp;
    if (owner_ && woken[flag_]) {
      woken[flag_] = 0;
      due_ = 3;
    }
    unsigned active = __ballot_sync(kAllLanes, due_ >> kPhase & 1);
    due_ &= ~(1 << kPhase);
    bool any = false;
    for (; active; active &= active - 1) {
      const int owner = __ffs(int(active)) - 1;
      const int at = __shfl_sync(kAllLanes, place_, owner) + lane;
      const core::RowOfWords<Word> here = row(from + at);
      const Word deleted = here.centre & Rules::template deletable<kPhase>(core::neighbours(
                                             row(from + at - 1), here, row(from + at + 1)));
      to[at] = here.centre ^ deleted;
      const unsigned rows = __ballot_sync(kAllLanes, deleted != 0);
      if (rows == 0) continue;
      any = true;
      const bool west = __any_sync(kAllLanes, deleted & 1);
      const bool east = __any_sync(kAllLanes, deleted >> 31);
      const int flag = __shfl_sync(kAllLanes, flag_, owner);
      if (lane < 9) {  // one for each block around, and the block itself
        const int down = lane / 3 - 1, across = lane % 3 - 1;
        const bool sees_row = down == 0 || (down < 0 ? rows & 1 : rows >> 31);
        const bool sees_column = across == 0 || (across < 0 ? west : east);
        if (sees_row && sees_column) wake[flag + down * (held_.width + 2) + across] = 1;
      }
    }
    return any;
  }

  __device__ core::RowOfWords<Word> row(const Word* word) const {
    return {word[-pitch_], word[0], word[pitch_]};
  }

  Blocks held_;
  TileLayout layout_;
  int pitch_;
  Word* copies_[2];
  uint8_t* woken_[2];
  // Of the block that this lane looks after: whether there is one, the places of its first word
  // and of its flag, and which sub-iterations have to look at it.
  bool owner_;
  int place_, flag_;
  int due_ = 0;
};

}  // namespace tubeskel::cuda
