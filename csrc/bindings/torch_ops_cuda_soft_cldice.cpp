// What the ops of soft clDice do on CUDA; soft_cldice_ops.cpp says what they take and return.
#include "../cuda/probabilities.h"
#include "../cuda/soft_cldice.h"
#include "cuda_device.h"
#include "soft_cldice_tensors.h"
#include "value_check.h"

namespace {

using namespace tubeskel::bindings;
namespace cuda = tubeskel::cuda;

Tensor probabilities_cuda(const Tensor& logits, const Tensor& target, bool softmax,
                          std::optional<int64_t> ignore_index) {
  const CurrentStream stream(logits);
  const core::CompoundProblem problem =
      probabilities_problem(logits, target, softmax, ignore_index);
  ValueCheck check(target);
  Tensor out = new_probabilities(logits);
  cuda::probabilities(problem, check.first_invalid(), out.mutable_data_ptr(), stream);
  check.throw_if_noted(core::labels_argument("target", problem.num_classes()));
  return out;
}

Tensor soft_cldice_sums_cuda(const Tensor& probabilities, const Tensor& target, int64_t iterations,
                             bool softmax, int64_t first, std::optional<int64_t> ignore_index) {
  const CurrentStream stream(probabilities);
  const core::SoftCldiceProblem problem =
      soft_cldice_problem(probabilities, target, iterations, softmax, first, ignore_index);
  Tensor sums = new_cldice_sums(problem, probabilities);
  Tensor workspace = new_bytes(probabilities, cuda::soft_cldice_workspace(problem, false));
  cuda::soft_cldice_sums(problem, static_cast<double*>(sums.mutable_data_ptr()),
                         workspace.mutable_data_ptr(), stream);
  return sums;
}

Tensor soft_cldice_gradient_cuda(const Tensor& derivatives, const Tensor& probabilities,
                                 const Tensor& target, int64_t iterations, bool softmax,
                                 int64_t first, std::optional<int64_t> ignore_index) {
  const CurrentStream stream(probabilities);
  const core::SoftCldiceProblem problem =
      soft_cldice_problem(probabilities, target, iterations, softmax, first, ignore_index);
  Tensor grad = new_gradient(probabilities, true);
  Tensor workspace = new_bytes(probabilities, cuda::soft_cldice_workspace(problem, true));
  cuda::soft_cldice_gradient(problem, static_cast<const double*>(derivatives.const_data_ptr()),
                             grad.mutable_data_ptr(), workspace.mutable_data_ptr(), stream);
  return grad;
}

}  // namespace

TUBESKEL_CUDA_OPS(m) {
  m.impl("probabilities", TORCH_BOX(&probabilities_cuda));
  m.impl("soft_cldice_sums", TORCH_BOX(&soft_cldice_sums_cuda));
  m.impl("soft_cldice_gradient", TORCH_BOX(&soft_cldice_gradient_cuda));
}
