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
template <bool kFlat>
__device__ Word widened(const Word* word) {
  using T = Tile<kFlat>;
  Word west = 0, centre = 0, east = 0;
  TUBESKEL_UNROLL(3)
  for (int plane = -T::kRim; plane <= T::kRim; ++plane) {
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
__global__ void __launch_bounds__(kTileThreads)
    restore_lost_components_kernel(Shape shape, Tiling tiles, Order order, Flood data) {
  using T = Tile<kFlat>;
  __shared__ Word reached[T::kPaddedSize];
  __shared__ unsigned seen;
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
      const Place<kFlat> place(shape, tiles, tile);
      if (threadIdx.x == 0) seen = 0;
      const Word* const from = first_round && everywhere ? data.skeleton : data.reached;
      for_each_padded(place, [&](int i, bool inside, int64_t address) {
        reached[i] = inside ? __ldcg(from + address) : 0;
      });
      Word allowed[T::kPerThread], published[T::kPerThread];
      for (int j = 0; j < T::kPerThread; ++j) {
        const int k = T::mine(j);
        allowed[j] = place.holds(k) ? __ldcg(data.mask + place.address(k)) : 0;
      }
      __syncthreads();
      for (int j = 0; j < T::kPerThread; ++j) published[j] = reached[T::at(T::mine(j))];

      bool grows;
      do {
        Word more[T::kPerThread];
        for (int j = 0; j < T::kPerThread; ++j) {
          const Word* const word = reached + T::at(T::mine(j));
          more[j] = allowed[j] & ~*word ? allowed[j] & ~*word & widened<kFlat>(word) : 0;
        }
        __syncthreads();
        grows = false;
        for (int j = 0; j < T::kPerThread; ++j) {
          if (more[j] == 0) continue;
          reached[T::at(T::mine(j))] |= more[j];
          grows = true;
        }
      } while (__syncthreads_or(grows));

      unsigned seen_here = 0;
      for (int j = 0; j < T::kPerThread; ++j) {
        const int k = T::mine(j);
        const Word word = reached[T::at(k)], changed = word ^ published[j];
        if ((from != data.reached || changed) && place.holds(k))
          __stcg(data.reached + place.address(k), word);
        seen_here |= tiles_that_see<kFlat>(changed, k);
      }
      if (seen_here) atomicOr(&seen, seen_here);
      __syncthreads();
      if (threadIdx.x < kDirections && threadIdx.x != kThisTile && seen >> threadIdx.x & 1) {
        const int other = tile_towards(int(threadIdx.x), tile, tiles, place);
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
    said = 0;
    for_each_tile(
        tiles.total, [&](unsigned tile) { return everywhere || __ldcg(data.lost + tile); },
        [&](unsigned tile) {
          const Place<kFlat> place(shape, tiles, tile);
          bool lost = false;
          for (int j = 0; j < T::kPerThread; ++j) {
            const int k = T::mine(j);
            if (!place.holds(k)) continue;
            const int64_t address = place.address(k);
            const auto zeros = [&](int level) {
              return order.zeros(level, place.first_plane + T::plane(k),
                                 place.first_row + T::row(k), place.first_word + T::word(k));
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
          lost = __syncthreads_or(lost);
          if (threadIdx.x == 0 && lost) {
            __stcg(data.lost + tile, 1u);
            said = 1;
          }
        });
    if (!vote.any(said)) return;
  }
}

struct Layout {
  int64_t words, tiles;
  explicit Layout(const Shape& shape) : words(shape.total_words()), tiles(tiles_of(shape)) {}
  size_t zeros() const { return (2 * size_t(tiles) + 3) * sizeof(unsigned); }
  size_t bytes() const { return zeros() + size_t(words) * sizeof(Word); }
};

template <bool kFlat>
void restore(const Shape& shape, const Flood& data, void* stream, const Subject& subject) {
  const Tiling tiles = tiling<kFlat>(shape);
  launch(subject, cooperative(subject, restore_lost_components_kernel<kFlat>, tiles.total), stream,
         restore_lost_components_kernel<kFlat>, shape, tiles, Order(shape), data);
}

}  // namespace

size_t components_workspace(const Shape& shape) {
  return Layout(shape).bytes();
}

void restore_lost_components(const Shape& shape, Word* mask, Word* skeleton, void* workspace,
                             void* stream, const Subject& subject) {
  if (shape.total_words() == 0) return;
  const Layout layout(shape);
  Flood data;
  data.mask = mask;
  data.skeleton = skeleton;
  data.doubtful_at = static_cast<unsigned*>(workspace);
  data.lost = data.doubtful_at + layout.tiles;
  data.said = data.lost + layout.tiles;
  data.reached = data.said + 3;
  check(cudaMemsetAsync(workspace, 0, layout.zeros(), static_cast<cudaStream_t>(stream)), subject);
  if (shape.planes == 1)
    restore<true>(shape, data, stream, subject);
  else
    restore<false>(shape, data, stream, subject);
}

}  // namespace tubeskel::cuda
