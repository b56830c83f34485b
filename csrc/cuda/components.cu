// Lost components without labels.
//
// A flood from the skeleton through the mask reaches the components that have a voxel left; what it
// does not reach was lost. To find the first voxel of each lost component no labels are needed
// either, only floods on bits. At first all voxels of a component are in question. Take the bits of
// a voxel's place in the order, the highest first. Flood from the voxels in question whose bit is
// zero: in the components that this reaches, those whose bit is one are out. In the others all have
// a one, and nothing happens. After the last bit one voxel of each component is left, its first,
// for all components of all images at once.
//
// A flood runs in tiles: a block floods a tile to the end in shared memory, and tiles that see a
// change look again in the next round. If nothing was lost, the usual case, that is one flood over
// all tiles and a look at what is left; bits of a place are only asked of tiles with lost voxels.
#include "components.h"

#include "../core/neighbours.h"
#include "tiles.h"

namespace tubeskel::cuda {

namespace {

// The order of voxels as a number, the highest bits first: strip, plane, row, column in the strip.
struct Order {
  int strip_bits, plane_bits, row_bits;

  static int bits_below(int64_t n) {  // of numbers below n
    int bits = 0;
    while (int64_t(1) << bits < n) ++bits;
    return bits;
  }
  explicit Order(const Shape& shape)
      : strip_bits(bits_below((shape.words() + 1) / 2)),
        plane_bits(bits_below(shape.planes)),
        row_bits(bits_below(shape.rows)) {}

  __device__ int levels() const { return strip_bits + plane_bits + row_bits + 6; }
  // Which voxels of a word have a zero, level 0 being the highest bit.
  __device__ Word zeros(int level, int64_t plane, int64_t row, int64_t word) const {
    if (level < strip_bits) return zero_or_all(word / 2, strip_bits - 1 - level);
    level -= strip_bits;
    if (level < plane_bits) return zero_or_all(plane, plane_bits - 1 - level);
    level -= plane_bits;
    if (level < row_bits) return zero_or_all(row, row_bits - 1 - level);
    level -= row_bits;
    if (level == 0) return zero_or_all(word, 0);
    // The columns of a word whose bit 5 - level is zero: runs of as many as it is worth.
    return ~Word(0) / ((Word(1) << (1 << (5 - level))) + 1);
  }

 private:
  __device__ static Word zero_or_all(int64_t number, int bit) {
    return number >> bit & 1 ? 0 : ~Word(0);
  }
};

struct Flood {
  Word *mask, *skeleton, *reached;
  unsigned* doubtful_at;  // by tile: the last turn in which it has to look again
  unsigned* lost;         // by tile: whether it has lost voxels
  unsigned* said;         // for Vote; this and the stamps are zero at first
};

// A word and what is next to it.
template <class T>
__device__ Word widened(const Word* word) {
  constexpr int kRim = T::kIsFlat ? 0 : 1;
  Word west = 0, centre = 0, east = 0;
  TUBESKEL_UNROLL(3)
  for (int plane = -kRim; plane <= kRim; ++plane) {
    TUBESKEL_UNROLL(3)
    for (int row = -1; row <= 1; ++row) {
      const Word* const p = word + plane * T::kPlanePitch + row * T::kRowPitch;
      west |= p[-1];
      centre |= p[0];
      east |= p[1];
    }
  }
  return centre | core::west_plane(centre, west) | core::east_plane(centre, east);
}

template <bool kFlat>
__global__ void __launch_bounds__(kTileThreads, 6)
    restore_lost_components_kernel(Tiling tiles, Order order, Flood data) {
  using T = Tile<kFlat, 1, 1, 1>;
  __shared__ Word reached[T::kSize];
  __shared__ unsigned see_change;
  Vote vote(data.said);

  // The first flood is from the skeleton through the mask, the next are from the voxels in question
  // that have a zero at a level, through what was lost.
  for (int level = -1; level < order.levels(); ++level) {
    const bool everywhere = level < 0;
    bool first_round = true;
    unsigned said = 0;

    const auto wanted = [&](unsigned tile) {
      return first_round ? everywhere || __ldcg(data.lost + tile)
                         : __ldcg(data.doubtful_at + tile) >= vote.turn();
    };
    const auto flood = [&](unsigned tile) {
      const Place<T> place(tiles, tile);
      const bool from_skeleton = everywhere && first_round;
      const Word* const from = from_skeleton ? data.skeleton : data.reached;
      if (threadIdx.x == 0) see_change = 0;
      for (int i = threadIdx.x; i < T::kSize; i += kTileThreads)
        reached[i] = place.holds(i) ? __ldcg(from + place.address(i)) : 0;
      Word mask[T::kPerThread], word[T::kPerThread], expected[T::kPerThread];
      for (int j = 0; j < T::kPerThread; ++j) {
        const int mine = T::mine(j);
        mask[j] = place.holds(mine) ? __ldcg(data.mask + place.address(mine)) : 0;
      }
      __syncthreads();
      for (int j = 0; j < T::kPerThread; ++j) word[j] = expected[j] = reached[T::mine(j)];

      bool grows;
      do {
        grows = false;
        for (int j = 0; j < T::kPerThread; ++j) {
          if ((mask[j] & ~word[j]) == 0) continue;
          const Word wider = word[j] | (mask[j] & widened<T>(reached + T::mine(j)));
          grows |= wider != word[j];
          word[j] = wider;
        }
        __syncthreads();
        for (int j = 0; j < T::kPerThread; ++j) reached[T::mine(j)] = word[j];
      } while (__syncthreads_or(grows));

      for (int j = 0; j < T::kPerThread; ++j) {
        const int mine = T::mine(j);
        const Word changed = word[j] ^ expected[j];
        if ((from_skeleton || changed) && place.holds(mine))
          __stcg(data.reached + place.address(mine), word[j]);
        if (changed) atomicOr(&see_change, tiles_that_see<T>(changed, mine));
      }
      __syncthreads();
      if (threadIdx.x < kDirections && threadIdx.x != kThisTile && see_change >> threadIdx.x & 1) {
        const int other = place.neighbour(int(threadIdx.x));
        if (other >= 0) {
          __stcg(data.doubtful_at + other, vote.turn() + 1);
          said = 1;
        }
      }
      __syncthreads();
    };
    do {
      said = 0;
      for_each_tile(tiles.total, wanted, flood);
      first_round = false;
    } while (vote.any(said));

    // What this level settles, and the seeds of the next.
    const auto settle = [&](unsigned tile) {
      const Place<T> place(tiles, tile);
      bool lost = false;
      for (int j = 0; j < T::kPerThread; ++j) {
        const int mine = T::mine(j);
        if (!place.holds(mine)) continue;
        const int64_t address = place.address(mine);
        const auto zeros = [&](int level) {
          return order.zeros(level, place.first_plane() + T::plane(mine),
                             place.first_row() + T::row(mine), place.first_word() + T::word(mine));
        };
        const Word connected = __ldcg(data.reached + address);
        Word left = __ldcg(data.mask + address), kept = __ldcg(data.skeleton + address);
        if (everywhere) {
          left &= ~connected;
          kept |= left;
          __stcg(data.mask + address, left);
        } else {
          kept &= ~(left & connected & ~zeros(level));
        }
        __stcg(data.skeleton + address, kept);
        if (level + 1 < order.levels())
          __stcg(data.reached + address, kept & left & zeros(level + 1));
        lost |= left != 0;
      }
      if (__syncthreads_or(lost) && threadIdx.x == 0) {
        __stcg(data.lost + tile, 1u);
        said = 1;
      }
    };
    said = 0;
    first_round = true;
    for_each_tile(tiles.total, wanted, settle);
    if (!vote.any(said)) return;
  }
}

// Bytes of stamps and votes.
size_t stamp_bytes(const Shape& shape) {
  return (2 * tiles_of(shape) + 3) * sizeof(unsigned);
}

template <bool kFlat>
void restore(const Shape& shape, Word* mask, Word* skeleton, void* workspace, void* stream,
             const Subject& subject) {
  const Tiling tiles = tiling<kFlat>(shape);
  Flood data;
  data.mask = mask;
  data.skeleton = skeleton;
  data.doubtful_at = static_cast<unsigned*>(workspace);
  data.lost = data.doubtful_at + tiles.total;
  data.said = data.lost + tiles.total;
  data.reached = data.said + 3;
  check(cudaMemsetAsync(workspace, 0, stamp_bytes(shape), static_cast<cudaStream_t>(stream)),
        subject);
  launch(subject, cooperative(subject, restore_lost_components_kernel<kFlat>, tiles.total), stream,
         restore_lost_components_kernel<kFlat>, tiles, Order(shape), data);
}

}  // namespace

size_t components_workspace(const Shape& shape) {
  return stamp_bytes(shape) + size_t(shape.total_words()) * sizeof(Word);
}

void restore_lost_components(const Shape& shape, Word* mask, Word* skeleton, void* workspace,
                             void* stream, const Subject& subject) {
  if (shape.total_words() == 0) return;
  if (shape.planes == 1)
    restore<true>(shape, mask, skeleton, workspace, stream, subject);
  else
    restore<false>(shape, mask, skeleton, workspace, stream, subject);
}

}  // namespace tubeskel::cuda
