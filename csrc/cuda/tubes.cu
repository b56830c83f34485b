// Tubed skeletons: labels are packed, thinned, and written where the widened skeleton is.
//
// That is three launches for a batch, and what they cost stands with them. A tube of each class by
// itself thins the classes as images of their own, as many at once as a budget of memory allows,
// and gathers what is left of each, widened and clipped to it, in one map of bits: four launches
// for all classes where they fit the budget.
#include "tubes.h"

#include <algorithm>

#include "dilate_word.h"

namespace tubeskel::cuda {

namespace {

constexpr int kThreads = 256;
constexpr size_t kAlignment = 256;
constexpr int64_t kBudget = int64_t(1) << 26;  // bytes for one map of bits of all classes at once

// Deals out parts of a workspace; with null, only counts them.
class Space {
 public:
  explicit Space(void* begin) : begin_(static_cast<unsigned char*>(begin)) {}
  void* take(size_t bytes) {
    void* const part = begin_ ? begin_ + used_ : nullptr;
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return part;
  }
  Word* take_bits(const Shape& shape) {
    return static_cast<Word*>(take(size_t(shape.total_words()) * sizeof(Word)));
  }
  size_t used() const { return used_; }

 private:
  unsigned char* begin_;
  size_t used_ = 0;
};

// The values of classes: [1, end), all that the type of the labels can hold.
uint64_t end_of_classes(const Pixels& labels, const TubeOptions& options) {
  const uint64_t all = labels.item_size < 8 ? 1ull << (8 * labels.item_size) : ~0ull;
  return options.num_classes ? std::min(all, uint64_t(options.num_classes)) : all;
}

Shape of_classes(const Shape& shape, int64_t classes) {
  return {shape.images * classes, shape.planes, shape.rows, shape.columns};
}

// How many classes are thinned at once.
int64_t classes_at_once(const Shape& shape, const Pixels& labels, const TubeOptions& options) {
  const int64_t classes = int64_t(end_of_classes(labels, options)) - 1;
  const int64_t bytes = std::max<int64_t>(shape.total_words() * int64_t(sizeof(Word)), 1);
  constexpr int64_t kMost = 65535;  // of a grid
  return std::max<int64_t>(1, std::min({classes, kBudget / bytes, kMost}));
}

struct Buffers {
  Word *tube, *masks, *skeletons, *spare;
  void* thinning;

  Buffers(Space& space, const Shape& shape, const Pixels& labels, const TubeOptions& options) {
    const Footprint footprint(options.footprint, shape);
    const int64_t classes = options.per_class ? classes_at_once(shape, labels, options) : 1;
    const Shape all = of_classes(shape, classes);
    tube = space.take_bits(shape);
    masks = options.per_class ? space.take_bits(all) : nullptr;
    skeletons = options.per_class ? space.take_bits(all) : tube;
    spare = static_cast<Word*>(space.take(options.per_class ? 0 : footprint.spare_bytes(shape)));
    thinning = space.take(thin_bits_workspace(all, options.thinning));
  }
};

// Adds the widened skeletons of some classes, each within its mask, to the tube.
__global__ void __launch_bounds__(kThreads, 1)
    gather_kernel(Shape shape, FootprintPart footprint, int64_t classes, bool more,
                  const Word* masks, const Word* skeletons, Word* tube) {
  const int64_t words = shape.words(), of_image = shape.words_of_image();
  const int64_t total = shape.total_words(), step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < total; i += step) {
    const int64_t start = quotient(i, of_image) * of_image;
    const int64_t line = quotient(i - start, words), plane = quotient(line, shape.rows);
    Word found = more ? tube[i] : 0;
    for (int64_t k = 0; k < classes; ++k) {
      const Word mask = masks[k * total + i];
      if (mask == 0) continue;
      const BitsOfImage skeleton = {skeletons + k * total + start, shape.planes, shape.rows,
                                    shape.columns, words};
      found |= mask & dilated_word(skeleton, footprint, plane, line - plane * shape.rows,
                                   i - start - line * words);
    }
    tube[i] = found;
  }
}

// Bits of the union of the tubes of the classes.
void make_class_tubes(const Shape& shape, const Pixels& labels, const TubeOptions& options,
                      const Buffers& buffers, void* stream, const Subject& subject) {
  const Footprint footprint(options.footprint, shape);
  pack_bits(shape, labels, buffers.tube, stream, subject);  // checks the values
  const int64_t at_once = classes_at_once(shape, labels, options);
  const int64_t blocks = (shape.total_words() + kThreads - 1) / kThreads;
  const dim3 grid(unsigned(std::min<int64_t>(blocks, 1 << 20)));
  const uint64_t ignored = labels.foreground.ignored, end = end_of_classes(labels, options);
  bool more = false;
  Pixels of_class = labels;
  of_class.foreground.one_class = true;
  uint64_t last = 0;
  for (uint64_t first = 1; first < end; first = last) {
    last = std::min(first + uint64_t(at_once), end);
    if (first == ignored) {
      last = first + 1;
      continue;
    }
    if (first < ignored) last = std::min(last, ignored);
    const int64_t classes = int64_t(last - first);
    const Shape all = of_classes(shape, classes);
    of_class.foreground.wanted = first;
    for (Word* const bits : {buffers.masks, buffers.skeletons})
      pack_bits(shape, of_class, classes, shape.words(), bits, stream, subject);
    thin_bits(all, options.thinning, buffers.skeletons, buffers.thinning, stream, subject);
    for (const FootprintPart& part : footprint.parts) {
      launch(subject, {grid, dim3(kThreads)}, stream, gather_kernel, shape, part, classes, more,
             buffers.masks, buffers.skeletons, buffers.tube);
      more = true;
    }
  }
}

}  // namespace

size_t tube_workspace(const Shape& shape, const Pixels& labels, const TubeOptions& options) {
  Space space(nullptr);
  const Buffers buffers(space, shape, labels, options);
  return space.used();
}

void tubed_skeleton(const Shape& shape, const Pixels& labels, const TubeOptions& options,
                    const Selection& selection, void* workspace, void* stream,
                    const Subject& subject) {
  if (shape.total_pixels() == 0) return;
  Space space(workspace);
  const Buffers buffers(space, shape, labels, options);
  if (options.per_class) {
    make_class_tubes(shape, labels, options, buffers, stream, subject);
    return select_labels(shape, {buffers.tube, kPoint}, labels, selection, stream, subject);
  }
  pack_bits(shape, labels, buffers.tube, stream, subject);
  thin_bits(shape, options.thinning, buffers.tube, buffers.thinning, stream, subject);
  const Footprint footprint(options.footprint, shape);
  select_labels(shape, footprint.widen(shape, buffers.tube, buffers.spare, stream, subject), labels,
                selection, stream, subject);
}

}  // namespace tubeskel::cuda
