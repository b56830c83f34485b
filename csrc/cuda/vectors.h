// Neighbouring elements that are loaded and stored at once, and the reals they are worked on as.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "../core/srl_problem.h"

namespace tubeskel::cuda {

inline constexpr int kVectorBytes = 16;  // the widest load and store

template <class T, int n>
struct alignas(sizeof(T) * n < kVectorBytes ? sizeof(T) * n : kVectorBytes) Vector {
  T lane[n];
};

// p must be aligned as the vector is; see `aligned`.
template <int n, class T>
__device__ Vector<T, n> load(const T* p) {
  return *reinterpret_cast<const Vector<T, n>*>(p);
}
template <int n, class T>
__device__ void store(T* p, const Vector<T, n>& vector) {
  *reinterpret_cast<Vector<T, n>*>(p) = vector;
}

// Whether vectors of n elements of this size can be read from `data` on, in rows of `row` elements.
// True of null data.
inline bool aligned(const void* data, int element_size, int n, int64_t row) {
  const int bytes = element_size * n < kVectorBytes ? element_size * n : kVectorBytes;
  return reinterpret_cast<uintptr_t>(data) % uintptr_t(bytes) == 0 && row % n == 0;
}

// work(p) with a null pointer to the type of the logits.
template <class Work>
void with_logits(core::LogitType type, const Work& work) {
  switch (type) {
    case core::LogitType::kFloat64:
      return work(static_cast<double*>(nullptr));
    case core::LogitType::kFloat16:
      return work(static_cast<__half*>(nullptr));
    case core::LogitType::kBFloat16:
      return work(static_cast<__nv_bfloat16*>(nullptr));
    default:
      return work(static_cast<float*>(nullptr));
  }
}

// Sixteen bits are worked on as float.
template <class T>
using RealOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

__device__ inline float to_real(float x) {
  return x;
}
__device__ inline double to_real(double x) {
  return x;
}
__device__ inline float to_real(__half x) {
  return __half2float(x);
}
__device__ inline float to_real(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <class T>
__device__ T from_real(RealOf<T> x) {
  if constexpr (std::is_same_v<T, __half>)
    return __float2half_rn(x);
  else if constexpr (std::is_same_v<T, __nv_bfloat16>)
    return __float2bfloat16_rn(x);
  else
    return x;
}

}  // namespace tubeskel::cuda
