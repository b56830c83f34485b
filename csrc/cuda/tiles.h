// Tiles of bit images, and how the blocks of a cooperative grid share them.
//
// A block copies a tile and a rim around it into shared memory, works there, and writes the tile
// back. The grid goes from one step of an algorithm to the next by votes, one
// meeting of the grid each. Which tiles have something to do in a step is said by stamps: numbers
// of a step, one a tile, that only grow. A block may set a tile's stamp while the tile's own block
// reads it; both values are then right, the later one costs a look in vain.
#pragma once

#include <cooperative_groups.h>

#include <limits>

#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

inline constexpr int kTileThreads = 128;

// 128 columns by 64 rows of an image, or by 8 rows by 8 planes of a volume.
template <bool kFlat>
struct TileSize {
  static constexpr int kPlanes = kFlat ? 1 : 8, kRows = kFlat ? 64 : 8, kWords = 4;
  static constexpr int kOwned = kPlanes * kRows * kWords;
  static constexpr int kPerThread = kOwned / kTileThreads;
};

// A tile in shared memory, with a rim of one word, of some rows on both sides, and in a volume of
// some planes before and behind.
template <bool kFlat, int kRimRows, int kRimBefore, int kRimBehind>
struct Tile : TileSize<kFlat> {
  using TileSize<kFlat>::kPlanes, TileSize<kFlat>::kRows, TileSize<kFlat>::kWords;
  static constexpr bool kIsFlat = kFlat;
  static constexpr int kAbove = kRimRows, kBefore = kFlat ? 0 : kRimBefore;
  static constexpr int kRowPitch = kWords + 2, kPlanePitch = (kRows + 2 * kAbove) * kRowPitch;
  static constexpr int kSize = (kBefore + kPlanes + (kFlat ? 0 : kRimBehind)) * kPlanePitch;

  // Index of a word, counted from the tile's first along each axis, and back.
  __device__ static int at(int plane, int row, int word) {
    return (plane + kBefore) * kPlanePitch + (row + kAbove) * kRowPitch + word + 1;
  }
  __device__ static int plane(int i) { return i / kPlanePitch - kBefore; }
  __device__ static int row(int i) { return i % kPlanePitch / kRowPitch - kAbove; }
  __device__ static int word(int i) { return i % kRowPitch - 1; }
  // The j-th word of this thread.
  __device__ static int mine(int j) {
    const int k = int(threadIdx.x) + j * kTileThreads;
    return at(k / (kRows * kWords), k / kWords % kRows, k % kWords);
  }
  __device__ static bool owns(int i) {
    return unsigned(plane(i)) < kPlanes && unsigned(row(i)) < kRows && unsigned(word(i)) < kWords;
  }
};

// How a batch falls into tiles.
struct Tiling {
  int64_t planes, rows, words;  // of an image
  int64_t plane_pitch, image_pitch;
  unsigned tile_planes, tile_rows, tile_words;  // tiles of an image along each axis
  unsigned total;
};

// Throws std::runtime_error if there are more tiles than can be counted.
template <bool kFlat>
Tiling tiling(const Shape& shape) {
  const auto tiles = [](int64_t size, int64_t extent) { return (size + extent - 1) / extent; };
  const int64_t planes = tiles(shape.planes, TileSize<kFlat>::kPlanes);
  const int64_t rows = tiles(shape.rows, TileSize<kFlat>::kRows);
  const int64_t words = tiles(shape.words(), TileSize<kFlat>::kWords);
  const int64_t total = shape.images * planes * rows * words;
  if (total > std::numeric_limits<int>::max())
    throw std::runtime_error("tubeskel: " + std::to_string(total) + " tiles are too many");
  return {shape.planes,           shape.rows,       shape.words(),  shape.rows * shape.words(),
          shape.words_of_image(), unsigned(planes), unsigned(rows), unsigned(words),
          unsigned(total)};
}

// Tiles of a batch of volumes, or of images if there is one plane.
inline size_t tiles_of(const Shape& shape) {
  return shape.planes == 1 ? tiling<true>(shape).total : tiling<false>(shape).total;
}

// Where a tile lies, and what of it and its rim is in the image.
template <class T>
class Place {
 public:
  __device__ Place(const Tiling& tiles, unsigned tile)
      : tiles_(tiles),
        tile_(tile),
        planes_(first_plane(), tiles.planes),
        rows_(first_row(), tiles.rows),
        words_(first_word(), tiles.words),
        origin_(tile / (tiles.tile_words * tiles.tile_rows * tiles.tile_planes) *
                    tiles.image_pitch +
                first_plane() * tiles.plane_pitch + first_row() * tiles.words + first_word()) {}

  // In the image.
  __device__ int64_t first_word() const { return int64_t(tile_ % tiles_.tile_words) * T::kWords; }
  __device__ int64_t first_row() const {
    return int64_t(tile_ / tiles_.tile_words % tiles_.tile_rows) * T::kRows;
  }
  __device__ int64_t first_plane() const {
    return int64_t(tile_ / (tiles_.tile_words * tiles_.tile_rows) % tiles_.tile_planes) *
           T::kPlanes;
  }

  __device__ bool holds(int i) const {
    return planes_.holds(T::plane(i)) && rows_.holds(T::row(i)) && words_.holds(T::word(i));
  }
  // Of word i, in a buffer.
  __device__ int64_t address(int i) const {
    return origin_ + T::plane(i) * tiles_.plane_pitch + T::row(i) * tiles_.words + T::word(i);
  }
  // The tile in direction 9 (dp + 1) + 3 (dr + 1) + dc + 1, -1 if there is none.
  __device__ int neighbour(int direction) const {
    const int dp = direction / 9 - 1, dr = direction / 3 % 3 - 1, dc = direction % 3 - 1;
    const bool is_there = planes_.holds(dp * T::kPlanes) && rows_.holds(dr * T::kRows) &&
                          words_.holds(dc * T::kWords);
    const int step = (dp * int(tiles_.tile_rows) + dr) * int(tiles_.tile_words) + dc;
    return is_there ? int(tile_) + step : -1;
  }

 private:
  // The image along an axis, counted from the tile's first; as far as a tile can ask for.
  struct Range {
    static constexpr int kFar = 1 << 10;
    int begin;
    unsigned size;
    __device__ Range(int64_t first, int64_t all)
        : begin(first < kFar ? -int(first) : -kFar),
          size(unsigned((all - first < kFar ? int(all - first) : kFar) - begin)) {}
    __device__ bool holds(int i) const { return unsigned(i - begin) < size; }
  };
  const Tiling& tiles_;
  const unsigned tile_;
  const Range planes_, rows_, words_;
  const int64_t origin_;
};

// ---- neighbours

inline constexpr int kThisTile = 13, kDirections = 27;

// The tiles that see a pixel of `changed`, a part of word i of a tile: one bit a direction.
template <class T>
__device__ unsigned tiles_that_see(Word changed, int i) {
  if (changed == 0) return 0;
  const int plane = T::plane(i), row = T::row(i), word = T::word(i);
  unsigned seen = 2;
  if (word == 0) seen |= changed & 1;
  if (word == T::kWords - 1) seen |= changed >> 31 << 2;
  seen = seen << 3 | (row == 0 ? seen : 0) | (row == T::kRows - 1 ? seen << 6 : 0);
  return seen << 9 | (plane == 0 ? seen : 0) | (plane == T::kPlanes - 1 ? seen << 18 : 0);
}

// ---- work of a grid

// Calls visit(tile) by all threads of a block, for this block's share of the tiles that are wanted.
template <class Wanted, class Visit>
__device__ __forceinline__ void for_each_tile(unsigned total, const Wanted& wanted,
                                              const Visit& visit) {
  __shared__ unsigned found[kTileThreads];
  __shared__ int count;
  for (unsigned base = blockIdx.x; base < total; base += gridDim.x * kTileThreads) {
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    const unsigned tile = base + gridDim.x * threadIdx.x;
    if (tile < total && wanted(tile)) found[atomicAdd(&count, 1)] = tile;
    __syncthreads();
    const int n = count;
    for (int i = 0; i < n; ++i) visit(found[i]);
    __syncthreads();
  }
}

// "What did any block say?", asked by all threads of a grid at the same points of the program. One
// meeting of the grid a vote.
class Vote {
 public:
  // said: three words of device memory, zero.
  __device__ explicit Vote(unsigned* said) : said_(said) {}
  __device__ unsigned turn() const { return turn_; }
  // Bits that any thread of the first warp of any block said.
  __device__ unsigned any(unsigned mine) {
    unsigned* const said = said_ + turn_ % 3;
    if (threadIdx.x < kWarp) {
      for (int step = kWarp / 2; step > 0; step /= 2)
        mine |= __shfl_xor_sync(kAllLanes, mine, step);
      if (threadIdx.x == 0 && mine) atomicOr(said, mine);
    }
    cooperative_groups::this_grid().sync();
    const unsigned result = __ldcg(said);
    // Nobody reads the word of the last turn any more, and it is next used after another vote.
    if (blockIdx.x == 0 && threadIdx.x == 0) __stcg(said_ + (turn_ + 2) % 3, 0u);
    ++turn_;
    return result;
  }

 private:
  unsigned* const said_;
  unsigned turn_ = 0;
};

// A cooperative launch for so many tiles.
template <class... Parameters>
Launch cooperative(const Subject& subject, void (*kernel)(Parameters...), unsigned tiles) {
  Launch config;
  config.block = dim3(kTileThreads);
  config.cooperative = true;
  config.grid = dim3(unsigned(std::min<int64_t>(tiles, resident_blocks(subject, config, kernel))));
  return config;
}

}  // namespace tubeskel::cuda
