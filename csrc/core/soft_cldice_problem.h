// What the sums of soft clDice and their gradient are asked to do; the skeleton's formulae are in
// soft_skeleton.h.
//
// With p the probabilities of a class, y its mask, and S(.) soft skeletons, clDice is a function of
//
//   sum S(p) y,  sum S(p),  sum S(y) p,  sum S(y).
#pragma once

#include "srl_problem.h"

namespace tubeskel::core {

inline constexpr int kCldiceSums = 4;

struct SoftCldiceProblem {
  const void* probabilities;  // [samples, channels, slices, rows, columns]
  bool is_double;             // else float
  int64_t samples, channels;
  int spatial_dims;               // 2: rows is 1; 3
  int64_t slices, rows, columns;  // of the map of a channel
  int64_t iterations;
  Labels target;  // [maps, slices, rows, columns]
  bool softmax;   // a map of labels for a sample, else one of 0 and 1 for each of its channels
  std::optional<int64_t> ignore_index;  // of no class; probabilities are 0 there
  int64_t first;                        // channels below have no clDice

  int64_t num_classes() const { return channels - first; }
  int64_t slice_size() const { return rows * columns; }
};

}  // namespace tubeskel::core
