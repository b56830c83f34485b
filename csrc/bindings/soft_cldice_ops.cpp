// The ops of soft clDice: the probabilities, the sums on soft skeletons, and their gradient. What
// they do on the CPU.
#include <torch/csrc/stable/library.h>

#include "../cpu/compound.h"
#include "../cpu/soft_cldice.h"
#include "cpu_tensors.h"
#include "soft_cldice_tensors.h"

namespace {

using namespace tubeskel;
using namespace tubeskel::bindings;

// Returns probabilities of the shape of the logits, 0 for ignored pixels.
Tensor probabilities_cpu(const Tensor& logits, const Tensor& target, bool softmax,
                         std::optional<int64_t> ignore_index) {
  Tensor out = new_probabilities(logits);
  cpu::probabilities(probabilities_problem(logits, target, softmax, ignore_index),
                     out.mutable_data_ptr(), threads());
  return out;
}

// Returns [samples, channels - first, 4] of float64, see core/soft_cldice_problem.h.
Tensor soft_cldice_sums_cpu(const Tensor& probabilities, const Tensor& target, int64_t iterations,
                            bool softmax, int64_t first, std::optional<int64_t> ignore_index) {
  const core::SoftCldiceProblem problem =
      soft_cldice_problem(probabilities, target, iterations, softmax, first, ignore_index);
  Tensor sums = new_cldice_sums(problem, probabilities);
  cpu::soft_cldice_sums(problem, static_cast<double*>(sums.mutable_data_ptr()), threads());
  return sums;
}

// derivatives: of the shape and type of the sums.
Tensor soft_cldice_gradient_cpu(const Tensor& derivatives, const Tensor& probabilities,
                                const Tensor& target, int64_t iterations, bool softmax,
                                int64_t first, std::optional<int64_t> ignore_index) {
  Tensor grad = new_like(probabilities);
  cpu::soft_cldice_gradient(
      soft_cldice_problem(probabilities, target, iterations, softmax, first, ignore_index),
      static_cast<const double*>(derivatives.const_data_ptr()), grad.mutable_data_ptr(), threads());
  return grad;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(tubeskel, CPU, m) {
  m.impl("probabilities", TORCH_BOX(&probabilities_cpu));
  m.impl("soft_cldice_sums", TORCH_BOX(&soft_cldice_sums_cpu));
  m.impl("soft_cldice_gradient", TORCH_BOX(&soft_cldice_gradient_cpu));
}
