// Thinning of 2D images, many sub-iterations for one read of the image.
//
// Where a tile (thin_tile.h) holds a whole image, its thread block thins it alone, until nothing
// changes. Otherwise the image is cut into tiles, and a tile is read with one more block, its halo,
// on every side. What is wrong at the edge for want of neighbours moves inwards by a pixel a
// sub-iteration; so after 32 the tile proper is still right, and is written to the other of two
// copies of the image. Then all thread blocks meet (the launch is cooperative), and start the next
// round. A tile is skipped if it and those around it did not change in the round before: it would
// not change now, and is the same in both copies. All is done after a round in which every tile
// came to rest. So the host is never asked, and a graph can hold the launch.
//
// What must be done: an active block costs a warp 9 loads and a store of shared memory, 6 shifts, a
// circuit of 10 or 18 operations, and about 15 instructions around them. The bits of the image are
// read and written once a round, from the L2 cache: a quarter of a byte a pixel.
#include "thin.h"

#include <cooperative_groups.h>

#include <algorithm>
#include <limits>

#include "thin_tile.h"

namespace tubeskel::cuda {

namespace {

constexpr int kRoundIterations = kBlockRows / 2;

__host__ __device__ constexpr int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

// How an image is cut into tiles; all in blocks.
struct Cut {
  int down, across;  // of the image
  int tile_down, tile_across;

  __host__ __device__ int tiles_down() const { return ceil_div(down, tile_down); }
  __host__ __device__ int tiles_across() const { return ceil_div(across, tile_across); }
  __host__ __device__ int tiles() const { return tiles_down() * tiles_across(); }
};

struct Job {
  Cut cut;
  int rows, words;
  int64_t tiles;  // of all images
  int64_t max_iterations;
  // Two copies of the images, and whether a tile changed, for even and odd rounds. The first copy
  // is what comes in and goes out.
  Word *bits, *other_bits;
  uint8_t *changed, *other_changed;
  unsigned* unsettled;  // [3]: whether any tile did not come to rest, for the rounds in turn
};

class TileOfJob {
 public:
  __device__ TileOfJob(const Job& job, int64_t index)
      : cut_(job.cut), first_of_image_(index / job.cut.tiles() * job.cut.tiles()) {
    const int tile = int(index - first_of_image_);
    down_ = tile / cut_.tiles_across();
    across_ = tile % cut_.tiles_across();
    offset_ = index / cut_.tiles() * job.rows * job.words;
  }

  // Where the image begins.
  __device__ int64_t offset() const { return offset_; }
  __device__ Blocks proper() const { return with_rim(0); }
  __device__ Blocks held() const { return with_rim(1); }

  // Whether it or a tile around it changed; for all threads of a block.
  __device__ bool changed_nearby(const uint8_t* changed) const {
    bool found = false;
    if (threadIdx.x < 9) {
      const int down = down_ + int(threadIdx.x) / 3 - 1,
                across = across_ + int(threadIdx.x) % 3 - 1;
      if (down >= 0 && down < cut_.tiles_down() && across >= 0 && across < cut_.tiles_across())
        found = __ldcg(changed + first_of_image_ + down * cut_.tiles_across() + across);
    }
    return __syncthreads_or(found);
  }

 private:
  __device__ Blocks with_rim(int rim) const {
    const int top = max(down_ * cut_.tile_down - rim, 0);
    const int left = max(across_ * cut_.tile_across - rim, 0);
    const int bottom = min((down_ + 1) * cut_.tile_down + rim, cut_.down);
    const int right = min((across_ + 1) * cut_.tile_across + rim, cut_.across);
    return {top, left, bottom - top, right - left};
  }

  Cut cut_;
  int64_t first_of_image_, offset_;
  int down_, across_;
};

// A thread block for each image.
template <class Rules>
__global__ void __launch_bounds__(kMaxTileWarps* kWarp, 1) thin_whole(Job job) {
  const TileOfJob part(job, blockIdx.x);
  Word* const image = job.bits + part.offset();
  ThinningTile tile(part.held());
  tile.load(image, job.rows, job.words);
  tile.thin<Rules>(job.max_iterations);
  tile.store(part.proper(), image, image, job.rows, job.words);
}

// Returns whether the tile did not come to rest.
template <class Rules>
__device__ bool thin_tile(const Job& job, int64_t index, int64_t round) {
  const bool odd = round % 2;
  const Word* const from = odd ? job.other_bits : job.bits;
  Word* const to = odd ? job.bits : job.other_bits;
  const TileOfJob part(job, index);
  bool changed = false, active = false;
  if (round == 0 || part.changed_nearby(odd ? job.changed : job.other_changed)) {
    const Word* const image = from + part.offset();
    ThinningTile tile(part.held());
    tile.load(image, job.rows, job.words);
    const int64_t left = job.max_iterations - round * kRoundIterations;
    active = tile.thin<Rules>(left < kRoundIterations ? left : kRoundIterations);
    changed = tile.store(part.proper(), image, to + part.offset(), job.rows, job.words);
  }
  if (threadIdx.x == 0) (odd ? job.other_changed : job.changed)[index] = changed;
  return active;
}

// Copies a tile, should it have changed in the last round, to where results are expected.
__device__ void bring_home(const Job& job, int64_t index) {
  if (!__ldcg(job.changed + index)) return;
  const TileOfJob part(job, index);
  const Blocks blocks = part.proper();
  const int rows = min(blocks.height * kBlockRows, job.rows - blocks.down * kBlockRows);
  for (int i = threadIdx.x; i < rows * blocks.width; i += blockDim.x) {
    const int64_t row = blocks.down * kBlockRows + i / blocks.width;
    const int64_t at = part.offset() + row * job.words + blocks.across + i % blocks.width;
    job.bits[at] = __ldcg(job.other_bits + at);
  }
}

template <class Rules>
__global__ void __launch_bounds__(kMaxTileWarps* kWarp, 1) thin_tiles(Job job) {
  const auto grid = cooperative_groups::this_grid();
  int64_t round = 0;
  for (bool done = false; !done; ++round) {
    bool active = false;
    for (int64_t index = blockIdx.x; index < job.tiles; index += gridDim.x)
      active |= thin_tile<Rules>(job, index, round);
    if (threadIdx.x == 0) {
      if (active) atomicOr(job.unsettled + round % 3, 1u);
      if (blockIdx.x == 0) job.unsettled[(round + 1) % 3] = 0;  // last read two rounds ago
    }
    grid.sync();
    done =
        !__ldcg(job.unsettled + round % 3) || (round + 1) * kRoundIterations >= job.max_iterations;
  }
  if (round % 2 == 0) return;
  for (int64_t index = blockIdx.x; index < job.tiles; index += gridDim.x) bring_home(job, index);
}

// ---- the choice of a cut

struct Device {
  int multiprocessors;
  size_t shared;
};

int warps_for(int blocks) {
  return std::min(blocks, kMaxTileWarps);
}

// Blocks held for a tile of a cut, with the halo where there is one.
TileLayout layout_of(const Cut& cut) {
  return {std::min(cut.down, cut.tile_down + 2), std::min(cut.across, cut.tile_across + 2)};
}

// Cycles of a sub-iteration in which every block is active. The constants are counts of
// instructions and of latencies in a row, not measurements.
double cost_of(const Cut& cut, int64_t images, const Device& device) {
  constexpr double kActiveBlock = 15, kSubIteration = 350, kRound = 4500.0 / kBlockRows;
  const TileLayout layout = layout_of(cut);
  const int held = layout.height * layout.width;
  const int64_t tiles = images * cut.tiles();
  const int64_t together = int64_t(device.multiprocessors) * (kMaxTileWarps / warps_for(held));
  const double turns = double((tiles + together - 1) / together);
  const double blocks =
      double((tiles + device.multiprocessors - 1) / device.multiprocessors) * held;
  return turns * kSubIteration + blocks * kActiveBlock + (cut.tiles() > 1 ? kRound : 0);
}

// Tiles of sides 1, 2, 3, 4, 6, 8, ..., made even over the image.
Cut choose_cut(int down, int across, int64_t images, const Device& device) {
  Cut best = {down, across, 1, 1};
  double least = std::numeric_limits<double>::infinity();
  const auto longer = [](int side) {
    return side + std::max(1, side & (side - 1) ? side / 3 : side / 2);
  };
  for (int d = 1, wide = 0; wide < down && d <= kMaxTileBlocks; wide = d, d = longer(d))
    for (int a = 1, broad = 0; broad < across && a <= kMaxTileBlocks; broad = a, a = longer(a)) {
      const Cut cut = {down, across, ceil_div(down, ceil_div(down, d)),
                       ceil_div(across, ceil_div(across, a))};
      const TileLayout layout = layout_of(cut);
      if (layout.height * layout.width > kMaxTileBlocks || layout.bytes() > device.shared) break;
      const double cost = cost_of(cut, images, device);
      if (cost < least) best = cut, least = cost;
    }
  return best;
}

// ---- the workspace: three counters, a copy of the bits, two flags for each tile

constexpr size_t kCounterBytes = 16;

size_t bytes_of_bits(const Shape& shape) {
  return size_t(shape.total_words()) * sizeof(Word);
}
int64_t blocks_down(const Shape& shape) {
  return (shape.rows + kBlockRows - 1) / kBlockRows;
}

template <class Rules>
void queue(Job job, int64_t images, void* stream, const Subject& subject) {
  const TileLayout layout = layout_of(job.cut);
  const dim3 block(unsigned(warps_for(layout.height * layout.width) * kWarp));
  if (job.cut.tiles() == 1)
    return launch(subject, {dim3(unsigned(images)), block, layout.bytes()}, stream,
                  thin_whole<Rules>, job);
  check(cudaMemsetAsync(job.unsettled, 0, kCounterBytes, static_cast<cudaStream_t>(stream)),
        subject);
  Launch shape = {dim3(), block, layout.bytes(), true};
  const int64_t resident = resident_blocks(subject, shape, thin_tiles<Rules>);
  shape.grid = dim3(unsigned(std::min(job.tiles, resident)));
  launch(subject, shape, stream, thin_tiles<Rules>, job);
}

}  // namespace

size_t thin_workspace(const Shape& shape) {
  return kCounterBytes + bytes_of_bits(shape) +
         2 * size_t(shape.images * blocks_down(shape) * shape.words());
}

void thin(const Shape& shape, core::Method method, int64_t max_iterations, Word* bits,
          void* workspace, void* stream, const Subject& subject) {
  if (shape.total_words() == 0 || max_iterations == 0) return;
  const Device device = {multiprocessors(subject), shared_memory_per_block(subject)};
  Job job;
  job.cut = choose_cut(int(blocks_down(shape)), int(shape.words()), shape.images, device);
  job.rows = int(shape.rows);
  job.words = int(shape.words());
  job.tiles = shape.images * job.cut.tiles();
  job.max_iterations = max_iterations;
  unsigned char* const space = static_cast<unsigned char*>(workspace);
  job.unsettled = reinterpret_cast<unsigned*>(space);
  job.bits = bits;
  job.other_bits = reinterpret_cast<Word*>(space + kCounterBytes);
  job.changed = space + kCounterBytes + bytes_of_bits(shape);
  job.other_changed = job.changed + job.tiles;
  if (method == core::Method::kZhang)
    queue<Zhang>(job, shape.images, stream, subject);
  else
    queue<GuoHall>(job, shape.images, stream, subject);
}

}  // namespace tubeskel::cuda
