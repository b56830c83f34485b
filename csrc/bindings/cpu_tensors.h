// What the ops on the CPU ask of tensors and of the caller's settings.
#pragma once

#include "../cpu/huge_pages.h"
#include "tensors.h"

namespace tubeskel::bindings {

// torch's setting, capped by tubeskel's
int threads();

// Memory for a gradient, of the shape and type of the logits.
inline Tensor new_gradient(const Tensor& logits) {
  Tensor grad = torch::stable::empty_like(logits);
  cpu::prefer_huge_pages(grad.mutable_data_ptr(),
                         logits.numel() * int64_t(element_type(logits).size));
  return grad;
}

}  // namespace tubeskel::bindings
