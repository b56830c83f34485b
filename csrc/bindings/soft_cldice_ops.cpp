// The torch ops of soft clDice, and what they do on the CPU: the probabilities, the sums on soft
// skeletons, and their gradient. tubeskel/_soft_cldice_ops.py does it on other devices.
#include <torch/csrc/stable/library.h>

#include <optional>
#include <vector>

#include "../cpu/compound.h"
#include "../cpu/soft_cldice.h"
#include "cpu_tensors.h"
#include "srl_tensors.h"

namespace {

using namespace tubeskel;
using namespace tubeskel::bindings;

// logits: [samples, channels, *S]; target: integers, [samples, *S] for a softmax, else
// [samples, channels, *S]. Returns probabilities of the shape of the logits, of float32 or float64;
// 0 for ignored pixels.
Tensor probabilities_cpu(const Tensor& logits, const Tensor& target, bool softmax,
                         std::optional<int64_t> ignore_index) {
  const bool is_double = logits.scalar_type() == ScalarType::Double;
  Tensor out = torch::stable::new_empty(logits, logits.sizes(),
                                        is_double ? ScalarType::Double : ScalarType::Float);
  cpu::CompoundProblem problem{};
  problem.logits = logits.const_data_ptr();
  problem.logit_type = logit_type(logits);
  problem.samples = logits.size(0);
  problem.channels = logits.size(1);
  problem.pixels = 1;
  for (int64_t axis = 2; axis < logits.dim(); ++axis) problem.pixels *= logits.size(axis);
  problem.softmax = softmax;
  problem.target = labels_of(target);
  problem.ignore_index = ignore_index;
  cpu::probabilities(problem, out.mutable_data_ptr(), threads());
  return out;
}

// probabilities: [samples, channels, *S] of float32 or float64, S being 2 or 3 axes; target as
// above, checked there.
cpu::SoftCldiceProblem problem_of(const Tensor& probabilities, const Tensor& target,
                                  int64_t iterations, bool softmax, int64_t first,
                                  std::optional<int64_t> ignore_index) {
  cpu::SoftCldiceProblem problem{};
  problem.probabilities = probabilities.const_data_ptr();
  problem.is_double = probabilities.scalar_type() == ScalarType::Double;
  problem.samples = probabilities.size(0);
  problem.channels = probabilities.size(1);
  problem.spatial_dims = int(probabilities.dim()) - 2;
  problem.slices = probabilities.size(2);
  problem.rows = problem.spatial_dims == 3 ? probabilities.size(3) : 1;
  problem.columns = probabilities.size(probabilities.dim() - 1);
  problem.iterations = iterations;
  problem.target = labels_of(target);
  problem.softmax = softmax;
  problem.ignore_index = ignore_index;
  problem.first = first;
  return problem;
}

// Returns [samples, channels - first, 4] of float64, see cpu/soft_cldice.h.
Tensor soft_cldice_sums_cpu(const Tensor& probabilities, const Tensor& target, int64_t iterations,
                            bool softmax, int64_t first, std::optional<int64_t> ignore_index) {
  const cpu::SoftCldiceProblem problem =
      problem_of(probabilities, target, iterations, softmax, first, ignore_index);
  Tensor sums = torch::stable::new_empty(
      probabilities, std::vector<int64_t>{problem.samples, problem.num_classes(), cpu::kCldiceSums},
      ScalarType::Double);
  cpu::soft_cldice_sums(problem, static_cast<double*>(sums.mutable_data_ptr()), threads());
  return sums;
}

// derivatives: of the shape and type of the sums.
Tensor soft_cldice_gradient_cpu(const Tensor& derivatives, const Tensor& probabilities,
                                const Tensor& target, int64_t iterations, bool softmax,
                                int64_t first, std::optional<int64_t> ignore_index) {
  Tensor grad = torch::stable::empty_like(probabilities);
  cpu::soft_cldice_gradient(
      problem_of(probabilities, target, iterations, softmax, first, ignore_index),
      static_cast<const double*>(derivatives.const_data_ptr()), grad.mutable_data_ptr(), threads());
  return grad;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(tubeskel, m) {
  m.def("probabilities(Tensor logits, Tensor target, bool softmax, int? ignore_index) -> Tensor");
  m.def(
      "soft_cldice_sums(Tensor probabilities, Tensor target, int iterations, bool softmax, "
      "int first, int? ignore_index) -> Tensor");
  m.def(
      "soft_cldice_gradient(Tensor derivatives, Tensor probabilities, Tensor target, "
      "int iterations, bool softmax, int first, int? ignore_index) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(tubeskel, CPU, m) {
  m.impl("probabilities", TORCH_BOX(&probabilities_cpu));
  m.impl("soft_cldice_sums", TORCH_BOX(&soft_cldice_sums_cpu));
  m.impl("soft_cldice_gradient", TORCH_BOX(&soft_cldice_gradient_cpu));
}
