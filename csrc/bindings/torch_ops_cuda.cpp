// What the torch ops of morphology do on CUDA. Nothing here waits for the device.
#include <limits>

#include "../cuda/pack_bits.h"
#include "../cuda/select.h"
#include "../cuda/tubes.h"
#include "cuda_device.h"
#include "tensors.h"
#include "value_check.h"

namespace {

using namespace tubeskel::bindings;
namespace cuda = tubeskel::cuda;

// Kernels count images and rows in 32 bits; pixels in 64.
cuda::Shape cuda_shape(const Tensor& tensor, int64_t spatial_dims) {
  const Shape shape = shape_of(tensor, spatial_dims);
  for (const int64_t size : {shape.images, shape.planes, shape.rows, shape.columns})
    if (size > std::numeric_limits<int32_t>::max())
      throw std::invalid_argument("CUDA takes at most 2147483647 images, rows or columns, got " +
                                  std::to_string(size));
  return {shape.images, shape.planes, shape.rows, shape.columns};
}

cuda::Pixels pixels_of(const Tensor& image, const core::Foreground& foreground, ValueCheck& check) {
  return {image.const_data_ptr(), element_type(image).size, foreground, check.first_invalid()};
}

// What an error says of a launch: the op and the sizes of its input.
cuda::Subject subject_of(const char* op, const Tensor& input) {
  std::string text = std::string(op) + " on [";
  for (int64_t d = 0; d < input.dim(); ++d) text += (d ? ", " : "") + std::to_string(input.size(d));
  return text + "]";
}

Tensor pack_bits_cuda(const Tensor& image) {
  const CurrentStream stream(image);
  ValueCheck check(image);
  Tensor out = new_words(image);
  const cuda::Shape shape = cuda_shape(image, 2);
  const int64_t row_words = 2 * out.size(out.dim() - 1);
  cuda::pack_bits(shape, pixels_of(image, core::nonzero(element_type(image)), check), 1, row_words,
                  static_cast<cuda::Word*>(out.mutable_data_ptr()), stream,
                  subject_of("pack_bits", image));
  check.throw_if_noted(core::kImage);
  return out;
}

// Foreground bits of an image, and memory for them.
struct PackedImage {
  cuda::Shape shape;
  Tensor memory;
  cuda::Word* bits;

  PackedImage(const Tensor& image, int64_t spatial_dims, ValueCheck& check, void* stream,
              const cuda::Subject& subject)
      : shape(cuda_shape(image, spatial_dims)),
        memory(new_bytes(image, size_t(shape.total_words()) * sizeof(cuda::Word))),
        bits(static_cast<cuda::Word*>(memory.mutable_data_ptr())) {
    cuda::pack_bits(shape, pixels_of(image, core::nonzero(element_type(image)), check), bits,
                    stream, subject);
  }
};

Tensor thin_cuda(const Tensor& image, int64_t spatial_dims, const std::string& method,
                 int64_t max_iterations, bool keep_components) {
  const CurrentStream stream(image);
  const cuda::Subject subject = subject_of("thin", image);
  ValueCheck check(image);
  const PackedImage packed(image, spatial_dims, check, stream, subject);
  const cuda::ThinOptions options = {method_of(method), max_iterations, keep_components};
  Tensor workspace = new_bytes(image, cuda::thin_bits_workspace(packed.shape, options));
  cuda::thin_bits(packed.shape, options, packed.bits, workspace.mutable_data_ptr(), stream,
                  subject);
  Tensor out = new_bools(image);
  cuda::unpack_bits(packed.shape, {packed.bits, cuda::kPoint},
                    static_cast<uint8_t*>(out.mutable_data_ptr()), stream, subject);
  check.throw_if_noted(core::kImage);
  return out;
}

Tensor dilate_cuda(const Tensor& image, int64_t spatial_dims, const std::string& shape,
                   double radius, double plane_spacing, double row_spacing, double column_spacing) {
  const CurrentStream stream(image);
  const cuda::Subject subject = subject_of("dilate", image);
  ValueCheck check(image);
  const PackedImage packed(image, spatial_dims, check, stream, subject);
  const cuda::Footprint footprint(
      core::make_footprint(footprint_shape(shape), radius,
                           {plane_spacing, row_spacing, column_spacing}, spatial_dims == 2),
      packed.shape);
  Tensor spare = new_bytes(image, footprint.spare_bytes(packed.shape));
  Tensor out = new_bools(image);
  cuda::unpack_bits(
      packed.shape,
      footprint.widen(packed.shape, packed.bits, static_cast<cuda::Word*>(spare.mutable_data_ptr()),
                      stream, subject),
      static_cast<uint8_t*>(out.mutable_data_ptr()), stream, subject);
  check.throw_if_noted(core::kImage);
  return out;
}

std::tuple<Tensor, Tensor> tubed_skeleton_cuda(const Tensor& labels, int64_t spatial_dims,
                                               const std::string& method, bool keep_components,
                                               int64_t radius, bool per_class,
                                               std::optional<int64_t> ignore_index,
                                               int64_t num_classes, bool as_bytes,
                                               const std::string& name) {
  const ElementType type = element_type(labels);
  if (per_class && num_classes == 0 && type.size > 1)
    throw std::invalid_argument("tubed_skeleton on CUDA with per_class needs num_classes, or " +
                                name + " of one byte");
  const CurrentStream stream(labels);
  ValueCheck check(labels);
  const cuda::Shape shape = cuda_shape(labels, spatial_dims);
  const cuda::Pixels pixels = pixels_of(
      labels, core::labels_of_classes(type, num_classes, ignore_index ? &*ignore_index : nullptr),
      check);
  cuda::TubeOptions options;
  options.thinning = {method_of(method), core::kUntilStable, keep_components};
  options.footprint = core::make_footprint(core::FootprintShape::kDiamond, double(radius),
                                           {1.0, 1.0, 1.0}, spatial_dims == 2);
  options.per_class = per_class;
  options.num_classes = labels.scalar_type() == ScalarType::Bool ? 2 : num_classes;
  Tensor out = as_bytes ? new_tensor(labels, labels.sizes(), ScalarType::Byte) : new_like(labels);
  Tensor counts = torch::stable::new_zeros(labels, {shape.images, num_classes}, ScalarType::Long);
  const cuda::Selection selection = {
      out.mutable_data_ptr(), as_bytes, num_classes,
      num_classes ? static_cast<unsigned long long*>(counts.mutable_data_ptr()) : nullptr};
  Tensor workspace = new_bytes(labels, cuda::tube_workspace(shape, pixels, options));
  cuda::tubed_skeleton(shape, pixels, options, selection, workspace.mutable_data_ptr(), stream,
                       subject_of("tubed_skeleton", labels));
  check.throw_if_noted(core::labels_argument(name, num_classes));
  return {out, counts};
}

}  // namespace

TUBESKEL_CUDA_OPS(m) {
  m.impl("pack_bits", TORCH_BOX(&pack_bits_cuda));
  m.impl("thin", TORCH_BOX(&thin_cuda));
  m.impl("dilate", TORCH_BOX(&dilate_cuda));
  m.impl("tubed_skeleton", TORCH_BOX(&tubed_skeleton_cuda));
}
