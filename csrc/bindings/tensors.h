// What the ops of all devices ask of tensors.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "../core/element_type.h"
#include "../core/footprint.h"
#include "../core/method.h"

// Exists from PyTorch 2.13 on; this library also loads where it does not.
extern "C" __attribute__((weak)) const char* torch_exception_get_what_without_backtrace();

namespace tubeskel::bindings {

namespace core = tubeskel::core;
using core::ElementType;
using core::Kind;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline ElementType element_type(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Bool:
    case ScalarType::Byte:
      return {Kind::kUnsigned, 1};
    case ScalarType::UInt16:
      return {Kind::kUnsigned, 2};
    case ScalarType::UInt32:
      return {Kind::kUnsigned, 4};
    case ScalarType::UInt64:
      return {Kind::kUnsigned, 8};
    case ScalarType::Char:
      return {Kind::kSigned, 1};
    case ScalarType::Short:
      return {Kind::kSigned, 2};
    case ScalarType::Int:
      return {Kind::kSigned, 4};
    case ScalarType::Long:
      return {Kind::kSigned, 8};
    case ScalarType::Half:
      return {Kind::kFloat, 2};
    case ScalarType::BFloat16:
      return {Kind::kBrainFloat, 2};
    case ScalarType::Float:
      return {Kind::kFloat, 4};
    case ScalarType::Double:
      return {Kind::kFloat, 8};
    default:
      throw std::invalid_argument("unsupported dtype");
  }
}

// The images of a tensor [..., rows, columns], or [..., planes, rows, columns] for three spatial
// axes.
struct Shape {
  int64_t images, planes, rows, columns;
};

inline Shape shape_of(const Tensor& tensor, int64_t spatial_dims) {
  const int64_t first = tensor.dim() - spatial_dims;
  int64_t images = 1;
  for (int64_t d = 0; d < first; ++d) images *= tensor.size(d);
  return {images, spatial_dims == 3 ? tensor.size(first) : 1, tensor.size(tensor.dim() - 2),
          tensor.size(tensor.dim() - 1)};
}

inline core::Method method_of(const std::string& name) {
  if (name == "lee") return core::Method::kLee;
  return name == "guo_hall" ? core::Method::kGuoHall : core::Method::kZhang;
}

inline core::FootprintShape footprint_shape(const std::string& name) {
  if (name == "box") return core::FootprintShape::kBox;
  return name == "ball" ? core::FootprintShape::kBall : core::FootprintShape::kDiamond;
}

// A tensor of any values on the device of another. Of a failure the Stable ABI tells where in the
// code it was, and not what PyTorch says of it.
inline Tensor new_tensor(const Tensor& like, torch::headeronly::IntHeaderOnlyArrayRef sizes,
                         ScalarType type) {
  try {
    return torch::stable::new_empty(like, sizes, type);
  } catch (const std::runtime_error&) {
    std::string text;
    for (const int64_t size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
    throw std::runtime_error("tubeskel: cannot allocate a tensor of shape [" + text + "]: " +
                             (torch_exception_get_what_without_backtrace
                                  ? torch_exception_get_what_without_backtrace()
                                  : "out of memory, most likely"));
  }
}

inline Tensor new_bytes(const Tensor& like, size_t bytes) {
  return new_tensor(like, std::vector<int64_t>{int64_t(bytes)}, ScalarType::Byte);
}

// Of the shape and type of another.
inline Tensor new_like(const Tensor& tensor) {
  return new_tensor(tensor, tensor.sizes(), tensor.scalar_type());
}

inline Tensor new_bools(const Tensor& like) {
  return new_tensor(like, like.sizes(), ScalarType::Bool);
}

// [..., rows, ceil(columns / 64)] of int64
inline Tensor new_words(const Tensor& image) {
  std::vector<int64_t> sizes(image.sizes().begin(), image.sizes().end());
  sizes.back() = (sizes.back() + 63) / 64;
  return new_tensor(image, sizes, ScalarType::Long);
}

}  // namespace tubeskel::bindings
