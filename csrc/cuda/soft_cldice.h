// Soft clDice on the device: the sums on soft skeletons, and their gradient. All launches are
// queued on `stream`; failures are std::runtime_error.
#pragma once

#include <cstddef>

#include "../core/soft_cldice_problem.h"

namespace tubeskel::cuda {

// Bytes of the workspaces of soft_cldice_sums and soft_cldice_gradient, on the current device.
size_t soft_cldice_workspace(const core::SoftCldiceProblem& problem, bool gradient);

// Writes sums[samples, num_classes, core::kCldiceSums].
void soft_cldice_sums(const core::SoftCldiceProblem& problem, double* sums, void* workspace,
                      void* stream);

// Writes grad, like the probabilities: derivative of the inner product of `derivatives`, of the
// shape of the sums, with the sums.
void soft_cldice_gradient(const core::SoftCldiceProblem& problem, const double* derivatives,
                          void* grad, void* workspace, void* stream);

}  // namespace tubeskel::cuda
