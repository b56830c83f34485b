#include "images.h"

#include "views.h"

namespace tubeskel::cpu {

void pack_images(const Batch& images, uint64_t* out, Execution run) {
  for_each_image(images, core::kImage, run, [&](int64_t i, Execution inner) {
    const View view = image_of(images, i);
    const BitImage bits = pack_image(view, nonzero(view.type), false, inner.threads);
    uint64_t* to = out + i * view.planes * view.rows * bits.strips;
    for (int64_t p = 0; p < view.planes; ++p)
      for (int64_t r = 0; r < view.rows; ++r)
        for (int64_t j = 0; j < bits.strips; ++j) *to++ = bits.strip(j, p)[r];
  });
}

void thin_images(const Batch& images, const ThinOptions& options, uint8_t* out, Execution run) {
  for_each_image(images, core::kImage, run, [&](int64_t i, Execution inner) {
    const View view = image_of(images, i);
    const BitImage bits = skeleton_of(view, nonzero(view.type), options, inner);
    uint8_t* const to = out + i * view.pixels();
    for_each_band(view, inner.threads, [&](const Band& band) {
      unpack_band(bits, band.plane, band.block(), band.count,
                  to + view.offset(band.plane, band.first));
    });
  });
}

void dilate_images(const Batch& images, const Footprint& footprint, uint8_t* out, Execution run) {
  for_each_image(images, core::kImage, run, [&](int64_t i, Execution inner) {
    const View view = image_of(images, i);
    const BitImage bits = pack_image(view, nonzero(view.type), false, inner.threads);
    uint8_t* const to = out + i * view.pixels();
    for_each_band(view, inner.threads, [&](const Band& band) {
      inner.interrupt.throw_if_requested();
      BitImage wide(band.count, view.columns);
      dilate_band(bits, band.plane, band.first, footprint, wide);
      unpack_band(wide, 0, 0, band.count, to + view.offset(band.plane, band.first));
    });
  });
}

}  // namespace tubeskel::cpu
