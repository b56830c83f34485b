// What the torch ops do on CUDA.
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>

#include "../cuda/pack_bits.h"
#include "tensors.h"

// Exists in CUDA builds of PyTorch only; this library also loads where it does not.
extern "C" __attribute__((weak)) int32_t aoti_torch_get_current_cuda_stream(int32_t, void**);

namespace {

using namespace tubeskel::bindings;

void* current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  if (!aoti_torch_get_current_cuda_stream ||
      aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream) != 0)
    throw std::runtime_error("this PyTorch has no CUDA streams");
  return stream;
}

Tensor pack_bits_cuda(const Tensor& image) {
  const torch::stable::accelerator::DeviceGuard guard(image.get_device_index());
  Tensor out = new_words(image);
  const Shape shape = shape_of(image, 2);
  if (element_type(image).size != 1)
    throw std::invalid_argument("pack_bits on CUDA takes bool, uint8 or int8 images");
  tubeskel::cuda::pack_bits(static_cast<const uint8_t*>(image.const_data_ptr()),
                            shape.images * shape.rows, shape.columns,
                            static_cast<uint64_t*>(out.mutable_data_ptr()), current_stream(image));
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(tubeskel, CUDA, m) {
  m.impl("pack_bits", TORCH_BOX(&pack_bits_cuda));
}
