// From pixels of any type to one bit a pixel, at the speed of memory.
//
// Rows need not start on any boundary, loads of 16 bytes must. So the array is read as one stream
// of pixels, from the boundary at or before its first; a block turns a tile of the stream to bits
// in shared memory, and then cuts out those words of rows that start in its tile. A word that
// starts at the end of the tile needs up to 32 pixels more, which the block reads too.
//
// Each pixel is read once and one bit written: s + 1/8 bytes for items of s bytes. Foreground is
// decided for all pixels of a register at once, with about 4 operations a byte for plain bytes, so
// that memory stays the limit.
#undef NDEBUG  // invalid values are caught in release builds too
#include "pack_bits.h"

#include <cassert>

#include "../core/foreground.h"
#include "chunk.h"

namespace tubeskel::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kTileChunks = 4 * kThreads;

struct Job {
  const unsigned char* stream;  // the boundary at or before the first pixel
  int64_t head;                 // pixels of the stream before the image
  int64_t rows, columns, words, row_words;
  core::Foreground foreground;
  unsigned long long* first_invalid;
  Word* out;
};

// Position of the first word of a row that starts at or behind a pixel, counted through all rows.
struct Start {
  int64_t row, word;
};

__device__ Start start_behind(const Job& job, int64_t pixel) {
  if (pixel <= 0) return {0, 0};
  const int64_t row = quotient(pixel, job.columns);
  if (row >= job.rows) return {job.rows, 0};
  return {row, (pixel - row * job.columns + kWordColumns - 1) / kWordColumns};
}

template <int kBytes>
__device__ Chunk<kBytes> load_chunk(const Job& job, int64_t chunk) {
  constexpr int kItems = Chunk<kBytes>::kItems;
  const int64_t first = chunk * kItems - job.head, pixels = job.rows * job.columns;
  const unsigned char* const from = job.stream + chunk * kChunkBytes;
  if (first >= 0 && first + kItems <= pixels) return Chunk<kBytes>::load(from);
  Chunk<kBytes> part = {};
#pragma unroll
  for (int i = 0; i < kItems; ++i)
    if (first + i >= 0 && first + i < pixels)
      part.set(i, reinterpret_cast<const typename Item<kBytes>::Type*>(from)[i]);
  return part;
}

__device__ void report_invalid(const Job& job, int64_t pixel) {
  assert(job.first_invalid && "NaN, or a label out of range; TUBESKEL_SYNC_CHECKS=1 says which");
  atomicMin(job.first_invalid, (unsigned long long)pixel);
}

// Foreground bits of a chunk.
template <int kBytes>
__device__ uint32_t bits_of_chunk(const Job& job, int64_t chunk, const Chunk<kBytes>& pixels) {
  using Lanes = core::ForegroundLanes<typename Chunk<kBytes>::U, kBytes>;
  const Lanes lanes(job.foreground);
  uint32_t bits = 0, invalid = 0;
#pragma unroll
  for (int i = 0; i < Chunk<kBytes>::kWords; ++i) {
    bits |= Lanes::bits_of(lanes.foreground(pixels.words[i])) << (i * Lanes::kLanes);
    invalid |= Lanes::bits_of(lanes.invalid(pixels.words[i])) << (i * Lanes::kLanes);
  }
  if (invalid)
    report_invalid(job, chunk * Chunk<kBytes>::kItems - job.head + __ffs(int(invalid)) - 1);
  return bits;
}

// Puts the bits of a chunk in its place among those of the tile; by all lanes of a warp, whose
// chunks are neighbours.
template <int kBytes>
__device__ void put(unsigned char* tile, int chunk, uint32_t bits, bool inside) {
  constexpr int kItems = Chunk<kBytes>::kItems;
  if constexpr (kItems == 16) {
    if (inside) reinterpret_cast<uint16_t*>(tile)[chunk] = uint16_t(bits);
  } else {
    // The chunks of a byte are gathered in the lane of the first.
    for (int n = kItems; n < 8; n *= 2) bits |= __shfl_down_sync(kAllLanes, bits, n / kItems) << n;
    if (inside && chunk % (8 / kItems) == 0) tile[chunk / (8 / kItems)] = uint8_t(bits);
  }
}

template <int kBytes>
__global__ void __launch_bounds__(kThreads) pack_kernel(Job job) {
  constexpr int kItems = Chunk<kBytes>::kItems;
  constexpr int kTilePixels = kTileChunks * kItems;
  constexpr int kChunks = kTileChunks + int(kWordColumns) / kItems;
  constexpr int kTurns = (kChunks + kThreads - 1) / kThreads;
  __shared__ Word tile[kTilePixels / kWordColumns + 1];
  __shared__ Start first, end;
  job.foreground.wanted += blockIdx.y;
  job.out += int64_t(blockIdx.y) * job.rows * job.row_words;

  const int thread = threadIdx.x;
  const int64_t tile_chunk = int64_t(blockIdx.x) * kTileChunks;
  const int64_t tile_pixel = tile_chunk * kItems - job.head;
  Chunk<kBytes> chunks[kTurns];
#pragma unroll
  for (int i = 0; i < kTurns; ++i)
    if (i * kThreads + thread < kChunks)
      chunks[i] = load_chunk<kBytes>(job, tile_chunk + i * kThreads + thread);
  if (thread == 0) {
    first = start_behind(job, tile_pixel);
    end = start_behind(job, tile_pixel + kTilePixels);
  }
#pragma unroll
  for (int i = 0; i < kTurns; ++i) {
    const int chunk = i * kThreads + thread;
    const bool inside = chunk < kChunks;
    const uint32_t bits = inside ? bits_of_chunk<kBytes>(job, tile_chunk + chunk, chunks[i]) : 0;
    put<kBytes>(reinterpret_cast<unsigned char*>(tile), chunk, bits, inside);
  }
  __syncthreads();

  const unsigned words = unsigned(job.words);
  const int64_t origin = first.row * job.columns - tile_pixel;
  const unsigned count = unsigned((end.row - first.row) * job.words + end.word - first.word);
  for (unsigned i = thread; i < count; i += kThreads) {
    const unsigned ahead = unsigned(first.word) + i, row = ahead / words, word = ahead % words;
    const int64_t column = int64_t(word) * kWordColumns;
    const int pixel = int(origin + row * job.columns + column);
    const int at = pixel / int(kWordColumns);
    Word bits = __funnelshift_r(tile[at], tile[at + 1], pixel % int(kWordColumns));
    if (job.columns - column < kWordColumns) bits &= (1u << (job.columns - column)) - 1;
    Word* const out = job.out + (first.row + row) * job.row_words + word;
    *out = bits;
    if (word + 1 == words)
      for (int64_t j = job.words; j < job.row_words; ++j) out[j - word] = 0;
  }
}

}  // namespace

void pack_bits(const Shape& shape, const Pixels& pixels, int64_t classes, int64_t row_words,
               Word* out, void* stream, const Subject& subject) {
  if (shape.total_pixels() == 0) return;
  for_item_size(pixels.item_size, [&](auto size) {
    constexpr int kBytes = decltype(size)::value;
    const auto address = reinterpret_cast<uintptr_t>(pixels.data);
    const uintptr_t ahead = address % kChunkBytes;
    const Job job = {reinterpret_cast<const unsigned char*>(address - ahead),
                     int64_t(ahead) / kBytes,
                     shape.images * shape.planes * shape.rows,
                     shape.columns,
                     shape.words(),
                     row_words,
                     pixels.foreground,
                     pixels.first_invalid,
                     out};
    const int64_t stream_pixels = job.head + shape.total_pixels();
    constexpr int64_t kTilePixels = kTileChunks * Chunk<kBytes>::kItems;
    const dim3 grid(unsigned((stream_pixels + kTilePixels - 1) / kTilePixels), unsigned(classes));
    launch(subject, {grid, dim3(kThreads)}, stream, pack_kernel<kBytes>, job);
  });
}

}  // namespace tubeskel::cuda
