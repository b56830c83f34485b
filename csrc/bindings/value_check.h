// Values that cannot be taken, in tensors on a device.
//
// The host cannot know them without waiting for the device, so the kernels stop at one with a
// failed assertion, as PyTorch's own losses do. With TUBESKEL_SYNC_CHECKS=1 in the environment they
// note the first one instead, the op waits for them, and raises the error of the CPU.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "../core/invalid_value.h"
#include "tensors.h"

namespace tubeskel::bindings {

class ValueCheck {
 public:
  explicit ValueCheck(const Tensor& values) : values_(values) {
    const char* const wanted = std::getenv("TUBESKEL_SYNC_CHECKS");
    if (!wanted || std::string(wanted) != "1") return;
    index_ = new_tensor(values, std::vector<int64_t>{1}, ScalarType::Long);
    torch::stable::fill_(*index_, -1.0);
  }

  // Where kernels note the least index of an invalid value, or null.
  unsigned long long* first_invalid() {
    return index_ ? static_cast<unsigned long long*>(index_->mutable_data_ptr()) : nullptr;
  }

  // To be called when the kernels are queued.
  void throw_if_noted(const core::Argument& argument) const {
    if (!index_) return;
    const Tensor noted = on_cpu(*index_);
    const int64_t index = *static_cast<const int64_t*>(noted.const_data_ptr());
    if (index < 0) return;
    const Tensor flat = torch::stable::reshape(values_, std::vector<int64_t>{-1});
    Tensor one = torch::stable::narrow(const_cast<Tensor&>(flat), 0, index, 1);
    throw argument.refusal(core::to_string(element_type(values_), on_cpu(one).const_data_ptr(), 0));
  }

 private:
  static Tensor on_cpu(const Tensor& tensor) {
    return torch::stable::to(tensor, torch::stable::Device(torch::headeronly::DeviceType::CPU));
  }

  Tensor values_;
  std::optional<Tensor> index_;
};

}  // namespace tubeskel::bindings
