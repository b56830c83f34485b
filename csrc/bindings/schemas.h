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
  m.def(
      "compound_sums(Tensor logits, Tensor target, Tensor? tube, bool softmax, int? ignore_index, "
      "bool log_recall, bool smoothing) -> Tensor");
  m.def(
      "compound_gradient(Tensor derivatives, Tensor logits, Tensor target, Tensor? tube, "
      "bool softmax, int? ignore_index, bool log_recall) -> Tensor");
  m.def(
      "compound_loss(Tensor sums, Tensor? class_weights, bool softmax, bool batch, "
      "bool include_background, bool all_classes, str recall, float dice_smooth, "
      "float recall_smooth, float label_smoothing, float false_positives, float weight_dice, "
      "float weight_ce, float weight_recall, bool as_double) -> (Tensor, Tensor, Tensor)");
  m.def("probabilities(Tensor logits, Tensor target, bool softmax, int? ignore_index) -> Tensor");
  m.def(
      "soft_cldice_sums(Tensor probabilities, Tensor target, int iterations, bool softmax, "
      "int first, int? ignore_index) -> Tensor");
  m.def(
      "soft_cldice_gradient(Tensor derivatives, Tensor probabilities, Tensor target, "
      "int iterations, bool softmax, int first, int? ignore_index) -> Tensor");
}

}  // namespace tubeskel::bindings
