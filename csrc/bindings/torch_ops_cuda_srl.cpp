// What the loss ops do on CUDA; torch_ops.cpp says what they take and return.
#include <tuple>

#include "../cuda/srl.h"
#include "cuda_device.h"
#include "srl_tensors.h"
#include "value_check.h"

namespace {

using namespace tubeskel::bindings;
namespace cuda = tubeskel::cuda;

std::tuple<Tensor, Tensor> srl_classes_cuda(const Tensor& tube, const Tensor& target,
                                            std::optional<int64_t> ignore_index,
                                            int64_t num_classes) {
  const CurrentStream stream(tube);
  const core::TubeLabels labels = tube_labels(tube, target, ignore_index, num_classes);
  Tensor classes = new_classes(labels, tube);
  Tensor counts = new_counts(labels, tube);
  ValueCheck tube_check(tube), target_check(target);
  cuda::read_tube(labels, {tube_check.first_invalid(), target_check.first_invalid()},
                  classes.mutable_data_ptr(), static_cast<int64_t*>(counts.mutable_data_ptr()),
                  stream);
  target_check.throw_if_noted(core::labels_argument("target", num_classes));
  tube_check.throw_if_noted(core::labels_argument("tube", num_classes));
  return {classes, counts};
}

std::tuple<Tensor, Tensor, Tensor> srl_loss_cuda(const Tensor& logits, const Tensor& classes,
                                                 const Tensor& counts, bool softmax,
                                                 bool all_classes, bool batch, double smooth,
                                                 bool with_grad) {
  const CurrentStream stream(logits);
  const core::SrlProblem problem = srl_problem(logits, classes, softmax);
  const core::SrlReduction reduction = {batch, all_classes, smooth};
  Tensor loss = new_loss(logits);
  Tensor grad = new_gradient(logits, with_grad);
  Tensor weights = new_tensor(counts, counts.sizes(), ScalarType::Double);
  Tensor workspace = new_bytes(logits, cuda::srl_workspace(problem, reduction));
  cuda::srl_loss(problem, static_cast<const int64_t*>(counts.const_data_ptr()), reduction,
                 static_cast<double*>(weights.mutable_data_ptr()), loss.mutable_data_ptr(),
                 with_grad ? grad.mutable_data_ptr() : nullptr, workspace.mutable_data_ptr(),
                 stream);
  return {loss, grad, weights};
}

Tensor srl_gradient_cuda(const Tensor& grad_loss, const Tensor& logits, const Tensor& classes,
                         const Tensor& weights, bool softmax) {
  const CurrentStream stream(logits);
  Tensor grad = new_gradient(logits, true);
  const cuda::Scale scale = {grad_loss.const_data_ptr(),
                             grad_loss.scalar_type() == ScalarType::Double};
  cuda::srl_gradient(srl_problem(logits, classes, softmax),
                     static_cast<const double*>(weights.const_data_ptr()), scale,
                     grad.mutable_data_ptr(), stream);
  return grad;
}

}  // namespace

TUBESKEL_CUDA_OPS(m) {
  m.impl("srl_classes", TORCH_BOX(&srl_classes_cuda));
  m.impl("srl_loss", TORCH_BOX(&srl_loss_cuda));
  m.impl("srl_gradient", TORCH_BOX(&srl_gradient_cuda));
}
