// What the ops of Dice + cross-entropy + skeleton recall ask of tensors on all devices.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "../core/compound.h"
#include "../core/compound_problem.h"
#include "srl_tensors.h"

namespace tubeskel::bindings {

// logits: [samples, channels, pixels]; target, tube: [maps, pixels] of integers, the maps being the
// samples for a softmax, the channels of the samples for a sigmoid.
inline core::CompoundProblem compound_problem(const Tensor& logits, const Tensor& target,
                                              const std::optional<Tensor>& tube, bool softmax,
                                              std::optional<int64_t> ignore_index, bool log_recall,
                                              bool smoothing) {
  core::CompoundProblem problem{};
  problem.logits = logits.const_data_ptr();
  problem.logit_type = logit_type(logits);
  problem.samples = logits.size(0);
  problem.channels = logits.size(1);
  problem.pixels = logits.size(2);
  problem.softmax = softmax;
  problem.target = labels_of(target);
  if (tube) problem.tube = labels_of(*tube);
  problem.ignore_index = ignore_index;
  problem.log_recall = log_recall;
  problem.smoothing = smoothing;
  return problem;
}

// [samples, channels, kSums]
inline Tensor new_sums(const Tensor& logits) {
  return new_tensor(logits, std::vector<int64_t>{logits.size(0), logits.size(1), core::kSums},
                    ScalarType::Double);
}

inline core::Recall recall_of(const std::string& name) {
  if (name == "log") return core::Recall::kLog;
  if (name == "cross_entropy") return core::Recall::kCrossEntropy;
  return name == "tversky" ? core::Recall::kTversky : core::Recall::kLinear;
}

// class_weights: [channels] of float64, where the loss is made.
inline core::CompoundOptions compound_options(const std::optional<Tensor>& class_weights,
                                              bool softmax, bool batch, bool include_background,
                                              bool all_classes, const std::string& recall,
                                              double dice_smooth, double recall_smooth,
                                              double label_smoothing, double false_positives,
                                              double weight_dice, double weight_ce,
                                              double weight_recall) {
  return {softmax,
          batch,
          include_background,
          all_classes,
          recall_of(recall),
          dice_smooth,
          recall_smooth,
          label_smoothing,
          false_positives,
          {weight_dice, weight_ce, weight_recall},
          class_weights ? static_cast<const double*>(class_weights->const_data_ptr()) : nullptr};
}

}  // namespace tubeskel::bindings
