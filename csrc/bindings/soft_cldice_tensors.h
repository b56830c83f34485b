// What the ops of soft clDice ask of tensors on all devices.
#pragma once

#include <optional>
#include <vector>

#include "../core/compound_problem.h"
#include "../core/soft_cldice_problem.h"
#include "srl_tensors.h"

namespace tubeskel::bindings {

// logits: [samples, channels, *S]; target: integers, [samples, *S] for a softmax, else
// [samples, channels, *S].
inline core::CompoundProblem probabilities_problem(const Tensor& logits, const Tensor& target,
                                                   bool softmax,
                                                   std::optional<int64_t> ignore_index) {
  core::CompoundProblem problem{};
  problem.logits = logits.const_data_ptr();
  problem.logit_type = logit_type(logits);
  problem.samples = logits.size(0);
  problem.channels = logits.size(1);
  problem.pixels = 1;
  for (int64_t axis = 2; axis < logits.dim(); ++axis) problem.pixels *= logits.size(axis);
  problem.softmax = softmax;
  problem.target = labels_of(target);
  problem.ignore_index = ignore_index;
  return problem;
}

// Of the shape of the logits, of float32 or float64.
inline Tensor new_probabilities(const Tensor& logits) {
  const bool is_double = logits.scalar_type() == ScalarType::Double;
  return new_tensor(logits, logits.sizes(), is_double ? ScalarType::Double : ScalarType::Float);
}

// probabilities: [samples, channels, *S] of float32 or float64, S being 2 or 3 axes; target as
// above, checked there.
inline core::SoftCldiceProblem soft_cldice_problem(const Tensor& probabilities,
                                                   const Tensor& target, int64_t iterations,
                                                   bool softmax, int64_t first,
                                                   std::optional<int64_t> ignore_index) {
  core::SoftCldiceProblem problem{};
  problem.probabilities = probabilities.const_data_ptr();
  problem.is_double = probabilities.scalar_type() == ScalarType::Double;
  problem.samples = probabilities.size(0);
  problem.channels = probabilities.size(1);
  problem.spatial_dims = int(probabilities.dim()) - 2;
  problem.slices = probabilities.size(2);
  problem.rows = problem.spatial_dims == 3 ? probabilities.size(3) : 1;
  problem.columns = probabilities.size(probabilities.dim() - 1);
  problem.iterations = iterations;
  problem.target = labels_of(target);
  problem.softmax = softmax;
  problem.ignore_index = ignore_index;
  problem.first = first;
  return problem;
}

// [samples, channels - first, kCldiceSums]
inline Tensor new_cldice_sums(const core::SoftCldiceProblem& problem, const Tensor& probabilities) {
  return new_tensor(probabilities,
                    std::vector<int64_t>{problem.samples, problem.num_classes(), core::kCldiceSums},
                    ScalarType::Double);
}

}  // namespace tubeskel::bindings
