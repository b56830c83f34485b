// What the torch ops do on CUDA.
#include "../cuda/pack_bits.h"
#include "cuda_device.h"
#include "tensors.h"

namespace {

using namespace tubeskel::bindings;

Tensor pack_bits_cuda(const Tensor& image) {
  const CurrentStream stream(image);
  Tensor out = new_words(image);
  const Shape shape = shape_of(image, 2);
  if (element_type(image).size != 1)
    throw std::invalid_argument("pack_bits on CUDA takes bool, uint8 or int8 images");
  tubeskel::cuda::pack_bits(static_cast<const uint8_t*>(image.const_data_ptr()),
                            shape.images * shape.rows, shape.columns,
                            static_cast<uint64_t*>(out.mutable_data_ptr()), stream);
  return out;
}

}  // namespace

TUBESKEL_CUDA_OPS(m) {
  m.impl("pack_bits", TORCH_BOX(&pack_bits_cuda));
}
