// The sums of soft clDice and their gradient; core/soft_cldice_problem.h says which.
//
// The chain of erosions runs as a pipeline over slices (the rows of an image, the planes of a
// volume): when slice t arrives, erosion j makes its slice t - j, and the skeleton of slice
// t - iterations - 2 is complete. Backwards likewise: the gradient of slice t - 2 iterations - 4
// leaves. Each stage keeps a ring of the few slices that are still needed, so the chain stays in
// the cache and nothing of the size of the image is stored.
//
// A task is a band of slices of one class of one sample. It runs over a halo as well, at whose rim
// values are wrong; these reach one slice further with every stage, and not the band.
#pragma once

#include <cstdint>

#include "../core/soft_cldice_problem.h"
#include "srl.h"

namespace tubeskel::cpu {

using core::kCldiceSums;
using core::SoftCldiceProblem;

struct SoftCldiceTask {
  int64_t sample, channel;
  int64_t first, last;  // slices whose results are wanted
  int64_t begin, end;   // and those with the halo
};

// sums: [samples, num_classes, 4]
void soft_cldice_sums(const SoftCldiceProblem& problem, double* sums, int threads);

// grad, like the probabilities: derivative of the inner product of `derivatives`, of the shape of
// the sums, with the sums. Results do not depend on the number of threads.
void soft_cldice_gradient(const SoftCldiceProblem& problem, const double* derivatives, void* grad,
                          int threads);

}  // namespace tubeskel::cpu
