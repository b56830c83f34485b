// What the loss ops of all devices ask of tensors.
#pragma once

#include <optional>

#include "../core/srl_problem.h"
#include "tensors.h"

namespace tubeskel::bindings {

inline core::LogitType logit_type(const Tensor& logits) {
  switch (logits.scalar_type()) {
    case ScalarType::Double:
      return core::LogitType::kFloat64;
    case ScalarType::Half:
      return core::LogitType::kFloat16;
    case ScalarType::BFloat16:
      return core::LogitType::kBFloat16;
    default:
      return core::LogitType::kFloat32;
  }
}

inline core::Labels labels_of(const Tensor& labels) {
  return {labels.const_data_ptr(), element_type(labels)};
}

// tube, target: [maps, pixels] of integers.
inline core::TubeLabels tube_labels(const Tensor& tube, const Tensor& target,
                                    std::optional<int64_t> ignore_index, int64_t num_classes) {
  return {labels_of(tube), labels_of(target), tube.size(0),
          tube.size(1),    num_classes,       ignore_index};
}

// logits: [samples, channels, pixels]; classes: [maps, pixels], as from srl_classes, the maps being
// the samples for a softmax, the channels of the samples for a sigmoid.
inline core::SrlProblem srl_problem(const Tensor& logits, const Tensor& classes, bool softmax) {
  return {logits.const_data_ptr(), logit_type(logits), logits.size(0),
          logits.size(1),          logits.size(2),     softmax,
          classes.const_data_ptr()};
}

// [maps, pixels]
inline Tensor new_classes(const core::TubeLabels& labels, const Tensor& tube) {
  return new_tensor(tube, tube.sizes(),
                    core::wide_classes(labels.num_classes) ? ScalarType::Int : ScalarType::Byte);
}

// [maps, num_classes]
inline Tensor new_counts(const core::TubeLabels& labels, const Tensor& tube) {
  return new_tensor(tube, std::vector<int64_t>{labels.maps, labels.num_classes}, ScalarType::Long);
}

// []
inline Tensor new_loss(const Tensor& logits) {
  const bool is_double = logits.scalar_type() == ScalarType::Double;
  return new_tensor(logits, std::vector<int64_t>{},
                    is_double ? ScalarType::Double : ScalarType::Float);
}

// Of the logits' shape, or empty.
inline Tensor new_gradient(const Tensor& logits, bool wanted) {
  return wanted ? new_like(logits)
                : new_tensor(logits, std::vector<int64_t>{0}, logits.scalar_type());
}

}  // namespace tubeskel::bindings
