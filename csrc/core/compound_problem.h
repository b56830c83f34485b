// What the two passes over the logits of Dice + cross-entropy + skeleton recall are asked to do;
// the formulae are in compound.h.
#pragma once

#include "srl_problem.h"

namespace tubeskel::core {

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

}  // namespace tubeskel::core
