// Skeleton Recall Loss and its gradient in one pass over the logits; the formulae are in
// core/srl.h.
#pragma once

#include <cstdint>
#include <optional>

#include "element_type.h"

namespace tubeskel::cpu {

inline constexpr int32_t kIgnored = -1, kInvalid = -2;

enum class LogitType { kFloat32, kFloat64, kFloat16, kBFloat16 };

// Integer label maps, or a null pointer where there are none.
struct Labels {
  const void* data = nullptr;
  ElementType type = {Kind::kUnsigned, 1};
};

// With a softmax a sample has one label map, whose values select among its channels. With a sigmoid
// each channel has a map of its own, of 0 and 1.
struct SrlProblem {
  const void* logits;  // [samples, channels, pixels]
  LogitType logit_type;
  int64_t samples, channels, pixels;
  bool softmax;
  Labels tube;    // [maps, pixels]: class of a tube pixel, 0 elsewhere
  Labels target;  // [maps, pixels] or none: checked, and read for ignored pixels
  std::optional<int64_t> ignore_index;

  int64_t maps() const { return softmax ? samples : samples * channels; }
  int64_t channels_of_map() const { return softmax ? channels : 1; }
  int64_t classes() const { return softmax ? channels : 2; }  // labels are 0 .. classes() - 1
};

// Number of tube pixels of each class, counts[maps, classes].
void count_tube(const SrlProblem& problem, int64_t* counts, int threads);

// Sum over all tube pixels of weight[map, class] * probability of the class. If grad is given it
// becomes the gradient of that sum with respect to the logits, of their shape and type. The result
// is the same for any number of threads. Both functions throw InvalidValue for a bad label.
double srl_sum(const SrlProblem& problem, const double* weights, void* grad, int threads);

struct SrlReduction {
  bool batch;        // one sum over all samples before dividing, else a loss per sample, averaged
  bool all_classes;  // |K| counts absent classes too
  double smooth;
};

// weights[maps, classes] for srl_sum from counts[maps, classes]. Returns what smoothing adds
// to the loss.
double srl_weights(const SrlProblem& problem, const int64_t* counts, const SrlReduction& reduction,
                   double* weights);

}  // namespace tubeskel::cpu
