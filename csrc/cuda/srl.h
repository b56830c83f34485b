// Skeleton Recall Loss on the device. All launches are queued on `stream`; failures are
// std::runtime_error.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/srl_problem.h"

namespace tubeskel::cuda {

// Where the least index of a label out of range is noted, in the device's memory; ~0 before. Null
// pointers: such a label stops the device with a failed assertion.
struct InvalidLabels {
  unsigned long long* tube;
  unsigned long long* target;
};

// Writes the classes of the tube, [maps, pixels], and counts[maps, num_classes].
void read_tube(const core::TubeLabels& labels, const InvalidLabels& invalid, void* classes,
               int64_t* counts, void* stream);

// Bytes of the workspace of srl_loss, which is aligned to 8.
size_t srl_workspace(const core::SrlProblem& problem, const core::SrlReduction& reduction);

// Writes the loss, of double for double logits, else float, and weights of the shape of
// counts[maps, num_classes] for srl_gradient. If grad is given it becomes the gradient of the
// loss with respect to the logits, of their shape and type.
void srl_loss(const core::SrlProblem& problem, const int64_t* counts,
              const core::SrlReduction& reduction, double* weights, void* loss, void* grad,
              void* workspace, void* stream);

// One number in the device's memory.
struct Scale {
  const void* value;
  bool is_double;  // else float
};

// Writes the gradient times the scale.
void srl_gradient(const core::SrlProblem& problem, const double* weights, Scale scale, void* grad,
                  void* stream);

}  // namespace tubeskel::cuda
