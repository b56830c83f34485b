// From arrays to bits and back: views of a batch, and the loops over images and bands that all
// operations share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "images.h"
#include "parallel.h"

namespace tubeskel::cpu {

// One image of a batch, or some rows of one of its planes.
struct View {
  const char* data;
  ElementType type;
  int64_t planes, rows, columns;

  int64_t pixels() const { return planes * rows * columns; }
  // Offset of a row in pixels.
  int64_t offset(int64_t plane, int64_t row) const { return (plane * rows + row) * columns; }
  View band(int64_t plane, int64_t first, int64_t count) const {
    return {data + offset(plane, first) * type.size, type, 1, count, columns};
  }
};

View image_of(const Batch& batch, int64_t i);

// Rows [first, first + count) of a plane, `first` being a multiple of a block.
struct Band {
  int64_t plane, first, count;
  int64_t block() const { return first / kBlockRows; }
};

// work(i, run) for each image: threads over the images where there are enough of them, within each
// image otherwise.
template <class Work>
void for_each_image(const Batch& batch, const Argument& argument, Execution run, const Work& work) {
  const int64_t pixels = batch.images * batch.planes * batch.rows * batch.columns;
  if (pixels == 0) return;
  const int useful = threads_for(pixels, run.threads);
  const bool across = batch.images >= useful;
  try {
    parallel_for(batch.images, across ? useful : 1, [&](int64_t i) {
      run.interrupt.throw_if_requested();
      work(i, Execution{across ? 1 : useful, run.interrupt});
    });
  } catch (const InvalidValue& value) {
    throw argument.refusal(value.what());
  }
}

// work(Band) for bands that cover all planes.
template <class Work>
void for_each_band(const View& view, int threads, const Work& work) {
  constexpr int64_t kBandRows = 16 * kBlockRows;
  const int64_t bands = ceil_div(view.rows, kBandRows);
  parallel_for(view.planes * bands, threads, [&](int64_t i) {
    const int64_t first = i % bands * kBandRows;
    work(Band{i / bands, first, std::min(kBandRows, view.rows - first)});
  });
}

// Bits of a view of one plane, from `block` of `plane` on. Throws InvalidValue with the bare value.
void pack_band(const View& view, const Foreground& foreground, BitImage& bits, int64_t plane,
               int64_t block);

// Bits of a whole image.
BitImage pack_image(const View& view, const Foreground& foreground, bool padded_planes,
                    int threads);

// Bits as bytes 0 and 1, rows from `block` of `plane` on.
void unpack_band(const BitImage& bits, int64_t plane, int64_t block, int64_t rows, uint8_t* out);

// Labels of a view of one plane where the bits are set, from `block` of `plane` on.
void select_band(const BitImage& bits, int64_t plane, int64_t block, const View& view,
                 const Foreground& foreground, bool as_bytes, char* out, int64_t* counts);

// The skeleton of an image.
BitImage skeleton_of(const View& view, const Foreground& foreground, const ThinOptions& options,
                     Execution run);

}  // namespace tubeskel::cpu
