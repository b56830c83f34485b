#include "views.h"

#include "components.h"
#include "thin_lee.h"

namespace tubeskel::cpu {

View image_of(const Batch& batch, int64_t i) {
  const View first{static_cast<const char*>(batch.data), batch.type, batch.planes, batch.rows,
                   batch.columns};
  return {first.data + i * first.pixels() * batch.type.size, batch.type, batch.planes, batch.rows,
          batch.columns};
}

namespace {

[[noreturn]] void throw_invalid(const View& view, const Foreground& foreground) {
  for (int64_t i = 0;; ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, view.data + i * view.type.size, size_t(view.type.size));
    if ((bits & foreground.magnitude) > foreground.largest && bits != foreground.ignored)
      throw InvalidValue(core::to_string(view.type, view.data, i));
  }
}

// work(block, rows) for a view of one plane, eight rows at a time.
template <class Work>
void for_each_block(const View& view, int64_t block, const Work& work) {
  for (int64_t row = 0; row < view.rows; row += kBlockRows, ++block)
    work(block, row, view.band(0, row, std::min(kBlockRows, view.rows - row)));
}

Pixels pixels_of(const View& view) {
  return {view.data, view.type.size, view.rows, view.columns};
}

}  // namespace

void pack_band(const View& view, const Foreground& foreground, BitImage& bits, int64_t plane,
               int64_t block) {
  bool invalid = false;
  for_each_block(view, block, [&](int64_t at, int64_t, const View& rows) {
    invalid |= kernels().pack(pixels_of(rows), foreground, bits.strip(0, plane) + at * kBlockRows,
                              bits.pitch);
  });
  if (invalid) throw_invalid(view, foreground);
}

BitImage pack_image(const View& view, const Foreground& foreground, bool padded_planes,
                    int threads) {
  BitImage bits(view.planes, view.rows, view.columns, padded_planes);
  for_each_band(view, threads, [&](const Band& band) {
    pack_band(view.band(band.plane, band.first, band.count), foreground, bits, band.plane,
              band.block());
  });
  return bits;
}

void unpack_band(const BitImage& bits, int64_t plane, int64_t block, int64_t rows, uint8_t* out) {
  for (int64_t row = 0; row < rows; row += kBlockRows, ++block)
    kernels().unpack(bits.strip(0, plane) + block * kBlockRows, bits.pitch,
                     std::min(kBlockRows, rows - row), bits.columns, out + row * bits.columns);
}

void select_band(const BitImage& bits, int64_t plane, int64_t block, const View& view,
                 const Foreground& foreground, bool as_bytes, char* out, int64_t* counts) {
  const int64_t size = as_bytes ? 1 : view.type.size;
  for_each_block(view, block, [&](int64_t at, int64_t row, const View& rows) {
    kernels().select(bits.strip(0, plane) + at * kBlockRows, bits.pitch, pixels_of(rows),
                     foreground, as_bytes, out + row * view.columns * size, counts);
  });
}

BitImage skeleton_of(const View& view, const Foreground& foreground, const ThinOptions& options,
                     Execution run) {
  const bool lee = options.method == Method::kLee;
  BitImage skeleton = pack_image(view, foreground, lee, run.threads);
  if (lee)
    thin_lee(skeleton, run.threads, run.interrupt);
  else
    thin(skeleton, options.method, options.max_iterations, run.threads, run.interrupt);
  // The 2D methods of Zhang and of Guo and Hall never delete a component.
  if (lee && options.keep_components) {
    BitImage mask = pack_image(view, foreground, false, run.threads);
    restore_lost_components(mask, skeleton);
  }
  return skeleton;
}

}  // namespace tubeskel::cpu
