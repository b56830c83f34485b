// Tiles of bit images, and how the blocks of a cooperative grid share them.
//
// A block copies a tile and a rim of one word, row and plane around it into shared memory, works
// there, and writes the tile back. The grid goes from one step of an algorithm to the next by
// votes, one meeting of the grid each. Which tiles have something to do in a step is said by
// stamps: numbers of a step, one a tile, that only grow. A block may set a tile's stamp while the
// tile's own block reads it; both values are then right, the later one costs a look in vain.
#pragma once

#include <cooperative_groups.h>

#include <limits>

#include "bits.h"
#include "launch.h"

namespace tubeskel::cuda {

inline constexpr int kTileThreads = 128;

// 128 columns by 64 rows of a plane, or by 8 rows by 8 planes.
template <bool kFlat>
struct Tile {
  static constexpr int kPlanes = kFlat ? 1 : 8, kRows = kFlat ? 64 : 8, kWords = 4;
  static constexpr int kRim = kFlat ? 0 : 1;  // planes of the rim
  static constexpr int kRowPitch = kWords + 2, kPlanePitch = (kRows + 2) * kRowPitch;
  static constexpr int kSize = kPlanes * kRows * kWords;
  static constexpr int kPaddedSize = (kPlanes + 2 * kRim) * kPlanePitch;
  static constexpr int kPerThread = kSize / kTileThreads;

  // The j-th of the words of this thread.
  __device__ static int mine(int j) { return int(threadIdx.x) + j * kTileThreads; }
  // Where the k-th word of the tile is among the words with rim.
  __device__ static int at(int k) {
    return (plane(k) + kRim) * kPlanePitch + (row(k) + 1) * kRowPitch + word(k) + 1;
  }
  __device__ static int word(int k) { return k % kWords; }
  __device__ static int row(int k) { return k / kWords % kRows; }
  __device__ static int plane(int k) { return k / (kWords * kRows); }
};

// How a batch falls into tiles.
struct Tiling {
  unsigned planes, rows, words;  // tiles of an image along each axis
  unsigned total;
};

// Throws std::runtime_error if there are more tiles than can be counted.
template <bool kFlat>
Tiling tiling(const Shape& shape) {
  using T = Tile<kFlat>;
  const int64_t planes = (shape.planes + T::kPlanes - 1) / T::kPlanes;
  const int64_t rows = (shape.rows + T::kRows - 1) / T::kRows;
  const int64_t words = (shape.words() + T::kWords - 1) / T::kWords;
  const int64_t total = shape.images * planes * rows * words;
  if (total > std::numeric_limits<int>::max())
    throw std::runtime_error("tubeskel: " + std::to_string(total) + " tiles are too many");
  return {unsigned(planes), unsigned(rows), unsigned(words), unsigned(total)};
}

// Tiles of a batch of volumes, or of images if there is one plane.
inline int64_t tiles_of(const Shape& shape) {
  return shape.planes == 1 ? tiling<true>(shape).total : tiling<false>(shape).total;
}

// Where a tile lies, and what of it and its rim lies in the image.
template <bool kFlat>
struct Place {
  using T = Tile<kFlat>;
  int64_t first_plane, first_row, first_word;  // in the image
  int64_t row_pitch, plane_pitch;
  int64_t origin;        // of the tile's first word in a buffer
  int begin[3], end[3];  // planes, rows, words, counted from the tile's first

  __device__ Place(const Shape& shape, const Tiling& tiles, unsigned tile) {
    first_word = int64_t(tile % tiles.words) * T::kWords;
    tile /= tiles.words;
    first_row = int64_t(tile % tiles.rows) * T::kRows;
    tile /= tiles.rows;
    first_plane = int64_t(tile % tiles.planes) * T::kPlanes;
    row_pitch = shape.words();
    plane_pitch = shape.rows * row_pitch;
    origin = tile / tiles.planes * shape.words_of_image() + first_plane * plane_pitch +
             first_row * row_pitch + first_word;
    limit(0, first_plane, shape.planes, T::kPlanes);
    limit(1, first_row, shape.rows, T::kRows);
    limit(2, first_word, shape.words(), T::kWords);
  }

  __device__ bool holds(int plane, int row, int word) const {
    return plane >= begin[0] && plane < end[0] && row >= begin[1] && row < end[1] &&
           word >= begin[2] && word < end[2];
  }
  __device__ bool holds(int k) const { return holds(T::plane(k), T::row(k), T::word(k)); }
  __device__ int64_t address(int plane, int row, int word) const {
    return origin + plane * plane_pitch + row * row_pitch + word;
  }
  __device__ int64_t address(int k) const { return address(T::plane(k), T::row(k), T::word(k)); }

  // Whether there is a tile in direction (-1, 0, 1) along an axis.
  __device__ bool has_neighbour(int axis, int direction) const {
    const int extent = axis == 0 ? T::kPlanes : axis == 1 ? T::kRows : T::kWords;
    return direction == 0 || (direction < 0 ? begin[axis] < 0 : end[axis] > extent);
  }

 private:
  __device__ void limit(int axis, int64_t first, int64_t size, int extent) {
    begin[axis] = first > 0 ? -1 : 0;
    end[axis] = int(size - first < extent + 1 ? size - first : extent + 1);
  }
};

// Calls visit(i, inside, address) for each word of a tile and its rim, with its address in a buffer
// if it is inside the image.
template <bool kFlat, class Visit>
__device__ void for_each_padded(const Place<kFlat>& place, const Visit& visit) {
  using T = Tile<kFlat>;
  for (int i = threadIdx.x; i < T::kPaddedSize; i += kTileThreads) {
    const int plane = i / T::kPlanePitch - T::kRim, word = i % T::kRowPitch - 1;
    const int row = i % T::kPlanePitch / T::kRowPitch - 1;
    visit(i, place.holds(plane, row, word), place.address(plane, row, word));
  }
}

// ---- neighbours

// The tiles around a tile, and itself, that see a pixel of `changed`, its k-th word: bit
// 9 (dp + 1) + 3 (dr + 1) + dc + 1 for the direction in planes, rows, columns.
template <bool kFlat>
__device__ unsigned tiles_that_see(Word changed, int k) {
  using T = Tile<kFlat>;
  if (changed == 0) return 0;
  unsigned seen = 2;
  if (T::word(k) == 0) seen |= changed & 1;
  if (T::word(k) == T::kWords - 1) seen |= changed >> 31 << 2;
  seen = seen << 3 | (T::row(k) == 0 ? seen : 0) | (T::row(k) == T::kRows - 1 ? seen << 6 : 0);
  return seen << 9 | (T::plane(k) == 0 ? seen : 0) |
         (T::plane(k) == T::kPlanes - 1 ? seen << 18 : 0);
}

inline constexpr int kThisTile = 13;
inline constexpr int kDirections = 27;

// The tile in a direction, -1 if there is none.
template <bool kFlat>
__device__ int tile_towards(int direction, unsigned tile, const Tiling& tiles,
                            const Place<kFlat>& place) {
  const int dp = direction / 9 - 1, dr = direction / 3 % 3 - 1, dc = direction % 3 - 1;
  if (!place.has_neighbour(0, dp) || !place.has_neighbour(1, dr) || !place.has_neighbour(2, dc))
    return -1;
  return int(tile) + (dp * int(tiles.rows) + dr) * int(tiles.words) + dc;
}

// ---- work of a grid

// Calls visit(tile) by all threads of a block, for this block's share of the tiles that are wanted.
// visit must be safe to call again at once.
template <class Wanted, class Visit>
__device__ void for_each_tile(unsigned total, const Wanted& wanted, const Visit& visit) {
  __shared__ unsigned found[kTileThreads];
  __shared__ int count;
  for (uint64_t base = blockIdx.x; base < total; base += uint64_t(gridDim.x) * kTileThreads) {
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    const uint64_t tile = base + uint64_t(gridDim.x) * threadIdx.x;
    if (tile < total && wanted(tile)) found[atomicAdd(&count, 1)] = unsigned(tile);
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
  int resident = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
            &resident, reinterpret_cast<const void*>(kernel), kTileThreads, 0),
        subject);
  Launch config;
  config.grid = dim3(std::min(tiles, unsigned(resident * multiprocessors(subject))));
  config.block = dim3(kTileThreads);
  config.cooperative = true;
  return config;
}

}  // namespace tubeskel::cuda
