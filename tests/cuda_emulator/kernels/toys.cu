// Small kernels for the tests of the emulator itself. What is exported returns what went wrong, if
// anything did.
#include <cooperative_groups.h>
#include <cuda_runtime.h>

#undef NDEBUG
#include <cassert>

#define TOY extern "C" __attribute__((visibility("default"))) const char*

namespace {

template <class... Parameters, class... Arguments>
const char* launch(dim3 grid, dim3 block, size_t shared, bool cooperative,
                   void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = cooperative;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.attrs = &attribute;
  config.numAttrs = 1;
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

// ---- order

__global__ void take_tickets_kernel(int* ticket, int* of_thread) {
  of_thread[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(ticket, 1);
}

__global__ void count_kernel(int* count) {
  __stcg(count, __ldcg(count) + 1);
}

__global__ void indices_kernel(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}

// ---- memory of a block

// out[i] = in[i + step], around the block.
template <class T>
__global__ void rotate_kernel(const T* in, T* out, int step, bool with_barrier) {
  __shared__ T values[256];
  values[threadIdx.x] = in[threadIdx.x];
  if (with_barrier) __syncthreads();
  out[threadIdx.x] = values[(threadIdx.x + unsigned(step)) % blockDim.x];
}

__global__ void untouched_kernel(unsigned char* out, int bytes_each) {
  __shared__ unsigned char fixed[64];
  const unsigned char* const values = bytes_each ? cuda_emulator::dynamic_shared() : fixed;
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void write_shared_kernel(int index, bool dynamic) {
  __shared__ int before[4], fixed[4], after[4];
  int* const values = dynamic ? reinterpret_cast<int*>(cuda_emulator::dynamic_shared()) : fixed;
  before[threadIdx.x] = after[threadIdx.x] = 0;
  values[index] = before[0] + after[0];
}

__global__ void write_global_kernel(int* out, int index) {
  out[index] = 1;
}

__global__ void overflow_kernel(int shift) {
  __shared__ int out;
  out = 1 << shift;
}

// ---- races

// The first thread of each of two blocks, or two threads of a block, meet at one place.
__global__ void race_kernel(int how, int* place, int* flag) {
  const bool first = blockIdx.x + threadIdx.x == 0;
  const bool second = gridDim.x > 1 ? blockIdx.x == 1 && threadIdx.x == 0 : threadIdx.x == 1;
  switch (how) {
    case 0:  // plain writes
      if (first || second) *place = first ? 1 : 2;
      break;
    case 1:  // of the same value
      if (first || second) *place = 1;
      break;
    case 2:  // atomic
      if (first || second) atomicExch(place, first ? 1 : 2);
      break;
    case 3:  // one side is not
      if (first) atomicExch(place, 1);
      if (second) *flag = *place;
      break;
    case 4:  // fences on either side of what orders them
      if (first) *place = 1;
      if (first || second) {
        __threadfence();
        atomicAdd(flag, 1);
        __threadfence();
      }
      if (second) flag[1] = *place;
      break;
    case 5:  // on one side only
      if (first) *place = 1;
      if (first) __threadfence();
      if (first || second) atomicAdd(flag, 1);
      if (second) flag[1] = *place;
      break;
    case 6:
      if (first) *place = 1;
      __syncwarp();
      if (second) *flag = *place;
      break;
    case 7:  // which does not order memory
      if (first) *place = 1;
      __ballot_sync(0xffffffffu, 1);
      if (second) *flag = *place;
      break;
    default:  // neighbours
      if (first || second) reinterpret_cast<char*>(place)[second] = 1;
  }
}

// ---- barriers

__global__ void votes_kernel(const int* votes, int* out) {
  const int vote = votes[threadIdx.x];
  const int any = __syncthreads_or(vote), all = __syncthreads_and(vote);
  const int count = __syncthreads_count(vote);
  if (threadIdx.x == 0) {
    out[0] = any;
    out[1] = all;
    out[2] = count;
  }
}

__global__ void divergent_barrier_kernel() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void different_barriers_kernel() {
  if (threadIdx.x < 40)
    __syncthreads();
  else
    __syncthreads_or(1);
}
__global__ void missing_lanes_kernel() {
  if (threadIdx.x < 16) __ballot_sync(0xffffffffu, 1);
  __syncthreads();
}
__global__ void foreign_mask_kernel() {
  __syncwarp(1);
}

__global__ void failing_assertion_kernel(int thread) {
  assert(int(threadIdx.x) != thread);
}
__global__ void trap_kernel() {
  __trap();
}

// ---- warps

// out[lane] by op, for lanes of the mask.
__global__ void warp_kernel(int op, unsigned mask, const int* values, int argument, int width,
                            int* out) {
  const int lane = int(threadIdx.x);
  if (!(mask >> (lane % 32) & 1)) return;
  const int value = values[lane];
  switch (op) {
    case 0:
      out[lane] = int(__ballot_sync(mask, value));
      break;
    case 1:
      out[lane] = __any_sync(mask, value);
      break;
    case 2:
      out[lane] = __all_sync(mask, value);
      break;
    case 3:
      out[lane] = __shfl_sync(mask, value, argument, width);
      break;
    case 4:
      out[lane] = __shfl_up_sync(mask, value, unsigned(argument), width);
      break;
    case 5:
      out[lane] = __shfl_down_sync(mask, value, unsigned(argument), width);
      break;
    default:
      out[lane] = __shfl_xor_sync(mask, value, argument, width);
  }
}

// Lanes leave one by one; those that stay vote on.
__global__ void leaving_kernel(int* out) {
  for (unsigned round = 0; round <= threadIdx.x; ++round)
    out[threadIdx.x] = __popc(__ballot_sync(0xffffffffu, 1));
}

// ---- grids

// Each block sums what all wrote before the grid met.
__global__ void meet_kernel(int* values, int* sums, int rounds, bool with_barrier) {
  __shared__ int sum;  // of this block, which comes back to it after the others ran
  if (threadIdx.x == 0) sum = 0;
  for (int round = 1; round <= rounds; ++round) {
    if (threadIdx.x == 0) values[blockIdx.x] = round;
    if (with_barrier) cooperative_groups::this_grid().sync();
    if (threadIdx.x == 0)
      for (unsigned block = 0; block < gridDim.x; ++block) sum += values[block];
    if (with_barrier) cooperative_groups::this_grid().sync();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void missing_block_kernel() {
  if (blockIdx.x == 1) return;
  cooperative_groups::this_grid().sync();
}

}  // namespace

TOY take_tickets(int blocks, int threads, int* ticket, int* of_thread) {
  return launch(blocks, threads, 0, false, take_tickets_kernel, ticket, of_thread);
}
TOY count(int blocks, bool cooperative, int* count) {
  return launch(blocks, 64, 0, cooperative, count_kernel, count);
}
TOY indices(const unsigned* grid, const unsigned* block, int* out) {
  return launch({grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, 0, false,
                indices_kernel, out);
}
TOY rotate(const int* in, int* out, int threads, int step, bool with_barrier) {
  return launch(1, threads, 0, false, rotate_kernel<int>, in, out, step, with_barrier);
}
TOY untouched(unsigned char* out, int threads, int dynamic_bytes) {
  return launch(1, threads, size_t(dynamic_bytes), false, untouched_kernel, out, dynamic_bytes);
}
TOY write_shared(int index, int dynamic_bytes) {
  return launch(1, 4, size_t(dynamic_bytes), false, write_shared_kernel, index, dynamic_bytes != 0);
}
TOY write_global(int* out, int index) {
  return launch(1, 1, 0, false, write_global_kernel, out, index);
}
TOY overflow(int shift) {
  return launch(1, 1, 0, false, overflow_kernel, shift);
}
TOY race(int how, int blocks, int* place, int* flag) {
  return launch(blocks, 32, 0, false, race_kernel, how, place, flag);
}
TOY votes(const int* in, int threads, int* out) {
  return launch(1, threads, 0, false, votes_kernel, in, out);
}
TOY divergent_barrier() {
  return launch(2, 64, 0, false, divergent_barrier_kernel);
}
TOY different_barriers() {
  return launch(1, 64, 0, false, different_barriers_kernel);
}
TOY missing_lanes() {
  return launch(1, 32, 0, false, missing_lanes_kernel);
}
TOY foreign_mask() {
  return launch(1, 32, 0, false, foreign_mask_kernel);
}
TOY failing_assertion(int thread) {
  return launch(1, 64, 0, false, failing_assertion_kernel, thread);
}
TOY trap() {
  return launch(1, 1, 0, false, trap_kernel);
}
TOY warp(int op, unsigned mask, const int* values, int argument, int width, int threads, int* out) {
  return launch(1, threads, 0, false, warp_kernel, op, mask, values, argument, width, out);
}
TOY leaving(int* out) {
  return launch(1, 32, 0, false, leaving_kernel, out);
}
TOY meet(int blocks, int threads, int* values, int* sums, int rounds, bool with_barrier,
         bool cooperative) {
  return launch(blocks, threads, 0, cooperative, meet_kernel, values, sums, rounds, with_barrier);
}
TOY missing_block() {
  return launch(3, 32, 0, true, missing_block_kernel);
}

TOY occupancy(int threads, int shared, int* blocks) {
  const cudaError_t error =
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, meet_kernel, threads, size_t(shared));
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
TOY allow_shared(int bytes) {
  const cudaError_t error =
      cudaFuncSetAttribute(untouched_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
TOY attribute(int which, int* value) {
  const cudaError_t error = cudaDeviceGetAttribute(value, cudaDeviceAttr(which), 0);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
