#include "images.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <string>

#include "parallel.h"

namespace tubeskel::cpu {

namespace {

constexpr int64_t kBandBlocks = 16;

// What an error says of a value: the argument that holds it, and what is allowed.
struct Argument {
  std::string name, allowed;
};
const Argument kImage = {"image", "every value but NaN"};

Argument argument_of(const TubeOptions& options) {
  if (options.num_classes == 0) return {options.name, kImage.allowed};
  return {options.name, "0.." + std::to_string(options.num_classes - 1) + " and ignore_index"};
}

// One image of a batch, or some rows of it.
struct View {
  const char* data;
  ElementType type;
  int64_t rows, columns;

  View band(int64_t first, int64_t count) const {
    return {data + first * columns * type.size, type, count, columns};
  }
  Pixels pixels() const { return {data, type.size, rows, columns}; }
};

View image_of(const Batch& batch, int64_t i) {
  const int64_t bytes = batch.rows * batch.columns * batch.type.size;
  return {static_cast<const char*>(batch.data) + i * bytes, batch.type, batch.rows, batch.columns};
}

// work(i, threads) for each image: threads over the images where there are enough of them, within
// each image otherwise.
template <class Work>
void for_each_image(const Batch& batch, const Argument& argument, int threads, const Work& work) {
  const int64_t pixels = batch.images * batch.rows * batch.columns;
  if (pixels == 0) return;
  const int useful = threads_for(pixels, threads);
  const bool across = batch.images >= useful;
  try {
    parallel_for(batch.images, across ? useful : 1,
                 [&](int64_t i) { work(i, across ? 1 : useful); });
  } catch (const InvalidValue& value) {
    throw InvalidValue(argument.name + " holds " + value.what() + "; allowed: " + argument.allowed);
  }
}

// work(first row, number of rows) for bands of whole blocks.
template <class Work>
void for_each_band(int64_t rows, int threads, const Work& work) {
  const int64_t band = kBandBlocks * kBlockRows;
  parallel_for(ceil_div(rows, band), threads,
               [&](int64_t i) { work(i * band, std::min(band, rows - i * band)); });
}

[[noreturn]] void throw_invalid(const View& view, const Foreground& foreground) {
  for (int64_t i = 0;; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, view.data + i * view.type.size, size_t(view.type.size));
    if ((bits & foreground.magnitude) > foreground.largest && bits != foreground.ignored)
      throw InvalidValue(to_string(view.type, view.data, i));
  }
}

void pack_band(const View& view, const Foreground& foreground, BitImage& bits, int64_t block) {
  bool invalid = false;
  for (int64_t row = 0; row < view.rows; row += kBlockRows, ++block) {
    const View some = view.band(row, std::min(kBlockRows, view.rows - row));
    invalid |=
        kernels().pack(some.pixels(), foreground, bits.strip(0) + block * kBlockRows, bits.pitch);
  }
  if (invalid) throw_invalid(view, foreground);
}

void pack_image(const View& view, const Foreground& foreground, BitImage& bits, int threads) {
  for_each_band(view.rows, threads, [&](int64_t first, int64_t count) {
    pack_band(view.band(first, count), foreground, bits, first / kBlockRows);
  });
}

// Rows of `bits` from `block` on, as bytes.
void unpack_band(const BitImage& bits, int64_t block, int64_t rows, uint8_t* out) {
  for (int64_t row = 0; row < rows; row += kBlockRows, ++block)
    kernels().unpack(bits.strip(0) + block * kBlockRows, bits.pitch,
                     std::min(kBlockRows, rows - row), bits.columns, out + row * bits.columns);
}

// Labels of `view` where the bits are set, the first row being that of `block`.
void select_band(const BitImage& bits, int64_t block, const View& view,
                 const Foreground& foreground, bool as_bytes, char* out, int64_t* counts) {
  const int64_t size = as_bytes ? 1 : view.type.size;
  for (int64_t row = 0; row < view.rows; row += kBlockRows, ++block) {
    const View some = view.band(row, std::min(kBlockRows, view.rows - row));
    kernels().select(bits.strip(0) + block * kBlockRows, bits.pitch, some.pixels(), foreground,
                     as_bytes, out + row * view.columns * size, counts);
  }
}

BitImage skeleton_of(const View& view, const Foreground& foreground, const TubeOptions& options,
                     int threads) {
  BitImage bits(view.rows, view.columns);
  pack_image(view, foreground, bits, threads);
  thin(bits, options.method, kUntilStable, threads);
  return bits;
}

std::set<uint64_t> distinct_labels(const View& view, const Foreground& foreground) {
  std::set<uint64_t> labels;
  uint64_t last = 0;
  for (int64_t i = 0; i < view.rows * view.columns; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, view.data + i * view.type.size, size_t(view.type.size));
    if (bits == last) continue;
    last = bits;
    if ((bits & foreground.magnitude) && bits != foreground.ignored) labels.insert(bits);
  }
  return labels;
}

// Union over the classes of each class's own tube, clipped to that class.
BitImage tube_per_class(const View& view, const Foreground& foreground, const TubeOptions& options,
                        const std::vector<int64_t>& widths, int threads) {
  BitImage tube(view.rows, view.columns);
  pack_image(view, foreground, tube, threads);  // checks the values
  tube.clear();
  for (const uint64_t label : distinct_labels(view, foreground)) {
    Foreground one = foreground;
    one.one_class = true;
    one.wanted = label;
    const BitImage skeleton = skeleton_of(view, one, options, threads);
    for_each_band(view.rows, threads, [&](int64_t first, int64_t count) {
      BitImage band(count, view.columns), mask(count, view.columns);
      dilate_band(skeleton, first, widths, band);
      pack_band(view.band(first, count), one, mask, 0);
      for (int64_t j = 0; j < tube.strips; ++j)
        for (int64_t r = 0; r < count; ++r)
          tube.strip(j)[first + r] |= band.strip(j)[r] & mask.strip(j)[r];
    });
  }
  return tube;
}

}  // namespace

void pack_images(const Batch& images, uint64_t* out, int threads) {
  for_each_image(images, kImage, threads, [&](int64_t i, int inner) {
    const View view = image_of(images, i);
    BitImage bits(view.rows, view.columns);
    pack_image(view, nonzero(view.type), bits, inner);
    for (int64_t j = 0; j < bits.strips; ++j)
      for (int64_t r = 0; r < view.rows; ++r)
        out[(i * view.rows + r) * bits.strips + j] = bits.strip(j)[r];
  });
}

void thin_images(const Batch& images, Method method, int64_t max_iterations, uint8_t* out,
                 int threads) {
  for_each_image(images, kImage, threads, [&](int64_t i, int inner) {
    const View view = image_of(images, i);
    BitImage bits(view.rows, view.columns);
    pack_image(view, nonzero(view.type), bits, inner);
    thin(bits, method, max_iterations, inner);
    uint8_t* const to = out + i * view.rows * view.columns;
    for_each_band(view.rows, inner, [&](int64_t first, int64_t count) {
      unpack_band(bits, first / kBlockRows, count, to + first * view.columns);
    });
  });
}

void dilate_images(const Batch& images, Footprint footprint, int64_t radius, uint8_t* out,
                   int threads) {
  const std::vector<int64_t> widths = half_widths(footprint, radius);
  for_each_image(images, kImage, threads, [&](int64_t i, int inner) {
    const View view = image_of(images, i);
    BitImage bits(view.rows, view.columns);
    pack_image(view, nonzero(view.type), bits, inner);
    uint8_t* const to = out + i * view.rows * view.columns;
    for_each_band(view.rows, inner, [&](int64_t first, int64_t count) {
      BitImage band(count, view.columns);
      dilate_band(bits, first, widths, band);
      unpack_band(band, 0, count, to + first * view.columns);
    });
  });
}

void tube_images(const Batch& labels, const TubeOptions& options, void* out, int64_t* counts,
                 int threads) {
  const std::vector<int64_t> widths = half_widths(Footprint::kDiamond, options.radius);
  const Foreground foreground =
      labels_of_classes(labels.type, options.num_classes, options.ignore_index);
  for_each_image(labels, argument_of(options), threads, [&](int64_t i, int inner) {
    const View view = image_of(labels, i);
    const int64_t row_bytes = view.columns * (options.as_bytes ? 1 : view.type.size);
    char* const to = static_cast<char*>(out) + i * view.rows * row_bytes;
    int64_t* const image_counts = counts ? counts + i * options.num_classes : nullptr;
    const BitImage bits = options.per_class
                              ? tube_per_class(view, foreground, options, widths, inner)
                              : skeleton_of(view, foreground, options, inner);
    for_each_band(view.rows, inner, [&](int64_t first, int64_t count) {
      std::vector<int64_t> band_counts(image_counts ? size_t(options.num_classes) : 0);
      int64_t* const counted = image_counts ? band_counts.data() : nullptr;
      const View rows = view.band(first, count);
      char* const to_rows = to + first * row_bytes;
      if (options.per_class) {
        select_band(bits, first / kBlockRows, rows, foreground, options.as_bytes, to_rows, counted);
      } else {
        BitImage band(count, view.columns);
        dilate_band(bits, first, widths, band);
        select_band(band, 0, rows, foreground, options.as_bytes, to_rows, counted);
      }
      for (size_t k = 0; k < band_counts.size(); ++k)
        __atomic_fetch_add(image_counts + k, band_counts[k], __ATOMIC_RELAXED);
    });
  });
}

}  // namespace tubeskel::cpu
