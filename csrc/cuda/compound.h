// Dice + cross-entropy + skeleton recall on the device: the sums over the pixels, the loss as a
// function of them, and the gradient. All launches are queued on `stream`; failures are
// std::runtime_error.
#pragma once

#include <cstddef>

#include "../core/compound.h"
#include "../core/compound_problem.h"
#include "srl.h"

namespace tubeskel::cuda {

// Bytes of the workspace of compound_sums, which is aligned to 8.
size_t compound_workspace(const core::CompoundProblem& problem);

// Writes sums[samples, channels, core::kSums].
void compound_sums(const core::CompoundProblem& problem, const InvalidLabels& invalid, double* sums,
                   void* workspace, void* stream);

// Where the loss goes, and its terms, all of them double or all float.
struct CompoundResult {
  void* loss;
  void* terms;  // [core::kTerms]
  bool is_double;
};

// Writes the loss and its derivatives with respect to sums[samples, channels, core::kSums].
// options.class_weights is in the device's memory.
void compound_loss(const double* sums, int64_t samples, int64_t channels,
                   const core::CompoundOptions& options, const CompoundResult& result,
                   double* derivatives, void* stream);

// Writes the gradient of the logits, in their shape and type, from the derivatives of the loss with
// respect to the sums, of their shape. The labels have been checked.
void compound_gradient(const core::CompoundProblem& problem, const double* derivatives, void* grad,
                       void* stream);

}  // namespace tubeskel::cuda
