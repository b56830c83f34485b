// What the drivers of the Skeleton Recall Loss are asked to do; its formulae are in srl.h.
#pragma once

#include <cstdint>
#include <optional>

#include "element_type.h"

namespace tubeskel::core {

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

// ---- the loss

enum class LogitType { kFloat32, kFloat64, kFloat16, kBFloat16 };

// With a softmax a sample has one map of classes, which select among its channels. With a sigmoid
// each channel has a map of its own, of 0 and 1.
struct SrlProblem {
  const void* logits;  // [samples, channels, pixels]
  LogitType logit_type;
  int64_t samples, channels, pixels;
  bool softmax;
  const void* classes;  // [maps, pixels]

  int64_t maps() const { return softmax ? samples : samples * channels; }
  int64_t channels_of_map() const { return softmax ? channels : 1; }
  int64_t num_classes() const { return softmax ? channels : 2; }
};

struct SrlReduction {
  bool batch;        // one sum over all samples before dividing, else a loss per sample, averaged
  bool all_classes;  // |K| counts absent classes too
  double smooth;
};

}  // namespace tubeskel::core
