// Dice + cross-entropy + skeleton recall: the two passes over the logits; the formulae are in
// core/compound.h.
#pragma once

#include <cstdint>
#include <optional>

#include "srl.h"

namespace tubeskel::cpu {

// Pixels that a kernel works on at a time.
inline constexpr int kPixelsAtOnce = 128;

// With a softmax a sample has one map of labels; with a sigmoid each channel has one of its own, of
// 0 and 1. Pixels whose target is ignored take no part.
struct CompoundProblem {
  const void* logits;  // [samples, channels, pixels]
  LogitType logit_type;
  int64_t samples, channels, pixels;
  bool softmax;
  Labels target, tube;  // [maps, pixels]; the tube may be missing
  std::optional<int64_t> ignore_index;
  bool log_recall;  // the sum is of -log s on the tube
  bool smoothing;   // the sum for label smoothing is wanted; with a sigmoid it is always there

  int64_t maps() const { return softmax ? samples : samples * channels; }
  int64_t channels_of_map() const { return softmax ? channels : 1; }
  int64_t num_classes() const { return softmax ? channels : 2; }
};

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
