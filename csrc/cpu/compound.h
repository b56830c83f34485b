// Dice + cross-entropy + skeleton recall: the two passes over the logits; the formulae are in
// core/compound.h.
#pragma once

#include <cstdint>

#include "../core/compound_problem.h"
#include "srl.h"

namespace tubeskel::cpu {

using core::CompoundProblem;

// Pixels that a kernel works on at a time.
inline constexpr int kPixelsAtOnce = 128;

// Writes sums[samples, channels, core::kSums], the same for any number of threads. Throws
// InvalidValue for a label out of range.
void compound_sums(const CompoundProblem& problem, double* sums, int threads);

// Writes the probabilities of the logits, of their shape, in double for double logits, else float;
// 0 for ignored pixels. Throws InvalidValue for a label out of range.
void probabilities(const CompoundProblem& problem, void* out, int threads);

// Writes the gradient of the logits, in their shape and type, from the derivatives of the loss with
// respect to the sums, of their shape. The labels have been checked.
void compound_gradient(const CompoundProblem& problem, const double* derivatives, void* grad,
                       int threads);

}  // namespace tubeskel::cpu
