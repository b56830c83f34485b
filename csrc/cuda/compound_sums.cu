// The sums of Dice + cross-entropy + skeleton recall, and the loss; the formulae are in
// core/compound.h.
//
// Three kernels, each one launch:
//
//   sums_kernel      logits and labels -> the sums of each class, a slot for each span of a map
//   reduce_kernel    slots -> sums, a block for each class of a map
//   loss_kernel      sums -> loss, terms, derivatives: one block
//
// Of more channels than registers hold, 16 are added up at a time. The logit of a pixel's own class
// is looked up once more in either case, which is cheaper than to compare its class with each
// channel.
//
// What every pixel does to the sums of every class (`add_pixel`) stays with the threads to the end
// of the span. What it does to those of its own class is added up by warps, for each class that
// its pixels have at that moment: mostly one. No warp waits for another before the span's end.
// Floats are added up over at most 4096 pixels, then doubles, in an order that depends on the shape
// alone. So the sums have the same bits on every run and on every device.
//
// The floor: the bytes of logits and labels; a slot is 64 bytes a class for 2048 pixels or more.
// Arithmetic is an exponential and about 12 other operations a logit.
#include "compound_tile.h"

namespace tubeskel::cuda {

namespace {

using namespace compound;
using core::CompoundOptions;

// ---- sums

// The sums of a warp over its pixels, [channels, kSums], in shared or global memory.
struct WarpSums {
  double* sums;
  int64_t channels;
  int lane = int(threadIdx.x) % kWarp;

  __device__ void clear() const {
    for (int64_t i = lane; i < channels * kSums; i += kWarp) sums[i] = 0;
    __syncwarp();
  }

  // All sums of a class.
  template <class Real>
  __device__ void add(int64_t c, Real (&values)[kSums]) const {
    const Real sum = warp_sums(values);
    if (lane < kSums) sums[c * kSums + lane] += double(sum);
  }

  // One sum of m classes.
  template <int m, class Real>
  __device__ void add(int64_t first, core::Sum which, Real (&of_classes)[m]) const {
    const Real sum = warp_sums(of_classes);
    __syncwarp();
    if (lane < m && first + lane < channels) sums[(first + lane) * kSums + which] += double(sum);
    __syncwarp();
  }
};

// What pixels do to all classes is kept for each class in its thread, and added at the end.
template <class T, int n, int kHeld>
struct DenseSums {
  using Real = RealOf<T>;

  template <class MinusLog>
  __device__ void add(const Pixels<T, n>& pixels, const Powers<T, n, kHeld>& powers,
                      const Real (&inverse)[n], bool smoothing, const MinusLog& minus_log,
                      const WarpSums&) {
    powers.each([&](int c, const Real(&power)[n]) {
#pragma unroll
      for (int i = 0; i < n; ++i) core::add_pixel(local_[c], power[i] * inverse[i]);
    });
    if (!smoothing) return;
#pragma unroll
    for (int c = 0; c < kHeld; ++c) {
      if (c >= pixels.channels) continue;
      Real x[n];
      pixels.load_channel(c, x);
#pragma unroll
      for (int i = 0; i < n; ++i)
        core::add_smoothing(local_[c], minus_log(i, x[i]), pixels.is_valid(i));
    }
  }

  __device__ void finish(bool smoothing, const WarpSums& warp) {
    const auto flush = [&](core::Sum which) {
      Real of_classes[kHeld];
#pragma unroll
      for (int c = 0; c < kHeld; ++c) of_classes[c] = local_[c][which];
      warp.add(0, which, of_classes);
    };
    flush(core::kPredicted);
    if (smoothing) flush(core::kUniform);
  }

 private:
  Real local_[kHeld][kSums] = {};  // two of them are used
};

// Of any number of channels: added at once, some classes at a time.
template <class T, int n>
struct DenseSums<T, n, 0> {
  using Real = RealOf<T>;

  template <class MinusLog>
  __device__ void add(const Pixels<T, n>& pixels, const Powers<T, n, 0>& powers,
                      const Real (&inverse)[n], bool smoothing, const MinusLog& minus_log,
                      const WarpSums& warp) {
#pragma unroll 1
    for (int64_t first = 0; first < pixels.channels; first += kAtOnce) {
      Real predicted[kAtOnce] = {};
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        if (first + j >= pixels.channels) continue;
        Real power[n], local[kSums] = {};
        powers.at(first + j, power);
#pragma unroll
        for (int i = 0; i < n; ++i) core::add_pixel(local, power[i] * inverse[i]);
        predicted[j] = local[core::kPredicted];
      }
      warp.add(first, core::kPredicted, predicted);
      if (!smoothing) continue;
      Real uniform[kAtOnce] = {};
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        if (first + j >= pixels.channels) continue;
        Real x[n], local[kSums] = {};
        pixels.load_channel(first + j, x);
#pragma unroll
        for (int i = 0; i < n; ++i)
          core::add_smoothing(local, minus_log(i, x[i]), pixels.is_valid(i));
        uniform[j] = local[core::kUniform];
      }
      warp.add(first, core::kUniform, uniform);
    }
  }

  __device__ void finish(bool, const WarpSums&) {}

 private:
  static constexpr int kAtOnce = 16;
};

// What pixels do to the sums of their own classes, for each class that the warp's pixels have. All
// lanes take part.
template <class T, int n, class Probability, class MinusLog>
__device__ void add_own(const Pixels<T, n>& pixels, const Probability& probability,
                        const MinusLog& minus_log, bool log_recall, const WarpSums& warp) {
  using Real = RealOf<T>;
  Real s[n] = {}, of_target[n] = {}, s_tube[n] = {}, of_tube[n] = {};
  int target[n], tube[n];  // that have not had their turn
#pragma unroll
  for (int i = 0; i < n; ++i) {
    target[i] = pixels.target[i];
    tube[i] = pixels.tube[i];
    if (target[i] < 0) continue;
    const Real x = pixels.logit(target[i], i);
    s_tube[i] = s[i] = probability(i, x);
    of_tube[i] = of_target[i] = minus_log(i, x);
    if (tube[i] < 0 || tube[i] == target[i]) continue;
    const Real other = pixels.logit(tube[i], i);
    s_tube[i] = probability(i, other);
    of_tube[i] = minus_log(i, other);
  }
  while (true) {
    int own = -1;
#pragma unroll
    for (int i = 0; i < n; ++i) own = target[i] >= 0 ? target[i] : tube[i] >= 0 ? tube[i] : own;
    const unsigned lanes = __ballot_sync(kAllLanes, own >= 0);
    if (!lanes) return;
    const int c = __shfl_sync(kAllLanes, own, __ffs(int(lanes)) - 1);
    Real local[kSums] = {};
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const bool in_target = target[i] == c, on_tube = tube[i] == c;
      core::add_target(local, s[i], in_target);
      core::add_cross_entropy(local, of_target[i], in_target);
      core::add_tube(local, s_tube[i], of_tube[i], on_tube, log_recall);
      if (in_target) target[i] = -1;
      if (on_tube) tube[i] = -1;
    }
    warp.add(c, local);
  }
}

template <class T, int n, int kHeld>
__device__ void add_softmax(const Maps<T>& maps, const Span& span, const WarpSums& warp) {
  using Real = RealOf<T>;
  DenseSums<T, n, kHeld> dense;
  for (int64_t from = span.first; from < span.end; from += int64_t(blockDim.x) * n) {
    const auto pixels =
        Pixels<T, n>::template load_from<true>(maps, span, from + int64_t(threadIdx.x) * n);
    const Powers<T, n, kHeld> powers(pixels);
    Real inverse[n], log_sum[n];
#pragma unroll
    for (int i = 0; i < n; ++i) {
      inverse[i] = pixels.is_valid(i) ? Real(1) / powers.sum[i] : Real(0);
      log_sum[i] = logarithm(powers.sum[i]);
    }
    const auto minus_log = [&](int i, Real x) { return log_sum[i] - (x - powers.largest[i]); };
    const auto probability = [&](int i, Real x) {
      return exponential(x - powers.largest[i]) * inverse[i];
    };
    dense.add(pixels, powers, inverse, maps.smoothing, minus_log, warp);
    add_own(pixels, probability, minus_log, maps.log_recall, warp);
  }
  dense.finish(maps.smoothing, warp);
}

template <class T, int n>
__device__ void add_sigmoid(const Maps<T>& maps, const Span& span, const WarpSums& warp) {
  using Real = RealOf<T>;
  Real local[kSums] = {};
  for (int64_t from = span.first; from < span.end; from += int64_t(blockDim.x) * n) {
    const auto pixels =
        Pixels<T, n>::template load_from<true>(maps, span, from + int64_t(threadIdx.x) * n);
    Real z[n];
    pixels.load_channel(0, z);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const Sigmoid<Real> s(z[i]);
      core::add_sigmoid(local, z[i], s.of, logarithm(s.sum), pixels.is_valid(i),
                        pixels.target[i] == 1, pixels.tube[i] == 1, maps.log_recall);
    }
  }
  warp.add(0, local);
}

// How many blocks of a multiprocessor its registers must do for, where the compiler aims at more of
// them and spills; else 0, for its choice.
constexpr int least_blocks(size_t element_size, int n, int held) {
  if (held == 0) return element_size == 8 ? 2 : 4;
  if (held == 16) return n == 2 ? 2 : 0;
  return held == 2 && n == 1 ? 4 : 0;
}

// One block a span. Its warps have their sums in shared memory, or if that is too small there is
// one warp, which has them in its slot. kHeld: 1 stands for a sigmoid.
template <class T, int n, int kHeld>
__global__ void __launch_bounds__(kThreads, least_blocks(sizeof(T), n, kHeld))
    sums_kernel(Maps<T> maps, bool in_shared, double* slots) {
  const Span span(maps);
  const int64_t size = maps.channels * kSums;
  double* const slot = slots + blockIdx.x * size;
  double* const shared = reinterpret_cast<double*>(dynamic_shared());
  const WarpSums warp = {in_shared ? shared + threadIdx.x / kWarp * size : slot, maps.channels};
  warp.clear();
  if constexpr (kHeld == 1)
    add_sigmoid<T, n>(maps, span, warp);
  else
    add_softmax<T, n, kHeld>(maps, span, warp);
  if (!in_shared) return;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    double sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += shared[w * size + i];
    slot[i] = sum;
  }
}

constexpr int kReducers = 512;

// One block for a class of a map. slots: [maps, spans, channels, kSums].
__global__ void __launch_bounds__(kReducers)
    reduce_kernel(const double* slots, int64_t channels, unsigned spans, double* sums) {
  __shared__ double of_warp[kReducers / kWarp][kSums];
  const int64_t map = blockIdx.x / channels, c = blockIdx.x % channels;
  const unsigned which = threadIdx.x % kSums;
  double sum = 0;
#pragma unroll 4
  for (unsigned i = threadIdx.x / kSums; i < spans; i += kReducers / kSums)
    sum += slots[((map * spans + i) * channels + c) * kSums + which];
  for (int distance = kSums; distance < kWarp; distance *= 2)
    sum += __shfl_xor_sync(kAllLanes, sum, distance);
  if (threadIdx.x % kWarp < kSums) of_warp[threadIdx.x / kWarp][which] = sum;
  __syncthreads();
  if (threadIdx.x >= kSums) return;
  sum = 0;
  for (int w = 0; w < kReducers / kWarp; ++w) sum += of_warp[w][which];
  sums[blockIdx.x * kSums + which] = sum;
}

// ---- loss

// The threads of a block, on the items of core's loops.
struct BlockOfWorkers {
  template <class Body>
  __device__ void each(int64_t n, const Body& body) const {
    for (int64_t i = threadIdx.x; i < n; i += kThreads) body(i);
  }
  static __device__ double total(double found) {
    __shared__ double for_all;
    const double sum = block_sum<kThreads>(found);
    if (threadIdx.x == 0) for_all = sum;
    __syncthreads();
    return for_all;
  }
};

template <class Real>
__global__ void __launch_bounds__(kThreads, 4)
    loss_kernel(const double* sums, int64_t samples, int64_t channels, CompoundOptions options,
                Real* loss, Real* terms, double* derivatives) {
  double found[core::kTerms];
  const double value =
      core::compound_terms(sums, samples, channels, options, found, derivatives, BlockOfWorkers());
  if (threadIdx.x != 0) return;
  *loss = Real(value);
  for (int i = 0; i < core::kTerms; ++i) terms[i] = Real(found[i]);
}

}  // namespace

size_t compound_workspace(const CompoundProblem& problem) {
  const int64_t spans = spans_of(problem);
  return spans == 1 ? 0 : size_t(problem.maps() * spans * size_of(problem)) * sizeof(double);
}

void compound_sums(const CompoundProblem& problem, const InvalidLabels& invalid, double* sums,
                   void* workspace, void* stream) {
  if (problem.samples * problem.channels == 0) return;
  const Subject what = subject("compound_sums", problem.samples, problem.channels, problem.pixels);
  const int64_t spans = spans_of(problem);
  double* const slots = spans == 1 ? sums : static_cast<double*>(workspace);
  const size_t shared = size_t(kWarps * size_of(problem)) * sizeof(double);
  const bool in_shared = shared <= kSharedBytes;
  const dim3 grid(unsigned(problem.maps() * spans));
  const Launch shape = {grid, dim3(in_shared ? kThreads : kWarp), in_shared ? shared : 0};
  with_logits(problem.logit_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    choose<T>(problem, nullptr, [&](auto n, auto held) {
      launch(what, shape, stream, sums_kernel<T, decltype(n)::value, decltype(held)::value>,
             maps_of<T>(problem, invalid), in_shared, slots);
    });
  });
  if (spans > 1)
    launch(what, {dim3(unsigned(problem.samples * problem.channels)), dim3(kReducers)}, stream,
           reduce_kernel, slots, problem.channels_of_map(), unsigned(spans), sums);
}

void compound_loss(const double* sums, int64_t samples, int64_t channels,
                   const CompoundOptions& options, const CompoundResult& result,
                   double* derivatives, void* stream) {
  const auto with = [&](auto* kernel, auto* loss) {
    launch(subject("compound_loss", samples, channels, kSums), {dim3(1), dim3(kThreads)}, stream,
           kernel, sums, samples, channels, options, loss,
           static_cast<decltype(loss)>(result.terms), derivatives);
  };
  if (result.is_double)
    with(loss_kernel<double>, static_cast<double*>(result.loss));
  else
    with(loss_kernel<float>, static_cast<float*>(result.loss));
}

}  // namespace tubeskel::cuda
