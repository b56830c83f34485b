// Sums in a fixed order, so that they have the same bits on every run: threads of a block by
// halves, then the blocks, whose sums lie in slots, by the block that comes last.
#pragma once

#include "launch.h"

namespace tubeskel::cuda {

// Sums over the warp of `m` values of each lane, a power of 2: lane i gets that of values[i % m],
// after m - 1 exchanges and one more for each halving that is left. Overwrites the values.
template <int m, class Real>
__device__ Real warp_sums(Real (&values)[m]) {
  static_assert(m <= kWarp && (m & (m - 1)) == 0);
#pragma unroll
  for (int half = m / 2; half > 0; half /= 2) {
    const bool upper = threadIdx.x & unsigned(half);
#pragma unroll
    for (int i = 0; i < m / 2; ++i) {  // a number that nvcc unrolls: else values are in memory
      if (i >= half) break;
      const Real kept = upper ? values[i + half] : values[i];
      const Real given = upper ? values[i] : values[i + half];
      values[i] = kept + __shfl_xor_sync(kAllLanes, given, half);
    }
  }
#pragma unroll
  for (int distance = m; distance < kWarp; distance *= 2)
    values[0] += __shfl_xor_sync(kAllLanes, values[0], distance);
  return values[0];
}

// The sum over the block, on its first thread. All threads take part.
template <int threads>
__device__ double block_sum(double value) {
  constexpr int kWarps = threads / kWarp;
  __shared__ double of_warp[kWarps];
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    value += __shfl_down_sync(kAllLanes, value, distance);
  __syncthreads();  // the sum before this one has been read
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0)
    for (int warp = 0; warp < kWarps; ++warp) sum += of_warp[warp];
  return sum;
}

// Whether all other blocks of the grid have been here. What the first thread of each wrote before
// is then visible, past the first-level cache (__ldcg). *ticket is 0 before the launch.
__device__ inline bool is_last_block(unsigned* ticket) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(ticket, 1u) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  return last;
}

}  // namespace tubeskel::cuda
