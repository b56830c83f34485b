// From bits to pixels: dilated on the way, as bytes or as the labels under them, and counted.
//
// A block takes a run of words of one image, dilates them into shared memory, and then writes the
// pixels that they stand for, 16 bytes a thread, wherever the rows begin. Where no bit of a warp's
// 512 pixels is set their labels are not read, for a tube is thin.
//
// Memory: 1/8 byte a pixel is read, and the result written; of the labels, the sectors of 32 bytes
// that hold a tube pixel are read. Counts are sums of integers, first of a warp, then of a block,
// so they are the same in any order.
#include "select.h"

#include <algorithm>

#include "../core/foreground.h"
#include "chunk.h"
#include "dilate_word.h"

namespace tubeskel::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kTileWords = 512;
constexpr int kUnit = 16;                  // pixels that a thread looks after
constexpr int64_t kClassesOfBlock = 2048;  // with more, counts are made in global memory

struct Source {
  Shape shape;
  WidenedBits bits;
  int64_t tiles;  // of an image
};

// The words of a block, and the pixels [first, end) of its image that they stand for.
struct TileOfBits {
  int64_t image, first, end;
  int64_t line, line_word;  // row of its first word, counted through the planes; word in that row
  unsigned columns, words;
  Word* bits;  // [kTileWords + 1], shared

  __device__ TileOfBits(const Source& source, Word* shared) : bits(shared) {
    const Shape& shape = source.shape;
    columns = unsigned(shape.columns);
    words = unsigned(shape.words());
    image = quotient(blockIdx.x, source.tiles);
    const int64_t word = (blockIdx.x - image * source.tiles) * kTileWords;
    line = quotient(word, words);
    line_word = word - line * words;
    first = line * columns + line_word * kWordColumns;
    const int64_t last_line = quotient(word + kTileWords, words);
    end = min(last_line * columns + (word + kTileWords - last_line * words) * kWordColumns,
              shape.pixels_of_image());
    const BitsOfImage map = {source.bits.bits + image * shape.words_of_image(), shape.planes,
                             shape.rows, shape.columns, shape.words()};
    for (int i = threadIdx.x; i <= kTileWords; i += kThreads) {
      const unsigned ahead = unsigned(line_word) + unsigned(i);
      const int64_t at = line + ahead / words, plane = quotient(at, shape.rows);
      bits[i] = i < kTileWords && plane < shape.planes
                    ? dilated_word(map, source.bits.footprint, plane, at - plane * shape.rows,
                                   ahead % words)
                    : 0;
    }
  }

  // Bits of a unit of pixels of the image, zero for those that are not of this tile.
  __device__ uint32_t unit(int64_t pixel) const {
    uint32_t out = 0;
    const int64_t stop = min(pixel + kUnit, end);
    for (int64_t p = max(pixel, first); p < stop;) {
      const unsigned ahead = unsigned(p - line * columns), down = ahead / columns;
      const unsigned column = ahead - down * columns;
      const unsigned at = down * words + column / 32 - unsigned(line_word);
      const int count = int(min(stop - p, int64_t(columns - column)));
      const uint32_t found = __funnelshift_r(bits[at], bits[at + 1], column % 32);
      out |= (found & ((1u << count) - 1)) << int(p - pixel);
      p += count;
    }
    return out;
  }

  __device__ bool holds(int64_t pixel, int count) const {
    return pixel >= first && pixel + count <= end;
  }
};

// Writes pixels of a chunk, counted through the batch from `pixel` on: those of the tile.
template <int kBytes, int kCount>
__device__ void store_pixels(const TileOfBits& tile, int64_t offset, int64_t pixel,
                             const Chunk<kBytes>& chunk, void* out) {
  auto* const items = static_cast<typename Item<kBytes>::Type*>(out) + offset + pixel;
  if (tile.holds(pixel, kCount)) return chunk.store(items);
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    if (tile.holds(pixel + i, 1)) items[i] = chunk.item(i);
}

__global__ void __launch_bounds__(kThreads, 1) unpack_kernel(Source source, uint8_t* out) {
  __shared__ Word words[kTileWords + 1];
  const TileOfBits tile(source, words);
  __syncthreads();
  const int64_t offset = tile.image * source.shape.pixels_of_image();
  const int64_t start = (offset + tile.first) / kUnit * kUnit - offset;
  for (int64_t pixel = start + int64_t(threadIdx.x) * kUnit; pixel < tile.end;
       pixel += kThreads * kUnit) {
    const uint32_t bits = tile.unit(pixel);
    Chunk<1> ones;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      ones.words[i] =
          core::ForegroundLanes<uint32_t, 1>::lanes_of(bits >> (4 * i) & 15) & 0x01010101u;
    store_pixels<1, kUnit>(tile, offset, pixel, ones, out);
  }
}

// Labels on their way, and what becomes of them.
struct Labels {
  Pixels pixels;
  bool aligned;  // to 16 bytes
  Selection selection;
};

// The labels of a chunk; those outside of the tile are zero.
template <int kBytes>
__device__ Chunk<kBytes> load_labels(const TileOfBits& tile, int64_t offset, int64_t pixel,
                                     const Labels& labels) {
  constexpr int kItems = Chunk<kBytes>::kItems;
  const auto* const from =
      static_cast<const typename Item<kBytes>::Type*>(labels.pixels.data) + offset + pixel;
  if (labels.aligned && tile.holds(pixel, kItems)) return Chunk<kBytes>::load(from);
  Chunk<kBytes> chunk = {};
#pragma unroll
  for (int i = 0; i < kItems; ++i)
    if (tile.holds(pixel + i, 1)) chunk.set(i, from[i]);
  return chunk;
}

// Writes the lowest bytes of the items of a chunk, as store_pixels does.
template <int kBytes>
__device__ void store_bytes(const TileOfBits& tile, int64_t offset, int64_t pixel,
                            const Chunk<kBytes>& chunk, void* out) {
  constexpr int kItems = Chunk<kBytes>::kItems;
  uint8_t* const bytes = static_cast<uint8_t*>(out) + offset + pixel;
  if (tile.holds(pixel, kItems)) {
    uint64_t narrow = 0;
#pragma unroll
    for (int i = 0; i < kItems; ++i) narrow |= uint64_t(chunk.item(i) & 0xff) << (8 * i);
    *reinterpret_cast<typename Item<kItems>::Type*>(bytes) = typename Item<kItems>::Type(narrow);
    return;
  }
#pragma unroll
  for (int i = 0; i < kItems; ++i)
    if (tile.holds(pixel + i, 1)) bytes[i] = uint8_t(chunk.item(i));
}

__device__ int sum_of_warp(int value) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2)
    value += __shfl_xor_sync(kAllLanes, value, lanes);
  return value;
}

// Calls add(label, count), in one lane, for each label among the items whose bits are set; by all
// lanes of a warp.
template <int kBytes, class Add>
__device__ void count_labels(const Chunk<kBytes>& chunk, uint32_t bits, const Add& add) {
  using C = Chunk<kBytes>;
  using Lanes = core::ForegroundLanes<typename C::U, kBytes>;
  while (const unsigned left = __ballot_sync(kAllLanes, bits != 0)) {
    typename C::U label = 0;
#pragma unroll
    for (int i = 0; i < C::kItems; ++i)
      if (bits >> i & 1) label = chunk.item(i);
    label = __shfl_sync(kAllLanes, label, __ffs(int(left)) - 1);
    uint32_t same = 0;
#pragma unroll
    for (int i = 0; i < C::kWords; ++i)
      same |= Lanes::bits_of(Lanes::equal(chunk.words[i], label)) << (i * Lanes::kLanes);
    same &= bits;
    bits ^= same;
    const int count = sum_of_warp(__popc(same));
    if (int(threadIdx.x) % kWarp == 0) add(label, unsigned(count));
  }
}

template <int kBytes, bool kAsBytes, class Add>
__device__ void select_tile(const TileOfBits& tile, int64_t offset, const Labels& labels,
                            const Add& add) {
  using C = Chunk<kBytes>;
  using Lanes = core::ForegroundLanes<typename C::U, kBytes>;
  constexpr int kPixels = kUnit * kWarp;  // of a warp at once
  constexpr int kOut = kAsBytes ? 1 : kBytes;
  const Lanes lanes(labels.pixels.foreground);
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  unsigned char* const out = static_cast<unsigned char*>(labels.selection.out);
  const int64_t start = (offset + tile.first) / kUnit * kUnit - offset;
  for (int64_t pixel = start + warp * kPixels; pixel < tile.end;
       pixel += kPixels * (kThreads / kWarp)) {
    const uint32_t unit = tile.unit(pixel + lane * kUnit);
    if (!__any_sync(kAllLanes, unit != 0) && tile.holds(pixel, kPixels)) {
#pragma unroll
      for (int i = 0; i < kOut; ++i)
        Chunk<1>{}.store(out + (offset + pixel) * kOut + (i * kWarp + lane) * kChunkBytes);
      continue;
    }
    // Chunks of labels instead of units of pixels, so that neighbouring lanes read and write
    // neighbouring memory.
#pragma unroll
    for (int i = 0; i < kBytes; ++i) {
      const int at = i * kWarp + lane;
      uint32_t bits = __shfl_sync(kAllLanes, unit, at / kBytes) >> (at % kBytes * C::kItems);
      bits &= (1u << C::kItems) - 1;
      const int64_t first = pixel + at * C::kItems;
      C chunk = {};
      if (bits) chunk = load_labels<kBytes>(tile, offset, first, labels);
      C kept;
      uint32_t counted = 0;
#pragma unroll
      for (int j = 0; j < C::kWords; ++j) {
        const uint32_t here = bits >> (j * Lanes::kLanes) & ((1u << Lanes::kLanes) - 1) &
                              Lanes::bits_of(lanes.foreground(chunk.words[j]));
        kept.words[j] = chunk.words[j] & Lanes::lanes_of(here);
        counted |= here << (j * Lanes::kLanes);
      }
      if constexpr (kAsBytes)
        store_bytes<kBytes>(tile, offset, first, kept, out);
      else
        store_pixels<kBytes, C::kItems>(tile, offset, first, kept, out);
      if (labels.selection.counts) count_labels<kBytes>(chunk, counted, add);
    }
  }
}

template <int kBytes, bool kAsBytes>
__global__ void __launch_bounds__(kThreads, 1) select_kernel(Source source, Labels labels) {
  __shared__ Word words[kTileWords + 1];
  unsigned* const of_block = reinterpret_cast<unsigned*>(dynamic_shared());
  const int64_t classes = labels.selection.counts ? labels.selection.num_classes : 0;
  const bool in_block = classes <= kClassesOfBlock;
  if (in_block)
    for (int k = threadIdx.x; k < classes; k += kThreads) of_block[k] = 0;
  const TileOfBits tile(source, words);
  __syncthreads();
  unsigned long long* const of_image = labels.selection.counts + tile.image * classes;
  select_tile<kBytes, kAsBytes>(tile, tile.image * source.shape.pixels_of_image(), labels,
                                [&](uint64_t label, unsigned count) {
                                  if (label >= uint64_t(classes)) return;
                                  if (in_block)
                                    atomicAdd(of_block + label, count);
                                  else
                                    atomicAdd(of_image + label, (unsigned long long)count);
                                });
  if (!in_block) return;
  __syncthreads();
  for (int k = threadIdx.x; k < classes; k += kThreads)
    if (of_block[k]) atomicAdd(of_image + k, (unsigned long long)of_block[k]);
}

Source source_of(const Shape& shape, const WidenedBits& bits) {
  return {shape, bits, (shape.words_of_image() + kTileWords - 1) / kTileWords};
}

dim3 grid_of(const Source& source) {
  return dim3(unsigned(source.tiles * source.shape.images));
}

}  // namespace

void unpack_bits(const Shape& shape, const WidenedBits& bits, uint8_t* out, void* stream,
                 const Subject& subject) {
  if (shape.total_pixels() == 0) return;
  const Source source = source_of(shape, bits);
  launch(subject, {grid_of(source), dim3(kThreads)}, stream, unpack_kernel, source, out);
}

void select_labels(const Shape& shape, const WidenedBits& bits, const Pixels& labels,
                   const Selection& selection, void* stream, const Subject& subject) {
  if (shape.total_pixels() == 0) return;
  const Source source = source_of(shape, bits);
  const bool aligned = reinterpret_cast<uintptr_t>(labels.data) % kChunkBytes == 0;
  const Labels job = {labels, aligned, selection};
  const bool counts_in_block = selection.counts && selection.num_classes <= kClassesOfBlock;
  const size_t shared = counts_in_block ? size_t(selection.num_classes) * sizeof(unsigned) : 0;
  const Launch config = {grid_of(source), dim3(kThreads), shared};
  for_item_size(labels.item_size, [&](auto size) {
    constexpr int kBytes = decltype(size)::value;
    if (kBytes > 1 && selection.as_bytes)
      launch(subject, config, stream, select_kernel<kBytes, (kBytes > 1)>, source, job);
    else
      launch(subject, config, stream, select_kernel<kBytes, false>, source, job);
  });
}

}  // namespace tubeskel::cuda
