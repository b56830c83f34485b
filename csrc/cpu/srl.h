// Skeleton Recall Loss and its gradient in one pass over the logits; the formulae are in
// core/srl.h.
#pragma once

#include <cstdint>

#include "../core/srl_problem.h"
#include "element_type.h"

namespace tubeskel::cpu {

using core::Labels;
using core::LogitType;
using core::SrlProblem;
using core::SrlReduction;
using core::TubeLabels;
using core::wide_classes;

// Pixels are worked on, and their terms summed, in tiles of at most this size.
inline constexpr int64_t kTile = 1 << 12;

// Throws InvalidValue for the first of `size` labels that is out of range, if there is one.
void require_valid(const char* name, const Labels& labels, int64_t size, int64_t num_classes,
                   std::optional<int64_t> ignore_index);

// Writes the classes of the tube, [maps, pixels], and counts[maps, num_classes]. Throws
// InvalidValue for a label out of range.
void read_tube(const TubeLabels& labels, void* classes, int64_t* counts, int threads);

// weights[maps, num_classes] for srl_sum from counts of that shape. Returns what smoothing adds to
// the loss. Weights that are not used stay as they are.
double srl_weights(const SrlProblem& problem, const int64_t* counts, const SrlReduction& reduction,
                   double* weights);

// Sum over all tube pixels of weight[map, class] * probability of the class. If grad is given it
// becomes the gradient of that sum with respect to the logits, of their shape and type. The result
// is the same for any number of threads.
double srl_sum(const SrlProblem& problem, const double* weights, void* grad, int threads);

}  // namespace tubeskel::cpu
