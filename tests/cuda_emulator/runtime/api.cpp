// The runtime API: what a launch may ask for, and what it answers.
#include <cuda_runtime.h>

#include <map>
#include <mutex>
#include <string>

namespace cuda_emulator {

Device device;

namespace {

constexpr size_t kDefaultShared = 48 * 1024;  // of a block that did not ask for more
constexpr size_t kReservedShared = 1024;      // by the system, of each block
constexpr int kMaxThreads = 1024;             // of a block

std::mutex mutex;  // one launch at a time: shared memory is static
cudaError_t last_error = cudaSuccess;
std::string report;
std::map<const void*, size_t> shared_of_kernel;  // what each was allowed

int threads_per_multiprocessor() {
  if (device.capability == 75) return 1024;
  return device.capability % 10 || device.capability == 120 ? 1536 : 2048;
}

size_t allowed_shared(const void* kernel) {
  const auto found = shared_of_kernel.find(kernel);
  return found == shared_of_kernel.end() ? kDefaultShared : found->second;
}

int resident_blocks(int threads, size_t shared) {
  const size_t by_shared = (device.shared_per_block + kReservedShared) / (shared + kReservedShared);
  const int whole_warps = (threads + warpSize - 1) / warpSize * warpSize;
  return min(min(int(by_shared), threads_per_multiprocessor() / whole_warps),
             device.blocks_per_multiprocessor);
}

cudaError_t fail(cudaError_t error) {
  return last_error = error;
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                   const std::function<void()>& thread) {
  const std::lock_guard<std::mutex> lock(mutex);
  Grid grid = {kernel,
               {config.gridDim.x, config.gridDim.y, config.gridDim.z},
               {config.blockDim.x, config.blockDim.y, config.blockDim.z},
               config.dynamicSmemBytes,
               false};
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == cudaLaunchAttributeCooperative)
      grid.cooperative = config.attrs[i].val.cooperative != 0;
  const uint64_t threads = uint64_t(grid.threads.x) * grid.threads.y * grid.threads.z;
  const uint64_t blocks = uint64_t(grid.blocks.x) * grid.blocks.y * grid.blocks.z;
  if (!threads || threads > kMaxThreads || grid.threads.z > 64 || !blocks ||
      grid.blocks.x > 0x7fffffffu || grid.blocks.y > 65535 || grid.blocks.z > 65535)
    return fail(cudaErrorInvalidConfiguration);
  if (grid.shared > allowed_shared(kernel)) return fail(cudaErrorInvalidValue);
  if (grid.cooperative &&
      blocks > uint64_t(device.multiprocessors) * resident_blocks(int(threads), grid.shared))
    return fail(cudaErrorCooperativeLaunchTooLarge);
  report = run(grid, device.schedule, thread);
  return report.empty() ? cudaSuccess : fail(cudaErrorLaunchFailure);
}

}  // namespace cuda_emulator

using namespace cuda_emulator;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorCooperativeLaunchTooLarge:
      return "too many blocks in cooperative launch";
    case cudaErrorLaunchFailure:
      return report.c_str();
  }
  return "unknown error";
}

cudaError_t cudaPeekAtLastError() {
  return last_error;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaGetDevice(int* number) {
  *number = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kMaxThreads;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = int(kDefaultShared);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = warpSize;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = device.multiprocessors;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = threads_per_multiprocessor();
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = device.capability / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = device.capability % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = int(device.shared_per_block + kReservedShared);
      return cudaSuccess;
    case cudaDevAttrCooperativeLaunch:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int(device.shared_per_block);
      return cudaSuccess;
  }
  return fail(cudaErrorInvalidValue);
}

cudaError_t cudaMemsetAsync(void* address, int value, size_t bytes, cudaStream_t) {
  if (bytes) std::memset(address, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  if (value < 0 || size_t(value) > device.shared_per_block) return fail(cudaErrorInvalidValue);
  const std::lock_guard<std::mutex> lock(mutex);
  shared_of_kernel[kernel] = size_t(value);
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel,
                                                          int threads, size_t shared) {
  *blocks = threads > 0 && threads <= kMaxThreads && shared <= allowed_shared(kernel)
                ? resident_blocks(threads, shared)
                : 0;
  return cudaSuccess;
}

// A failed assertion of a kernel ends its launch.
extern "C" void __assert_fail(const char* assertion, const char* file, unsigned line,
                              const char*) noexcept {
  trap("assertion `" + std::string(assertion) + "' failed (" +
       std::string(file).substr(std::string(file).rfind('/') + 1) + ':' + std::to_string(line) +
       ')');
}

// For the tests: which device to play, and in which order.
extern "C" __attribute__((visibility("default"))) void cuda_emulator_play(
    int multiprocessors, int blocks_per_multiprocessor, size_t shared_per_block, int capability,
    int order, uint64_t seed) {
  const std::lock_guard<std::mutex> lock(mutex);
  device = {multiprocessors, blocks_per_multiprocessor, shared_per_block, capability,
            Schedule{Order(order), seed}};
  shared_of_kernel.clear();
}
