// Where the CUDA ops are registered, and the stream that they run on. tests/cuda_emulator builds
// them as ops of its own library, TUBESKEL_EMULATED, which take CPU tensors.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include <stdexcept>

#ifdef TUBESKEL_EMULATED
#define TUBESKEL_CUDA_OPS(m) STABLE_TORCH_LIBRARY_IMPL(TUBESKEL_EMULATED, CPU, m)
#else
#define TUBESKEL_CUDA_OPS(m) STABLE_TORCH_LIBRARY_IMPL(tubeskel, CUDA, m)
// Exists in CUDA builds of PyTorch only; this library also loads where it does not.
extern "C" __attribute__((weak)) int32_t aoti_torch_get_current_cuda_stream(int32_t, void**);
#endif

namespace tubeskel::bindings {

// Makes a tensor's device the current one and stands for its current stream.
class CurrentStream {
 public:
#ifdef TUBESKEL_EMULATED
  explicit CurrentStream(const torch::stable::Tensor&) {}
  operator void*() const { return nullptr; }
#else
  explicit CurrentStream(const torch::stable::Tensor& tensor) : guard_(tensor.get_device_index()) {
    if (!aoti_torch_get_current_cuda_stream ||
        aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream_) != 0)
      throw std::runtime_error("this PyTorch has no CUDA streams");
  }
  operator void*() const { return stream_; }

 private:
  torch::stable::accelerator::DeviceGuard guard_;
  void* stream_ = nullptr;
#endif
};

}  // namespace tubeskel::bindings
