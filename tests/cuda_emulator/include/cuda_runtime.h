// CUDA C++ and its runtime API, as much as csrc/cuda uses, for a C++ compiler. What nvcc refuses
// should not compile here either: overloads are CUDA's own.
#pragma once

#define CUDA_EMULATOR

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>

#include "../runtime/device.h"
#include "../runtime/grid.h"
#include "../runtime/races.h"

// ---- the language

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

inline const auto& threadIdx = cuda_emulator::position.thread;
inline const auto& blockIdx = cuda_emulator::position.block;
inline const auto& blockDim = cuda_emulator::position.block_size;
inline const auto& gridDim = cuda_emulator::position.grid_size;
inline constexpr int warpSize = 32;

#define CUDA_EMULATOR_VECTORS(type, name, align2, align4)         \
  struct alignas(align2) name##2 {                                \
    type x, y;                                                    \
  };                                                              \
  struct name##3 {                                                \
    type x, y, z;                                                 \
  };                                                              \
  struct alignas(align4) name##4 {                                \
    type x, y, z, w;                                              \
  };                                                              \
  inline name##2 make_##name##2(type x, type y) {                 \
    return {x, y};                                                \
  }                                                               \
  inline name##3 make_##name##3(type x, type y, type z) {         \
    return {x, y, z};                                             \
  }                                                               \
  inline name##4 make_##name##4(type x, type y, type z, type w) { \
    return {x, y, z, w};                                          \
  }

CUDA_EMULATOR_VECTORS(signed char, char, 2, 4)
CUDA_EMULATOR_VECTORS(unsigned char, uchar, 2, 4)
CUDA_EMULATOR_VECTORS(short, short, 4, 8)
CUDA_EMULATOR_VECTORS(unsigned short, ushort, 4, 8)
CUDA_EMULATOR_VECTORS(int, int, 8, 16)
CUDA_EMULATOR_VECTORS(unsigned, uint, 8, 16)
CUDA_EMULATOR_VECTORS(long long, longlong, 16, 16)
CUDA_EMULATOR_VECTORS(unsigned long long, ulonglong, 16, 16)
CUDA_EMULATOR_VECTORS(float, float, 8, 16)
CUDA_EMULATOR_VECTORS(double, double, 16, 16)
#undef CUDA_EMULATOR_VECTORS

// ---- meetings of threads

inline void __syncthreads() {
  cuda_emulator::meet(cuda_emulator::Meeting::kSyncthreads, 0, 0, 0);
}
inline int __syncthreads_or(int vote) {
  return int(cuda_emulator::meet(cuda_emulator::Meeting::kSyncthreadsOr, 0, vote != 0, 0));
}
inline int __syncthreads_and(int vote) {
  return int(cuda_emulator::meet(cuda_emulator::Meeting::kSyncthreadsAnd, 0, vote != 0, 0));
}
inline int __syncthreads_count(int vote) {
  return int(cuda_emulator::meet(cuda_emulator::Meeting::kSyncthreadsCount, 0, vote != 0, 0));
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  cuda_emulator::meet(cuda_emulator::Meeting::kSyncwarp, mask, 0, 0);
}
inline unsigned __ballot_sync(unsigned mask, int vote) {
  return unsigned(cuda_emulator::meet(cuda_emulator::Meeting::kBallot, mask, vote != 0, 0));
}
inline int __any_sync(unsigned mask, int vote) {
  return int(cuda_emulator::meet(cuda_emulator::Meeting::kAny, mask, vote != 0, 0));
}
inline int __all_sync(unsigned mask, int vote) {
  return int(cuda_emulator::meet(cuda_emulator::Meeting::kAll, mask, vote != 0, 0));
}
// Which lanes run together is the hardware's choice; the calling lane alone is always a right one.
inline unsigned __activemask() {
  return 1u << cuda_emulator::lane();
}

namespace cuda_emulator {

template <class T>
inline T shuffle(Meeting meeting, unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves at most 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = meet(meeting, mask, bits, source);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace cuda_emulator

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = warpSize) {
  const unsigned lane = cuda_emulator::lane(), low = unsigned(width - 1);
  return cuda_emulator::shuffle(cuda_emulator::Meeting::kShuffle, mask, value,
                                (lane & ~low) | (unsigned(source) & low));
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  const unsigned lane = cuda_emulator::lane(), low = unsigned(width - 1);
  return cuda_emulator::shuffle(cuda_emulator::Meeting::kShuffleUp, mask, value,
                                (lane & low) >= delta ? lane - delta : lane);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  const unsigned lane = cuda_emulator::lane(), low = unsigned(width - 1);
  return cuda_emulator::shuffle(cuda_emulator::Meeting::kShuffleDown, mask, value,
                                (lane & low) + delta <= low ? lane + delta : lane);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize) {
  const unsigned lane = cuda_emulator::lane(), low = unsigned(width - 1);
  const unsigned source = lane ^ unsigned(lanes);
  // Lanes of later groups of `width` are out of reach, those of earlier ones are not.
  return cuda_emulator::shuffle(cuda_emulator::Meeting::kShuffleXor, mask, value,
                                source <= (lane | low) ? source : lane);
}

// ---- memory

inline void __threadfence() {
  cuda_emulator::note_fence();
}
inline void __threadfence_block() {}

template <class T>
inline T __ldg(const T* address) {
  return *address;
}
template <class T>
inline T __ldca(const T* address) {
  return *address;
}
template <class T>
inline T __ldcs(const T* address) {
  return *address;
}
template <class T>
inline void __stcs(T* address, T value) {
  *address = value;
}
template <class T>
CUDA_EMULATOR_ATOMIC T __ldcg(const T* address) {
  cuda_emulator::interrupt();
  CUDA_EMULATOR_NOTE(address, false);
  return *address;
}
template <class T>
CUDA_EMULATOR_ATOMIC void __stcg(T* address, T value) {
  cuda_emulator::interrupt();
  CUDA_EMULATOR_NOTE(address, true);
  *address = value;
}

// Threads take turns, so nothing comes between the reading and the writing.
#define CUDA_EMULATOR_UPDATE(name, type, result)              \
  CUDA_EMULATOR_ATOMIC type name(type* address, type value) { \
    CUDA_EMULATOR_NOTE(address, true);                        \
    const type old = *address;                                \
    *address = result;                                        \
    return old;                                               \
  }
#define CUDA_EMULATOR_UPDATES(type)                                               \
  CUDA_EMULATOR_UPDATE(atomicExch, type, value)                                   \
  CUDA_EMULATOR_UPDATE(atomicMin, type, value < old ? value : old)                \
  CUDA_EMULATOR_UPDATE(atomicMax, type, value > old ? value : old)                \
  CUDA_EMULATOR_UPDATE(atomicAnd, type, old& value)                               \
  CUDA_EMULATOR_UPDATE(atomicOr, type, old | value)                               \
  CUDA_EMULATOR_UPDATE(atomicXor, type, old ^ value)                              \
  CUDA_EMULATOR_ATOMIC type atomicCAS(type* address, type expected, type value) { \
    CUDA_EMULATOR_NOTE(address, true);                                            \
    const type old = *address;                                                    \
    if (old == expected) *address = value;                                        \
    return old;                                                                   \
  }

CUDA_EMULATOR_UPDATES(int)
CUDA_EMULATOR_UPDATES(unsigned)
CUDA_EMULATOR_UPDATES(unsigned long long)
CUDA_EMULATOR_UPDATE(atomicAdd, int, int(unsigned(old) + unsigned(value)))
CUDA_EMULATOR_UPDATE(atomicAdd, unsigned, old + value)
CUDA_EMULATOR_UPDATE(atomicAdd, unsigned long long, old + value)
CUDA_EMULATOR_UPDATE(atomicSub, int, int(unsigned(old) - unsigned(value)))
CUDA_EMULATOR_UPDATE(atomicSub, unsigned, old - value)
#undef CUDA_EMULATOR_UPDATES
#undef CUDA_EMULATOR_UPDATE

// ---- bits

inline int __popc(unsigned bits) {
  return __builtin_popcount(bits);
}
inline int __popcll(unsigned long long bits) {
  return __builtin_popcountll(bits);
}
inline int __ffs(int bits) {
  return __builtin_ffs(bits);
}
inline int __ffsll(long long bits) {
  return __builtin_ffsll(bits);
}
inline int __clz(int bits) {
  return bits ? __builtin_clz(unsigned(bits)) : 32;
}
inline int __clzll(long long bits) {
  return bits ? __builtin_clzll((unsigned long long)bits) : 64;
}
inline unsigned __brev(unsigned bits) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (bits >> i & 1) << (31 - i);
  return reversed;
}
inline unsigned long long __brevll(unsigned long long bits) {
  return (unsigned long long)__brev(unsigned(bits)) << 32 | __brev(unsigned(bits >> 32));
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return unsigned(((uint64_t(high) << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return unsigned((uint64_t(high) << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
  const uint64_t bytes = uint64_t(high) << 32 | low;
  unsigned out = 0;
  for (int i = 0; i < 4; ++i)
    out |= unsigned(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  return out;
}

// ---- numbers

#define CUDA_EMULATOR_CAST(name, from, to)            \
  inline to name(from value) {                        \
    to out;                                           \
    static_assert(sizeof(from) == sizeof(to), #name); \
    std::memcpy(&out, &value, sizeof out);            \
    return out;                                       \
  }
CUDA_EMULATOR_CAST(__float_as_int, float, int)
CUDA_EMULATOR_CAST(__float_as_uint, float, unsigned)
CUDA_EMULATOR_CAST(__int_as_float, int, float)
CUDA_EMULATOR_CAST(__uint_as_float, unsigned, float)
CUDA_EMULATOR_CAST(__double_as_longlong, double, long long)
CUDA_EMULATOR_CAST(__longlong_as_double, long long, double)
#undef CUDA_EMULATOR_CAST

#define CUDA_EMULATOR_EXTREMA(type) \
  inline type min(type a, type b) { \
    return b < a ? b : a;           \
  }                                 \
  inline type max(type a, type b) { \
    return a < b ? b : a;           \
  }
CUDA_EMULATOR_EXTREMA(int)
CUDA_EMULATOR_EXTREMA(unsigned)
CUDA_EMULATOR_EXTREMA(long)
CUDA_EMULATOR_EXTREMA(unsigned long)
CUDA_EMULATOR_EXTREMA(long long)
CUDA_EMULATOR_EXTREMA(unsigned long long)
#undef CUDA_EMULATOR_EXTREMA
inline float min(float a, float b) {
  return std::fmin(a, b);
}
inline float max(float a, float b) {
  return std::fmax(a, b);
}
inline double min(double a, double b) {
  return std::fmin(a, b);
}
inline double max(double a, double b) {
  return std::fmax(a, b);
}

// Rounded by themselves, never contracted.
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline double __dadd_rn(double a, double b) {
  return a + b;
}
inline double __dsub_rn(double a, double b) {
  return a - b;
}
inline double __dmul_rn(double a, double b) {
  return a * b;
}
inline double __ddiv_rn(double a, double b) {
  return a / b;
}

[[noreturn]] inline void __trap() {
  cuda_emulator::trap("__trap");
}

// ---- the runtime API

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorLaunchFailure = 719,
  cudaErrorCooperativeLaunchTooLarge = 720,
};
// After a launch that failed while it ran, what happened to which threads.
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

cudaError_t cudaGetDevice(int* device);
enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrWarpSize = 10,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrCooperativeLaunch = 95,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);

using cudaStream_t = struct CUstream_st*;
// Streams run at once.
cudaError_t cudaMemsetAsync(void* address, int value, size_t bytes, cudaStream_t stream = nullptr);

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel,
                                                          int threads, size_t shared);
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute,
                                 int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
template <class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks,
                                                          void (*kernel)(Parameters...),
                                                          int threads, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      blocks, reinterpret_cast<const void*>(kernel), threads, shared);
}

enum cudaLaunchAttributeID { cudaLaunchAttributeCooperative = 2 };
union cudaLaunchAttributeValue {
  int cooperative;
};
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  cudaLaunchAttributeValue val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};

namespace cuda_emulator {

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                   const std::function<void()>& thread);

}  // namespace cuda_emulator

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "a kernel takes at most 4 KB");
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  return cuda_emulator::launch(*config, reinterpret_cast<const void*>(kernel),
                               [&] { std::apply(kernel, values); });
}
