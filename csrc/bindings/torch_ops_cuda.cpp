// What the torch ops of morphology do on CUDA. Nothing here waits for the device.
#include "../cuda/pack_bits.h"
#include "cuda_device.h"
#include "tensors.h"
#include "value_check.h"

namespace {

using namespace tubeskel::bindings;
namespace cuda = tubeskel::cuda;

cuda::Shape cuda_shape(const Tensor& tensor, int64_t spatial_dims) {
  const Shape shape = shape_of(tensor, spatial_dims);
  return {shape.images, shape.planes, shape.rows, shape.columns};
}

cuda::Pixels pixels_of(const Tensor& image, const core::Foreground& foreground, ValueCheck& check) {
  return {image.const_data_ptr(), element_type(image).size, foreground, check.first_invalid()};
}

// What an error says of a launch: the op and the sizes of its input.
cuda::Subject subject_of(const char* op, const Tensor& input) {
  std::string text = std::string(op) + " on [";
  for (int64_t d = 0; d < input.dim(); ++d) text += (d ? ", " : "") + std::to_string(input.size(d));
  return text + "]";
}

Tensor pack_bits_cuda(const Tensor& image) {
  const CurrentStream stream(image);
  ValueCheck check(image);
  Tensor out = new_words(image);
  const cuda::Shape shape = cuda_shape(image, 2);
  const int64_t row_words = 2 * out.size(out.dim() - 1);
  cuda::pack_bits(shape, pixels_of(image, core::nonzero(element_type(image)), check), 1, row_words,
                  static_cast<cuda::Word*>(out.mutable_data_ptr()), stream,
                  subject_of("pack_bits", image));
  check.throw_if_noted(core::kImage);
  return out;
}

}  // namespace

TUBESKEL_CUDA_OPS(m) {
  m.impl("pack_bits", TORCH_BOX(&pack_bits_cuda));
}
