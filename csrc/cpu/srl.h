// Skeleton Recall Loss and its gradient in one pass over the logits; the formulae are in
// core/srl.h.
#pragma once

#include <cstdint>
#include <optional>

#include "element_type.h"

namespace tubeskel::cpu {

// Pixels are worked on, and their terms summed, in tiles of at most this size.
inline constexpr int64_t kTile = 1 << 12;

// ---- labels, read once: from any integer type to the classes that the loss works on

// Integer label maps, [maps, pixels], or a null pointer where there are none.
struct Labels {
  const void* data = nullptr;
  ElementType type = {Kind::kUnsigned, 1};
};

struct TubeLabels {
  Labels tube;    // class of a tube pixel, 0 elsewhere
  Labels target;  // or none: checked, and pixels that are ignored in it leave the tube
  int64_t maps, pixels;
  int64_t num_classes;  // labels are 0 .. num_classes - 1, and ignore_index
  std::optional<int64_t> ignore_index;
};

// Classes are bytes where they fit, else int32.
inline bool wide_classes(int64_t num_classes) {
  return num_classes > 256;
}

// Writes the classes of the tube, [maps, pixels], and counts[maps, num_classes]. Throws
// InvalidValue for a label out of range.
void read_tube(const TubeLabels& labels, void* classes, int64_t* counts, int threads);

// ---- the loss

enum class LogitType { kFloat32, kFloat64, kFloat16, kBFloat16 };

// With a softmax a sample has one map of classes, which select among its channels. With a sigmoid
// each channel has a map of its own, of 0 and 1.
struct SrlProblem {
  const void* logits;  // [samples, channels, pixels]
  LogitType logit_type;
  int64_t samples, channels, pixels;
  bool softmax;
  const void* classes;  // [maps, pixels], as from read_tube

  int64_t maps() const { return softmax ? samples : samples * channels; }
  int64_t channels_of_map() const { return softmax ? channels : 1; }
  int64_t num_classes() const { return softmax ? channels : 2; }
};

struct SrlReduction {
  bool batch;        // one sum over all samples before dividing, else a loss per sample, averaged
  bool all_classes;  // |K| counts absent classes too
  double smooth;
};

// weights[maps, num_classes] for srl_sum from counts of that shape. Returns what smoothing adds to
// the loss. Weights that are not used stay as they are.
double srl_weights(const SrlProblem& problem, const int64_t* counts, const SrlReduction& reduction,
                   double* weights);

// Sum over all tube pixels of weight[map, class] * probability of the class. If grad is given it
// becomes the gradient of that sum with respect to the logits, of their shape and type. The result
// is the same for any number of threads.
double srl_sum(const SrlProblem& problem, const double* weights, void* grad, int threads);

}  // namespace tubeskel::cpu
