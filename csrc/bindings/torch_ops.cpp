// The torch door, on the LibTorch Stable ABI: one library for every PyTorch from 2.10 on. The ops
// and what they do on the CPU.
// Shapes and options are checked in Python; tensors arrive contiguous.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "../cpu/images.h"
#include "../cpu/srl.h"
#include "cpu_tensors.h"
#include "schemas.h"
#include "srl_tensors.h"

namespace {

using namespace tubeskel::bindings;
using namespace tubeskel::cpu;

// ---- threads

std::atomic<int64_t> thread_limit{std::numeric_limits<int>::max()};

void set_thread_limit(int64_t limit) {
  thread_limit = limit;
}

}  // namespace

int tubeskel::bindings::threads() {
  return int(std::min<int64_t>(torch::stable::get_num_threads(), thread_limit.load()));
}

namespace {

// ---- tensors

Batch batch_of(const Tensor& tensor, int64_t spatial_dims) {
  const Shape shape = shape_of(tensor, spatial_dims);
  return {tensor.const_data_ptr(),
          element_type(tensor),
          shape.images,
          shape.planes,
          shape.rows,
          shape.columns};
}

// ---- morphology

Tensor pack_bits_cpu(const Tensor& image) {
  Tensor out = new_words(image);
  Interrupt interrupt;
  pack_images(batch_of(image, 2), static_cast<uint64_t*>(out.mutable_data_ptr()),
              {threads(), interrupt});
  return out;
}

Tensor thin_cpu(const Tensor& image, int64_t spatial_dims, const std::string& method,
                int64_t max_iterations, bool keep_components) {
  Tensor out = new_bools(image);
  Interrupt interrupt;
  thin_images(batch_of(image, spatial_dims), {method_of(method), max_iterations, keep_components},
              static_cast<uint8_t*>(out.mutable_data_ptr()), {threads(), interrupt});
  return out;
}

Tensor dilate_cpu(const Tensor& image, int64_t spatial_dims, const std::string& footprint,
                  double radius, double plane_spacing, double row_spacing, double column_spacing) {
  Tensor out = new_bools(image);
  Interrupt interrupt;
  const Footprint rows =
      make_footprint(footprint_shape(footprint), radius,
                     {plane_spacing, row_spacing, column_spacing}, spatial_dims == 2);
  dilate_images(batch_of(image, spatial_dims), rows, static_cast<uint8_t*>(out.mutable_data_ptr()),
                {threads(), interrupt});
  return out;
}

std::tuple<Tensor, Tensor> tubed_skeleton_cpu(const Tensor& labels, int64_t spatial_dims,
                                              const std::string& method, bool keep_components,
                                              int64_t radius, bool per_class,
                                              std::optional<int64_t> ignore_index,
                                              int64_t num_classes, bool as_bytes,
                                              const std::string& name) {
  Tensor out = as_bytes ? new_tensor(labels, labels.sizes(), ScalarType::Byte) : new_like(labels);
  const Batch batch = batch_of(labels, spatial_dims);
  Tensor counts = torch::stable::new_zeros(labels, {batch.images, num_classes}, ScalarType::Long);
  TubeOptions options;
  options.thinning = {method_of(method), kUntilStable, keep_components};
  options.footprint =
      make_footprint(FootprintShape::kDiamond, double(radius), {1.0, 1.0, 1.0}, spatial_dims == 2);
  options.per_class = per_class;
  options.ignore_index = ignore_index ? &*ignore_index : nullptr;
  options.num_classes = num_classes;
  options.as_bytes = as_bytes;
  options.name = name;
  int64_t* const count_data =
      num_classes ? static_cast<int64_t*>(counts.mutable_data_ptr()) : nullptr;
  Interrupt interrupt;
  const Execution run{threads(), interrupt};
  tube_images(batch, options, out.mutable_data_ptr(), count_data, run);
  return {out, counts};
}

// ---- losses

// tube, target: [maps, pixels] of integers. Returns the classes of the tube, [maps, pixels] of
// uint8 or, for many classes, int32, and how many pixels each has, [maps, num_classes].
std::tuple<Tensor, Tensor> srl_classes_cpu(const Tensor& tube, const Tensor& target,
                                           std::optional<int64_t> ignore_index,
                                           int64_t num_classes) {
  const TubeLabels labels = tube_labels(tube, target, ignore_index, num_classes);
  Tensor classes = new_classes(labels, tube);
  Tensor counts = new_counts(labels, tube);
  read_tube(labels, classes.mutable_data_ptr(), static_cast<int64_t*>(counts.mutable_data_ptr()),
            threads());
  return {classes, counts};
}

// counts: [maps, num_classes].
// Returns the loss, its gradient (empty unless asked for) and the weights, of the shape of counts.
std::tuple<Tensor, Tensor, Tensor> srl_loss_cpu(const Tensor& logits, const Tensor& classes,
                                                const Tensor& counts, bool softmax,
                                                bool all_classes, bool batch, double smooth,
                                                bool with_grad) {
  const SrlProblem problem = srl_problem(logits, classes, softmax);
  Tensor weights = torch::stable::new_zeros(counts, counts.sizes(), ScalarType::Double);
  double* const weight_data = static_cast<double*>(weights.mutable_data_ptr());
  const double smoothing =
      srl_weights(problem, static_cast<const int64_t*>(counts.const_data_ptr()),
                  {batch, all_classes, smooth}, weight_data);
  Tensor grad = new_gradient(logits, with_grad);
  const double loss = smoothing + srl_sum(problem, weight_data,
                                          with_grad ? grad.mutable_data_ptr() : nullptr, threads());
  Tensor result = new_loss(logits);
  if (problem.logit_type == LogitType::kFloat64)
    *static_cast<double*>(result.mutable_data_ptr()) = loss;
  else
    *static_cast<float*>(result.mutable_data_ptr()) = float(loss);
  return {result, grad, weights};
}

// The gradient alone, scaled before it is rounded. grad_loss: [], float64 or float32; the rest as
// above.
Tensor srl_gradient_cpu(const Tensor& grad_loss, const Tensor& logits, const Tensor& classes,
                        const Tensor& weights, bool softmax) {
  const SrlProblem problem = srl_problem(logits, classes, softmax);
  const void* const factor = grad_loss.const_data_ptr();
  const double scale = grad_loss.scalar_type() == ScalarType::Double
                           ? *static_cast<const double*>(factor)
                           : double(*static_cast<const float*>(factor));
  const double* const weight_data = static_cast<const double*>(weights.const_data_ptr());
  std::vector<double> scaled(weight_data, weight_data + weights.numel());
  for (double& weight : scaled) weight *= scale;
  Tensor grad = new_like(logits);
  srl_sum(problem, scaled.data(), grad.mutable_data_ptr(), threads());
  return grad;
}

}  // namespace

STABLE_TORCH_LIBRARY(tubeskel, m) {
  m.def("set_thread_limit(int limit) -> ()");
  m.def("use_instruction_set(str name) -> ()");
  define_ops(m);
}

STABLE_TORCH_LIBRARY_IMPL(tubeskel, CompositeExplicitAutograd, m) {
  m.impl("set_thread_limit", TORCH_BOX(&set_thread_limit));
  m.impl("use_instruction_set", TORCH_BOX(&use_instruction_set));
}

STABLE_TORCH_LIBRARY_IMPL(tubeskel, CPU, m) {
  m.impl("pack_bits", TORCH_BOX(&pack_bits_cpu));
  m.impl("thin", TORCH_BOX(&thin_cpu));
  m.impl("dilate", TORCH_BOX(&dilate_cpu));
  m.impl("tubed_skeleton", TORCH_BOX(&tubed_skeleton_cpu));
  m.impl("srl_classes", TORCH_BOX(&srl_classes_cpu));
  m.impl("srl_loss", TORCH_BOX(&srl_loss_cpu));
  m.impl("srl_gradient", TORCH_BOX(&srl_gradient_cpu));
}
