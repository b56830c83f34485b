// Lee's thinning on the device.
//
// A sub-iteration marks candidates for one border by the volume as it stands, then re-checks them
// in raster order. csrc/cpu/thin_lee.cpp shows that the order can be dropped: a candidate is
// decided from the decisions of its neighbours that come earlier in raster order, all at once,
// again and again until nothing changes, from any start. No more is needed here:
//
// - Two buffers, the volume before a sub-iteration and after it. Candidates and decisions follow
//   from them, so a tile can be looked at again at any time by anybody.
// - A block settles a tile within itself, in shared memory, and publishes it. Steps of the grid
//   ("rounds") are only needed for what one tile learns from another: in the first round a tile
//   works out the candidates of its rim too and takes them for deleted, as most are; one that sees
//   a candidate of another tile kept looks again in the next.
// - A block may read a rim while its owner publishes it. Whichever value it sees, the change stamps
//   it to look again, so the last look of every tile has seen the last decisions of all: the state
//   reproduces itself, and only the right one does.
// - The buffers swap. A tile that was changed is active for the next border, hence is written to
//   the other buffer then; all others are equal in both.
//
// A tile is active for a border if a voxel in or next to it was deleted since the last
// sub-iteration of that border began. When as many sub-iterations as there are borders have passed
// without a deletion, nothing is left to do.
//
// An image whose bits fit shared memory is thinned by one block without leaving it: one tile with
// nothing around, the same steps, no grid.
#include "thin_lee.h"

#include "../core/lee_rules.h"
#include "components.h"
#include "tiles.h"

namespace tubeskel::cuda {

namespace {

// ---- a sub-iteration in shared memory

// A part of the volume with a rim, as arrays of words.
struct Field {
  Word *before, *after;
  int row_pitch, plane_pitch;
};

// Words with candidates for the border in question.
struct Candidates {
  Word* bits;
  uint16_t* at;  // indices into the field
  int* count;
};

// Planes of the neighbourhood of a word. Rows that come earlier in raster order, and the western
// part of its own, are taken from `earlier`, the rest from `later`.
template <bool kFlat>
__device__ core::Neighbourhood<Word> neighbourhood(const Word* earlier, const Word* later,
                                                   const Field& field) {
  core::Neighbourhood<Word> p;
  TUBESKEL_UNROLL(9)
  for (int i = 0; i < 9; ++i) {
    if (kFlat && i / 3 != 1) {
      p.n[3 * i] = p.n[3 * i + 1] = p.n[3 * i + 2] = 0;
      continue;
    }
    const Word* const row = (i <= 4 ? earlier : later) + (i / 3 - 1) * field.plane_pitch +
                            (i % 3 - 1) * field.row_pitch;
    p.n[3 * i] = core::west_plane(row[0], row[-1]);
    p.n[3 * i + 1] = row[0];
    p.n[3 * i + 2] = core::east_plane(row[0], row[1]);
  }
  p.n[14] = core::east_plane(later[0], later[1]);
  return p;
}

// Plane of the neighbours across a border.
template <int kBorder>
__device__ Word across(const Word* word, const Field& field) {
  constexpr int kFace = core::face_neighbour(kBorder);
  const Word* const row =
      word + (kFace / 9 - 1) * field.plane_pitch + (kFace / 3 % 3 - 1) * field.row_pitch;
  if (kFace % 3 == 0) return core::west_plane(row[0], row[-1]);
  return kFace % 3 == 1 ? row[0] : core::east_plane(row[0], row[1]);
}

// Appends to a list by all threads of a warp: the place for this thread, if it wants one.
__device__ int append(bool wanted, int* count) {
  const unsigned lanes = __ballot_sync(kAllLanes, wanted);
  if (lanes == 0) return 0;
  const int lane = threadIdx.x % kWarp;
  int first = 0;
  if (lane == 0) first = atomicAdd(count, __popc(lanes));
  return __shfl_sync(kAllLanes, first, 0) + __popc(lanes & ((1u << lane) - 1));
}

// Lists the candidates among some words, the k-th being at where.at(k), and guesses that all go.
// Only those that this block owns are to be decided. Returns the length of the list.
template <bool kFlat, int kBorder, class Where>
__device__ int find_at(const Field& field, const Candidates& found, const Where& where) {
  if (threadIdx.x == 0) *found.count = 0;
  __syncthreads();
  for (int first = 0; first < where.words; first += blockDim.x) {
    const int k = first + threadIdx.x, i = k < where.words ? where.at(k) : where.at(0);
    const Word border = field.before[i] & ~across<kBorder>(field.before + i, field);
    const bool is_listed = k < where.words && border;
    const int place = append(is_listed, found.count);
    if (is_listed) found.at[place] = uint16_t(i);
  }
  __syncthreads();
  const int count = *found.count;
  for (int k = threadIdx.x; k < count; k += blockDim.x) {
    const int i = found.at[k];
    const Word* const word = field.before + i;
    const Word bits = core::lee_candidates(neighbourhood<kFlat>(word, word, field), kBorder);
    if (where.guess) field.after[i] = *word & ~bits;
    found.bits[k] = where.owns(i) ? bits : 0;
  }
  __syncthreads();
  return count;
}

template <bool kFlat, class Where>
__device__ int find(int border, const Field& field, const Candidates& found, const Where& where) {
  switch (border) {
    case 0:
      return find_at<kFlat, 0>(field, found, where);
    case 1:
      return find_at<kFlat, 1>(field, found, where);
    case 2:
      return find_at<kFlat, 2>(field, found, where);
    case 3:
      return find_at<kFlat, 3>(field, found, where);
    case 4:
      return find_at<kFlat, 4>(field, found, where);
    default:
      return find_at<kFlat, 5>(field, found, where);
  }
}

// Decides the candidates again and again until no decision changes.
template <bool kFlat>
__device__ void settle(const Field& field, const Candidates& found, int count) {
  bool unsettled;
  do {
    unsettled = false;
    for (int first = 0; first < count; first += blockDim.x) {
      const int k = first + threadIdx.x, i = k < count ? found.at[k] : 0;
      const Word candidates = k < count ? found.bits[k] : 0;
      Word* const after = field.after + i;
      Word decided = 0;
      if (candidates) {
        const Word* const before = field.before + i;
        decided =
            *before &
            ~(candidates & core::at_most_one_component(neighbourhood<kFlat>(after, before, field)));
      }
      const bool changed = candidates && decided != *after;
      __syncthreads();
      if (changed) *after = decided;
      unsettled |= __syncthreads_or(changed) != 0;
    }
  } while (unsettled);
}

// ---- large images: tiles, shared by a grid

enum : unsigned { kDeleted = 1, kDoubt = 2 };
constexpr int kNever = -6;  // stamp of a tile that holds nothing: active for no sub-iteration

// In device memory.
struct Volumes {
  Word *bits, *other;     // `other` is anything at first, both are the skeleton at last
  int* changed_at;        // by tile: the last sub-iteration that deleted in or next to it
  unsigned* doubtful_at;  // by tile: the last turn in which it has to look again
  unsigned* said;         // for Vote; stamps and this are zero at first
};

// Where to find candidates: the tile, and at first also the words of the rim that come earlier in
// raster order than some of its own.
template <class T>
struct WhereInTile {
  static constexpr int kMost =
      (T::kPlanes + (T::kIsFlat ? 0 : 1)) * (T::kRows + 2) * (T::kWords + 2);
  const bool guess;
  const int words = guess ? kMost : T::kOwned;

  __device__ int at(int k) const { return guess ? at<1>(k) : at<0>(k); }
  template <int kRim>
  __device__ static int at(int k) {
    constexpr int kRows = T::kRows + 2 * kRim, kWords = T::kWords + 2 * kRim;
    return T::at(k / (kRows * kWords) - (T::kIsFlat ? 0 : kRim), k / kWords % kRows - kRim,
                 k % kWords - kRim);
  }
  __device__ bool owns(int i) const { return T::owns(i); }
};

template <bool kFlat>
__global__ void __launch_bounds__(kTileThreads, 4)
    thin_tiles_kernel(Tiling tiles, Volumes volumes) {
  using T = Tile<kFlat, 2, 2, 1>;
  constexpr int kMost = WhereInTile<T>::kMost;
  // The outermost words of the rim are asked for a word beyond, though no bit of it matters.
  __shared__ Word padded_before[T::kSize + 2], padded_after[T::kSize + 2], candidate_bits[kMost];
  Word *const before = padded_before + 1, *const after = padded_after + 1;
  __shared__ uint16_t candidate_at[kMost];
  __shared__ int candidate_count;
  __shared__ unsigned see_deletion, see_change;
  const Field field{before, after, T::kRowPitch, T::kPlanePitch};
  const Candidates candidates{candidate_bits, candidate_at, &candidate_count};
  const int borders = kFlat ? 4 : 6;
  Vote vote(volumes.said);
  Word *from = volumes.bits, *to = volumes.other;
  int last_deletion = 0;

  // Numbers start at one, so that all tiles are active for each border at first.
  for (int number = 1; number - last_deletion <= borders; ++number) {
    const int border = (number - 1) % borders;
    bool first_round = true;
    unsigned said = 0, answer = 0;

    const auto wanted = [&](unsigned tile) {
      return first_round ? __ldcg(volumes.changed_at + tile) + borders >= number
                         : __ldcg(volumes.doubtful_at + tile) >= vote.turn();
    };
    const auto look = [&](unsigned tile) {
      const Place<T> place(tiles, tile);
      if (threadIdx.x == 0) see_deletion = see_change = 0;
      bool is_empty = true;
      for (int i = threadIdx.x; i < T::kSize; i += kTileThreads) {
        const bool inside = place.holds(i);
        before[i] = inside ? __ldcg(from + place.address(i)) : 0;
        after[i] = first_round ? before[i] : inside ? __ldcg(to + place.address(i)) : 0;
        if (before[i] && T::owns(i)) is_empty = false;
      }
      if (__syncthreads_and(is_empty)) {
        for (int j = 0; j < T::kPerThread; ++j)
          if (place.holds(T::mine(j))) __stcg(to + place.address(T::mine(j)), Word(0));
        if (threadIdx.x == 0) __stcg(volumes.changed_at + tile, kNever);
        return;
      }
      const int count = find<kFlat>(border, field, candidates, WhereInTile<T>{first_round});
      Word expected[T::kPerThread];  // by others
      for (int j = 0; j < T::kPerThread; ++j) expected[j] = after[T::mine(j)];
      settle<kFlat>(field, candidates, count);

      for (int j = 0; j < T::kPerThread; ++j) {
        const int mine = T::mine(j);
        const Word word = after[mine], changed = word ^ expected[j], deleted = word ^ before[mine];
        if ((first_round || changed) && place.holds(mine)) __stcg(to + place.address(mine), word);
        if (deleted) atomicOr(&see_deletion, tiles_that_see<T>(deleted, mine));
        if (changed) atomicOr(&see_change, tiles_that_see<T>(changed, mine));
      }
      __syncthreads();
      const int direction = int(threadIdx.x);
      const int neighbour = direction < kDirections ? place.neighbour(direction) : -1;
      if (neighbour >= 0 && see_deletion >> direction & 1) {
        __stcg(volumes.changed_at + neighbour, number);
        said |= kDeleted;
      }
      // Later in raster order are these planes and the next.
      if (neighbour >= 0 && see_change >> direction & 1 && direction >= 9 &&
          direction != kThisTile) {
        __stcg(volumes.doubtful_at + neighbour, vote.turn() + 1);
        said |= kDoubt;
      }
      __syncthreads();
    };

    do {
      said = 0;
      for_each_tile(tiles.total, wanted, look);
      answer = vote.any(said);
      if (answer & kDeleted) last_deletion = number;
      first_round = false;
    } while (answer & kDoubt);
    Word* const swapped = from;
    from = to;
    to = swapped;
  }
}

// ---- small images: one block each

constexpr int kMostThreads = 512;
constexpr int64_t kMostWords = 1 << 15;  // a place among them has 16 bits

// Words of an image among zeros: one on either side of a row, which the next row shares, and rows
// and planes alike.
template <bool kFlat>
struct Padded {
  int words, rows, planes;
  int row_pitch, plane_pitch, first, size;

  __host__ __device__ explicit Padded(const Shape& shape)
      : words(int(shape.words())),
        rows(int(shape.rows)),
        planes(int(shape.planes)),
        row_pitch(words + 1),
        plane_pitch((rows + 1) * row_pitch),
        first((kFlat ? 0 : plane_pitch) + row_pitch + 1),
        size((planes + (kFlat ? 0 : 2)) * plane_pitch + row_pitch + 1) {}
};

// Where to find candidates: from the first word to the last, as padding holds no border voxels.
struct WhereInImage {
  int first, words;
  static constexpr bool guess = true;
  __device__ int at(int k) const { return first + k; }
  __device__ bool owns(int) const { return true; }
};

// The shared memory of a block: the field before and after, candidates, their places, their number.
template <bool kFlat>
size_t shared_bytes(const Shape& shape) {
  const size_t words = size_t(shape.words_of_image());
  return sizeof(int) + sizeof(Word) * (2 * size_t(Padded<kFlat>(shape).size) + words) +
         sizeof(uint16_t) * words;
}

template <bool kFlat>
__global__ void __launch_bounds__(kMostThreads, 1) thin_images_kernel(Shape shape, Word* bits) {
  const Padded<kFlat> padded(shape);
  const int words = int(shape.words_of_image());
  int* const candidate_count = reinterpret_cast<int*>(dynamic_shared());
  Word* const before = reinterpret_cast<Word*>(candidate_count + 1);
  Word* const after = before + padded.size;
  Word* const candidate_bits = after + padded.size;
  const Field field{before, after, padded.row_pitch, padded.plane_pitch};
  const Candidates candidates{candidate_bits, reinterpret_cast<uint16_t*>(candidate_bits + words),
                              candidate_count};
  const auto at = [&](int k) {
    const int row = k / padded.words;
    return padded.first + row / padded.rows * padded.plane_pitch +
           row % padded.rows * padded.row_pitch + k % padded.words;
  };
  const WhereInImage where{padded.first, padded.size - 2 * padded.first};

  for (int64_t image = blockIdx.x; image < shape.images; image += gridDim.x) {
    Word* const here = bits + image * words;
    for (int i = threadIdx.x; i < padded.size; i += blockDim.x) before[i] = after[i] = 0;
    __syncthreads();
    for (int k = threadIdx.x; k < words; k += blockDim.x) before[at(k)] = after[at(k)] = here[k];
    __syncthreads();

    const int borders = kFlat ? 4 : 6;
    for (int border = 0, unchanged = 0; unchanged < borders; border = (border + 1) % borders) {
      const int count = find<kFlat>(border, field, candidates, where);
      settle<kFlat>(field, candidates, count);
      bool deleted = false;
      for (int k = threadIdx.x; k < count; k += blockDim.x) {
        const int i = candidates.at[k];
        deleted |= before[i] != after[i];
        before[i] = after[i];
      }
      unchanged = __syncthreads_or(deleted) ? 0 : unchanged + 1;
    }

    for (int k = threadIdx.x; k < words; k += blockDim.x) here[k] = before[at(k)];
    __syncthreads();
  }
}

// ---- the host's side

__global__ void copy_kernel(const Word* from, Word* to, int64_t words) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < words; i += step)
    to[i] = from[i];
}

void copy(const Word* from, Word* to, int64_t words, void* stream, const Subject& subject) {
  constexpr int64_t kThreads = 256, kMostBlocks = 1 << 16;
  const int64_t blocks = std::min((words + kThreads - 1) / kThreads, kMostBlocks);
  launch(subject, {dim3(unsigned(blocks)), dim3(kThreads)}, stream, copy_kernel, from, to, words);
}

// Bytes of stamps and votes.
size_t stamp_bytes(const Shape& shape) {
  return (2 * tiles_of(shape) + 3) * sizeof(unsigned);
}
size_t bit_bytes(const Shape& shape) {
  return size_t(shape.total_words()) * sizeof(Word);
}

template <bool kFlat>
void thin_tiles(const Shape& shape, Word* bits, void* workspace, void* stream,
                const Subject& subject) {
  const Tiling tiles = tiling<kFlat>(shape);
  Volumes volumes;
  volumes.changed_at = static_cast<int*>(workspace);
  volumes.doubtful_at = reinterpret_cast<unsigned*>(volumes.changed_at) + tiles.total;
  volumes.said = volumes.doubtful_at + tiles.total;
  volumes.bits = bits;
  volumes.other = volumes.said + 3;
  check(cudaMemsetAsync(workspace, 0, stamp_bytes(shape), static_cast<cudaStream_t>(stream)),
        subject);
  launch(subject, cooperative(subject, thin_tiles_kernel<kFlat>, tiles.total), stream,
         thin_tiles_kernel<kFlat>, tiles, volumes);
}

template <bool kFlat>
void thin(const Shape& shape, Word* bits, void* workspace, void* stream, const Subject& subject) {
  const int64_t words = shape.words_of_image();
  if (words > kMostWords || shared_bytes<kFlat>(shape) > shared_memory_per_block(subject))
    return thin_tiles<kFlat>(shape, bits, workspace, stream, subject);
  Launch config;
  config.grid = dim3(unsigned(std::min<int64_t>(shape.images, 1 << 30)));
  const int64_t threads = (words / 4 + kWarp - 1) / kWarp * kWarp;
  config.block = dim3(unsigned(std::clamp<int64_t>(threads, kWarp, kMostThreads)));
  config.shared = shared_bytes<kFlat>(shape);
  launch(subject, config, stream, thin_images_kernel<kFlat>, shape, bits);
}

}  // namespace

size_t lee_workspace(const Shape& shape, bool keep_components) {
  const size_t thinning = stamp_bytes(shape) + bit_bytes(shape);
  if (!keep_components) return thinning;
  return bit_bytes(shape) + std::max(thinning, components_workspace(shape));
}

void thin_lee(const Shape& shape, bool keep_components, Word* bits, void* workspace, void* stream,
              const Subject& subject) {
  if (shape.total_words() == 0) return;
  Word* const mask = static_cast<Word*>(workspace);
  if (keep_components) {
    copy(bits, mask, shape.total_words(), stream, subject);
    workspace = mask + shape.total_words();
  }
  if (shape.planes == 1)
    thin<true>(shape, bits, workspace, stream, subject);
  else
    thin<false>(shape, bits, workspace, stream, subject);
  if (keep_components) restore_lost_components(shape, mask, bits, workspace, stream, subject);
}

}  // namespace tubeskel::cuda
