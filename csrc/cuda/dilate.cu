// Dilation from bits to bits, for footprints of many rows; those of few are applied by who reads
// the bits (select.cu).
//
// A thread makes a word (dilate_word.h). The bits are read from the caches again and again, once
// for each row of the footprint; memory sees 1/8 byte a pixel read and as much written.
#include "dilate.h"

#include <algorithm>

#include "dilate_word.h"

namespace tubeskel::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads, 1)
    dilate_kernel(Shape shape, FootprintPart footprint, bool more, const Word* bits, Word* out) {
  const int64_t words = shape.words(), of_image = shape.words_of_image();
  const int64_t total = shape.total_words(), step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < total; i += step) {
    const int64_t image = quotient(i, of_image);
    const int64_t line = quotient(i - image * of_image, words), plane = quotient(line, shape.rows);
    const BitsOfImage source = {bits + image * of_image, shape.planes, shape.rows, shape.columns,
                                words};
    const Word dilated = dilated_word(source, footprint, plane, line - plane * shape.rows,
                                      i - image * of_image - line * words);
    out[i] = more ? out[i] | dilated : dilated;
  }
}

}  // namespace

Footprint::Footprint(const core::Footprint& footprint, const Shape& shape) {
  for (int64_t p = 0; p < std::min<int64_t>(int64_t(footprint.size()), shape.planes); ++p)
    for (int64_t r = 0; r < std::min<int64_t>(int64_t(footprint[p].size()), shape.rows); ++r) {
      if (parts.empty() || parts.back().count == FootprintPart::kCapacity) parts.push_back({0, {}});
      FootprintPart& part = parts.back();
      part.rows[part.count++] = {int(p), int(r), int(std::min(footprint[p][r], shape.columns))};
    }
}

WidenedBits Footprint::widen(const Shape& shape, const Word* bits, Word* spare, void* stream,
                             const Subject& subject) const {
  if (parts.size() == 1) return {bits, parts[0]};
  const int64_t blocks = (shape.total_words() + kThreads - 1) / kThreads;
  const dim3 grid(unsigned(std::min<int64_t>(blocks, 1 << 20)));
  for (size_t i = 0; blocks > 0 && i < parts.size(); ++i)
    launch(subject, {grid, dim3(kThreads)}, stream, dilate_kernel, shape, parts[i], i > 0, bits,
           spare);
  return {spare, kPoint};
}

}  // namespace tubeskel::cuda
