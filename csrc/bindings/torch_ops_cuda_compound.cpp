// What the ops of Dice + cross-entropy + skeleton recall do on CUDA; compound_ops.cpp says what
// they take and return.
#include <tuple>

#include "../cuda/compound.h"
#include "compound_tensors.h"
#include "cuda_device.h"
#include "value_check.h"

namespace {

using namespace tubeskel::bindings;
namespace cuda = tubeskel::cuda;

Tensor compound_sums_cuda(const Tensor& logits, const Tensor& target, std::optional<Tensor> tube,
                          bool softmax, std::optional<int64_t> ignore_index, bool log_recall,
                          bool smoothing) {
  const CurrentStream stream(logits);
  const core::CompoundProblem problem =
      compound_problem(logits, target, tube, softmax, ignore_index, log_recall, smoothing);
  ValueCheck target_check(target), tube_check(tube ? *tube : target);
  Tensor sums = new_sums(logits);
  Tensor workspace = new_bytes(logits, cuda::compound_workspace(problem));
  cuda::compound_sums(problem, {tube_check.first_invalid(), target_check.first_invalid()},
                      static_cast<double*>(sums.mutable_data_ptr()), workspace.mutable_data_ptr(),
                      stream);
  target_check.throw_if_noted(core::labels_argument("target", problem.num_classes()));
  tube_check.throw_if_noted(core::labels_argument("tube", problem.num_classes()));
  return sums;
}

std::tuple<Tensor, Tensor, Tensor> compound_loss_cuda(
    const Tensor& sums, std::optional<Tensor> class_weights, bool softmax, bool batch,
    bool include_background, bool all_classes, const std::string& recall, double dice_smooth,
    double recall_smooth, double label_smoothing, double false_positives, double weight_dice,
    double weight_ce, double weight_recall, bool as_double) {
  const CurrentStream stream(sums);
  const core::CompoundOptions options = compound_options(
      class_weights, softmax, batch, include_background, all_classes, recall, dice_smooth,
      recall_smooth, label_smoothing, false_positives, weight_dice, weight_ce, weight_recall);
  const ScalarType real = as_double ? ScalarType::Double : ScalarType::Float;
  Tensor loss = new_tensor(sums, std::vector<int64_t>{}, real);
  Tensor terms = new_tensor(sums, std::vector<int64_t>{core::kTerms}, real);
  Tensor derivatives = new_like(sums);
  cuda::compound_loss(static_cast<const double*>(sums.const_data_ptr()), sums.size(0), sums.size(1),
                      options, {loss.mutable_data_ptr(), terms.mutable_data_ptr(), as_double},
                      static_cast<double*>(derivatives.mutable_data_ptr()), stream);
  return {loss, terms, derivatives};
}

Tensor compound_gradient_cuda(const Tensor& derivatives, const Tensor& logits, const Tensor& target,
                              std::optional<Tensor> tube, bool softmax,
                              std::optional<int64_t> ignore_index, bool log_recall) {
  const CurrentStream stream(logits);
  Tensor grad = new_gradient(logits, true);
  cuda::compound_gradient(
      compound_problem(logits, target, tube, softmax, ignore_index, log_recall, false),
      static_cast<const double*>(derivatives.const_data_ptr()), grad.mutable_data_ptr(), stream);
  return grad;
}

}  // namespace

TUBESKEL_CUDA_OPS(m) {
  m.impl("compound_sums", TORCH_BOX(&compound_sums_cuda));
  m.impl("compound_loss", TORCH_BOX(&compound_loss_cuda));
  m.impl("compound_gradient", TORCH_BOX(&compound_gradient_cuda));
}
