// What the ops of Dice + cross-entropy + skeleton recall do on the CPU: the sums, the loss as a
// function of them, and the gradient. Between the first two the sums of several processes can be
// added.
#include <torch/csrc/stable/library.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "../cpu/compound.h"
#include "compound_tensors.h"
#include "cpu_tensors.h"

namespace {

using namespace tubeskel;
using namespace tubeskel::bindings;

// Returns the sums, [samples, channels, kSums] of float64.
Tensor compound_sums_cpu(const Tensor& logits, const Tensor& target, std::optional<Tensor> tube,
                         bool softmax, std::optional<int64_t> ignore_index, bool log_recall,
                         bool smoothing) {
  Tensor sums = new_sums(logits);
  cpu::compound_sums(
      compound_problem(logits, target, tube, softmax, ignore_index, log_recall, smoothing),
      static_cast<double*>(sums.mutable_data_ptr()), threads());
  return sums;
}

// The gradient of the logits; derivatives: of the shape of the sums.
Tensor compound_gradient_cpu(const Tensor& derivatives, const Tensor& logits, const Tensor& target,
                             std::optional<Tensor> tube, bool softmax,
                             std::optional<int64_t> ignore_index, bool log_recall) {
  Tensor grad = new_like(logits);
  cpu::compound_gradient(
      compound_problem(logits, target, tube, softmax, ignore_index, log_recall, false),
      static_cast<const double*>(derivatives.const_data_ptr()), grad.mutable_data_ptr(), threads());
  return grad;
}

// class_weights: [channels] of float64. Returns the loss, its three terms, in float64 or float32,
// and its derivatives with respect to the sums, of their shape.
std::tuple<Tensor, Tensor, Tensor> compound_loss_cpu(
    const Tensor& sums, std::optional<Tensor> class_weights, bool softmax, bool batch,
    bool include_background, bool all_classes, const std::string& recall, double dice_smooth,
    double recall_smooth, double label_smoothing, double false_positives, double weight_dice,
    double weight_ce, double weight_recall, bool as_double) {
  const core::CompoundOptions options = compound_options(
      class_weights, softmax, batch, include_background, all_classes, recall, dice_smooth,
      recall_smooth, label_smoothing, false_positives, weight_dice, weight_ce, weight_recall);
  Tensor derivatives = new_like(sums);
  double terms[core::kTerms];
  const double loss = core::compound_terms(static_cast<const double*>(sums.const_data_ptr()),
                                           sums.size(0), sums.size(1), options, terms,
                                           static_cast<double*>(derivatives.mutable_data_ptr()));
  const auto as_tensor = [&](const double* values, std::vector<int64_t> shape) {
    Tensor out = new_tensor(sums, shape, as_double ? ScalarType::Double : ScalarType::Float);
    for (int64_t i = 0; i < out.numel(); ++i) {
      if (as_double)
        static_cast<double*>(out.mutable_data_ptr())[i] = values[i];
      else
        static_cast<float*>(out.mutable_data_ptr())[i] = float(values[i]);
    }
    return out;
  };
  return {as_tensor(&loss, {}), as_tensor(terms, {core::kTerms}), derivatives};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(tubeskel, CPU, m) {
  m.impl("compound_sums", TORCH_BOX(&compound_sums_cpu));
  m.impl("compound_gradient", TORCH_BOX(&compound_gradient_cpu));
  m.impl("compound_loss", TORCH_BOX(&compound_loss_cpu));
}
