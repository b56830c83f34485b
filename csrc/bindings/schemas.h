// The ops that run on tensors' devices, whichever library they are registered in.
#pragma once

#include <torch/csrc/stable/library.h>

namespace tubeskel::bindings {

inline void define_ops(torch::stable::detail::StableLibrary& m) {
  m.def("pack_bits(Tensor image) -> Tensor");
  m.def(
      "thin(Tensor image, int spatial_dims, str method, int max_iterations, bool keep_components) "
      "-> Tensor");
  m.def(
      "dilate(Tensor image, int spatial_dims, str footprint, float radius, float plane_spacing, "
      "float row_spacing, float column_spacing) -> Tensor");
  m.def(
      "tubed_skeleton(Tensor labels, int spatial_dims, str method, "
      "bool keep_components, int radius, bool per_class, int? ignore_index, int num_classes, "
      "bool as_bytes, str name) -> (Tensor, Tensor)");
  m.def(
      "srl_classes(Tensor tube, Tensor target, int? ignore_index, int num_classes) "
      "-> (Tensor, Tensor)");
  m.def(
      "srl_loss(Tensor logits, Tensor classes, Tensor counts, bool softmax, bool all_classes, "
      "bool batch, float smooth, bool with_grad) -> (Tensor, Tensor, Tensor)");
  m.def(
      "srl_gradient(Tensor grad_loss, Tensor logits, Tensor classes, Tensor weights, bool softmax) "
      "-> Tensor");
}

}  // namespace tubeskel::bindings
