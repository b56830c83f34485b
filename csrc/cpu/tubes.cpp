// Tubed skeletons: a skeleton is dilated band by band, and each band clipped, labelled and counted
// while it is in the cache.
#include <cstring>
#include <set>

#include "components.h"
#include "images.h"
#include "views.h"

namespace tubeskel::cpu {

namespace {

// Where the labels of one image go.
struct Output {
  char* labels;
  int64_t* counts;  // [num_classes], or null
};

int64_t item_size(const View& view, const TubeOptions& options) {
  return options.as_bytes ? 1 : view.type.size;
}

Output output_of(const View& view, int64_t i, const TubeOptions& options, void* out,
                 int64_t* counts) {
  return {static_cast<char*>(out) + i * view.pixels() * item_size(view, options),
          counts ? counts + i * options.num_classes : nullptr};
}

// The skeleton of the foreground of image i, thinned here or cut from the one that was given.
BitImage make_skeleton(const View& view, int64_t i, const Foreground& foreground,
                       const TubeOptions& options, Execution run) {
  if (!options.skeletons) return skeleton_of(view, foreground, options.thinning, run);
  const View given{reinterpret_cast<const char*>(options.skeletons) + i * view.pixels(),
                   {Kind::kUnsigned, 1},
                   view.planes,
                   view.rows,
                   view.columns};
  BitImage skeleton = pack_image(given, nonzero(given.type), false, run.threads);
  BitImage mask = pack_image(view, foreground, false, run.threads);
  for (int64_t j = 0; j < skeleton.strips; ++j)
    for (int64_t p = 0; p < view.planes; ++p)
      for (int64_t r = 0; r < view.rows; ++r) skeleton.strip(j, p)[r] &= mask.strip(j, p)[r];
  if (options.thinning.keep_components) restore_lost_components(mask, skeleton);
  return skeleton;
}

// Writes the labels of a band on a tube, which starts at `block` of `plane` in `bits`.
void write_band(const View& view, const Band& band, const BitImage& bits, int64_t plane,
                int64_t block, const Foreground& foreground, const TubeOptions& options,
                const Output& output) {
  std::vector<int64_t> counts(output.counts ? size_t(options.num_classes) : 0);
  select_band(bits, plane, block, view.band(band.plane, band.first, band.count), foreground,
              options.as_bytes,
              output.labels + view.offset(band.plane, band.first) * item_size(view, options),
              output.counts ? counts.data() : nullptr);
  for (size_t k = 0; k < counts.size(); ++k)
    __atomic_fetch_add(output.counts + k, counts[k], __ATOMIC_RELAXED);
}

// Widens a skeleton and writes the labels on it.
void write_tube(const View& view, const BitImage& skeleton, const Foreground& foreground,
                const TubeOptions& options, const Output& output, Execution run) {
  for_each_band(view, run.threads, [&](const Band& band) {
    run.interrupt.throw_if_requested();
    BitImage wide(band.count, view.columns);
    dilate_band(skeleton, band.plane, band.first, options.footprint, wide);
    write_band(view, band, wide, 0, 0, foreground, options, output);
  });
}

std::set<uint64_t> distinct_labels(const View& view, const Foreground& foreground) {
  std::set<uint64_t> labels;
  uint64_t last = 0;
  for (int64_t i = 0; i < view.pixels(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, view.data + i * view.type.size, size_t(view.type.size));
    if (bits == last) continue;
    last = bits;
    if ((bits & foreground.magnitude) && bits != foreground.ignored) labels.insert(bits);
  }
  return labels;
}

// Union over the classes of each class's own tube, clipped to that class.
BitImage tube_per_class(const View& view, int64_t i, const Foreground& foreground,
                        const TubeOptions& options, Execution run) {
  BitImage tube = pack_image(view, foreground, false, run.threads);  // checks the values
  tube.clear();
  for (const uint64_t label : distinct_labels(view, foreground)) {
    Foreground one = foreground;
    one.one_class = true;
    one.wanted = label;
    const BitImage skeleton = make_skeleton(view, i, one, options, run);
    for_each_band(view, run.threads, [&](const Band& band) {
      BitImage wide(band.count, view.columns), mask(band.count, view.columns);
      dilate_band(skeleton, band.plane, band.first, options.footprint, wide);
      pack_band(view.band(band.plane, band.first, band.count), one, mask, 0, 0);
      for (int64_t j = 0; j < tube.strips; ++j)
        for (int64_t r = 0; r < band.count; ++r)
          tube.strip(j, band.plane)[band.first + r] |= wide.strip(j)[r] & mask.strip(j)[r];
    });
  }
  return tube;
}

}  // namespace

void tube_images(const Batch& labels, const TubeOptions& options, void* out, int64_t* counts,
                 Execution run) {
  const Foreground foreground =
      labels_of_classes(labels.type, options.num_classes, options.ignore_index);
  const Argument argument = core::labels_argument(options.name, options.num_classes);
  for_each_image(labels, argument, run, [&](int64_t i, Execution inner) {
    const View view = image_of(labels, i);
    const Output output = output_of(view, i, options, out, counts);
    if (!options.per_class) {
      const BitImage skeleton = make_skeleton(view, i, foreground, options, inner);
      return write_tube(view, skeleton, foreground, options, output, inner);
    }
    const BitImage tube = tube_per_class(view, i, foreground, options, inner);
    for_each_band(view, inner.threads, [&](const Band& band) {
      write_band(view, band, tube, band.plane, band.block(), foreground, options, output);
    });
  });
}

}  // namespace tubeskel::cpu
