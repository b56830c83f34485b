// Probabilities of logits on the device, queued on `stream`; failures are std::runtime_error.
#pragma once

#include "../core/compound_problem.h"

namespace tubeskel::cuda {

// Writes the probabilities of the logits, of their shape, in double for double logits, else float;
// 0 for ignored pixels. `first_invalid` is as in InvalidLabels.
void probabilities(const core::CompoundProblem& problem, unsigned long long* first_invalid,
                   void* out, void* stream);

}  // namespace tubeskel::cuda
