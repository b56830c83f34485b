// Launching kernels: configuration, failures, and what the device offers.
//
// Kernels are plain CUDA C++ over the runtime API, without the <<<>>> syntax, so that any compiler
// can read them; tests/cuda_emulator runs the same files on a CPU.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace tubeskel::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// What a failure is reported about: an op and its shapes, such as "thin on [4, 1, 512, 512]".
using Subject = std::string;

inline void check(cudaError_t error, const Subject& subject) {
  if (error != cudaSuccess)
    throw std::runtime_error("tubeskel::" + subject + ": " + cudaGetErrorString(error));
}

// An op on three sizes.
inline Subject subject(const char* op, int64_t a, int64_t b, int64_t c) {
  return std::string(op) + " on [" + std::to_string(a) + ", " + std::to_string(b) + ", " +
         std::to_string(c) + "]";
}

inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct Launch {
  dim3 grid, block;
  size_t shared = 0;         // bytes of dynamic shared memory
  bool cooperative = false;  // all blocks resident at once, so that the grid can meet
};

// What the current device offers.
inline int attribute_of_device(cudaDeviceAttr attribute, const Subject& subject) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device), subject);
  check(cudaDeviceGetAttribute(&value, attribute, device), subject);
  return value;
}
inline int multiprocessors(const Subject& subject) {
  return attribute_of_device(cudaDevAttrMultiProcessorCount, subject);
}
inline size_t shared_memory_per_block(const Subject& subject) {
  return size_t(attribute_of_device(cudaDevAttrMaxSharedMemoryPerBlockOptin, subject));
}

// Lets a kernel have more dynamic shared memory than it may have unasked. The limit is always the
// device's, for another thread may launch the kernel at the same time with other needs; so a kernel
// with such needs has no static shared memory.
template <class... Parameters>
void allow_shared(const Subject& subject, size_t bytes, void (*kernel)(Parameters...)) {
  if (bytes > 48 * 1024)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize,
                               int(shared_memory_per_block(subject))),
          subject);
}

// Queues a kernel on a stream. Throws std::runtime_error if the launch fails.
template <class... Parameters, class... Arguments>
void launch(const Subject& subject, const Launch& shape, void* stream,
            void (*kernel)(Parameters...), Arguments... arguments) {
  allow_shared(subject, shape.shared, kernel);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared;
  config.stream = static_cast<cudaStream_t>(stream);
  config.attrs = &attribute;
  config.numAttrs = shape.cooperative ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), subject);
}

// How many blocks of a kernel the current device runs at once; the grid does not count.
template <class... Parameters>
int64_t resident_blocks(const Subject& subject, const Launch& shape,
                        void (*kernel)(Parameters...)) {
  allow_shared(subject, shape.shared, kernel);
  int blocks = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
            &blocks, reinterpret_cast<const void*>(kernel),
            int(shape.block.x * shape.block.y * shape.block.z), shape.shared),
        subject);
  return int64_t(blocks) * multiprocessors(subject);
}

#ifdef __CUDACC__
// The dynamic shared memory of the block.
__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char tubeskel_shared[];
  return tubeskel_shared;
}
#elif defined(CUDA_EMULATOR)
using cuda_emulator::dynamic_shared;
#endif

}  // namespace tubeskel::cuda
