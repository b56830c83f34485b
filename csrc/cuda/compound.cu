// Dice + cross-entropy + skeleton recall; the formulae are in core/compound.h.
//
// Four kernels, each one launch:
//
//   sums_kernel      logits and labels -> the sums of each class, a slot for each span of a map
//   reduce_kernel    slots -> sums, a block for each class of a map
//   loss_kernel      sums -> loss, terms, derivatives: one block
//   gradient_kernel  derivatives, logits and labels -> gradient
//
// A block works on a span of a map's pixels, and a thread on as many neighbours of them as make a
// wide load. Channels are planes, so the lanes of a warp touch neighbours in each. Up to 16
// channels of these pixels are held in registers: each logit is loaded once and has one exponential
// taken. More channels are loaded again where they are needed, from the caches, 32 at a time. The
// logit of a pixel's own class is looked up once more in either case, which is cheaper than to
// compare its class with each channel.
//
// What every pixel does to the sums of every class (`add_pixel`) stays with the threads to the end
// of the span. What it does to those of its own class is added up by warps, for each class that
// its pixels have at that moment: mostly one. No warp waits for another before the span's end.
// Floats are added up over at most 4096 pixels, then doubles, in an order that depends on the shape
// alone. So the sums have the same bits on every run and on every device.
//
// The floor. Sums: the bytes of logits and labels; a slot is 64 bytes a class for 2048 pixels or
// more. Gradient: the bytes of logits and labels, and one write of the logits' size. Arithmetic is
// an exponential and about 12 other operations a logit in the first, about 20 in the second.
#include "compound.h"

#include "labels.h"
#include "launch.h"
#include "reduce.h"
#include "softmax.h"
#include "vectors.h"

namespace tubeskel::cuda {

using core::CompoundOptions;
using core::CompoundProblem;
using core::kSums;
using core::LogitType;

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;

// ---- pixels and labels

// Pixels of a block: enough of them that a slot costs little, few enough that all multiprocessors
// are busy to the end. A warp adds at most 4096 of them in float.
int64_t span_of(const CompoundProblem& problem) {
  constexpr int64_t kLeast = 2048, kBlocks = 4096, kMost = 4096 * kWarps;
  const int64_t share = ceil_div(problem.maps() * problem.pixels, kBlocks * kLeast) * kLeast;
  return std::clamp(share, kLeast, kMost);
}

// At least one, so that a map without pixels still gets its sums of 0.
int64_t spans_of(const CompoundProblem& problem) {
  return problem.pixels ? ceil_div(problem.pixels, span_of(problem)) : 1;
}

template <class T>
struct Maps {
  const T* logits;         // [maps, channels, pixels]
  LabelBits target, tube;  // [maps, pixels]; the tube may be missing
  int64_t channels, pixels, span;
  unsigned spans;  // of a map
  bool log_recall, smoothing;
};

// The pixels of a map that a block works on.
struct Span {
  int64_t map, first, end;

  template <class T>
  __device__ explicit Span(const Maps<T>& maps)
      : map(blockIdx.x / maps.spans), first(blockIdx.x % maps.spans * maps.span) {
    end = first + maps.span < maps.pixels ? first + maps.span : maps.pixels;
  }
};

template <class Label, int n>
__device__ unsigned load_classes(const LabelBits& labels, int64_t pixel, int (&classes)[n]) {
  const Vector<Label, n> loaded = load<n>(static_cast<const Label*>(labels.data) + pixel);
  unsigned invalid = 0;
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const uint64_t label = loaded.lane[i];
    classes[i] = labels.takes(label) ? int(label) : -1;
    invalid |= unsigned(!labels.takes(label) && !labels.ignores(label)) << i;
  }
  return invalid;
}

// Writes the classes of n neighbours, -1 where ignored. Returns a bit for each label out of range.
template <int n>
__device__ unsigned load_classes(const LabelBits& labels, int64_t pixel, int (&classes)[n]) {
  switch (labels.size) {
    case 1:
      return load_classes<uint8_t>(labels, pixel, classes);
    case 2:
      return load_classes<uint16_t>(labels, pixel, classes);
    case 4:
      return load_classes<uint32_t>(labels, pixel, classes);
    default:
      return load_classes<uint64_t>(labels, pixel, classes);
  }
}

// n neighbouring pixels of a map, their channels being planes.
template <class T, int n>
struct Pixels {
  using Real = RealOf<T>;

  const T* logits;  // of the first
  int64_t stride, channels;
  bool any = false;  // one that is not ignored
  int target[n];     // -1 where ignored, and beyond the span
  int tube[n];       // -1 off the tube

  template <bool checked>
  static __device__ Pixels load_from(const Maps<T>& maps, const Span& span, int64_t at) {
    Pixels pixels;
    pixels.logits = maps.logits + span.map * maps.channels * maps.pixels + at;
    pixels.stride = maps.pixels;
    pixels.channels = maps.channels;
#pragma unroll
    for (int i = 0; i < n; ++i) pixels.target[i] = pixels.tube[i] = -1;
    if (at >= span.end) return pixels;
    const auto read = [&](const LabelBits& labels, int (&classes)[n]) {
      const int64_t pixel = span.map * maps.pixels + at;
      const unsigned invalid = load_classes(labels, pixel, classes);
      if (checked && invalid) labels.refuse(pixel + __ffs(int(invalid)) - 1);
    };
    read(maps.target, pixels.target);
    if (maps.tube.data) read(maps.tube, pixels.tube);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      pixels.any |= pixels.is_valid(i);
      if (!pixels.is_valid(i) || pixels.tube[i] == 0) pixels.tube[i] = -1;
    }
    return pixels;
  }

  __device__ bool is_valid(int i) const { return target[i] >= 0; }

  // Of a channel; ignored pixels have the logit 0.
  __device__ void load_channel(int64_t c, Real (&x)[n]) const {
    Vector<T, n> loaded = {};
    if (any) loaded = load<n>(logits + c * stride);
#pragma unroll
    for (int i = 0; i < n; ++i) x[i] = is_valid(i) ? to_real(loaded.lane[i]) : Real(0);
  }

  // Of a pixel that is not ignored.
  __device__ Real logit(int64_t c, int i) const { return to_real(logits[c * stride + i]); }
};

// The softmax of pixels: s = exp(x - largest) * inverse, where inverse is 1 / sum.
//
// `each(use)` calls use(c, power) for all channels with the n exponentials.
template <class T, int n, int kHeld>
struct Powers {
  using Real = RealOf<T>;

  Real largest[n], sum[n] = {};

  __device__ explicit Powers(const Pixels<T, n>& pixels) : channels_(pixels.channels) {
#pragma unroll
    for (int c = 0; c < kHeld; ++c)
      if (c < channels_) pixels.load_channel(c, power_[c]);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      if constexpr (kHeld == 2) {  // one exponential instead of two
        const Real a = power_[0][i], b = power_[1][i];
        const Real small = exponential(a > b ? b - a : a - b);
        largest[i] = a > b ? a : b;
        sum[i] = Real(1) + small;
        power_[0][i] = a > b ? Real(1) : small;
        power_[1][i] = a > b ? small : Real(1);
        continue;
      }
      largest[i] = power_[0][i];
#pragma unroll
      for (int c = 1; c < kHeld; ++c)
        if (c < channels_) largest[i] = power_[c][i] > largest[i] ? power_[c][i] : largest[i];
#pragma unroll
      for (int c = 0; c < kHeld; ++c) {
        if (c >= channels_) continue;
        power_[c][i] = exponential(power_[c][i] - largest[i]);
        sum[i] += power_[c][i];
      }
    }
  }

  template <class Use>
  __device__ void each(const Use& use) const {
#pragma unroll
    for (int c = 0; c < kHeld; ++c)
      if (c < channels_) use(c, power_[c]);
  }

 private:
  const int64_t channels_;
  Real power_[kHeld][n];
};

// Of any number of channels, which are loaded again.
template <class T, int n>
struct Powers<T, n, 0> {
  using Real = RealOf<T>;

  Real largest[n], sum[n];

  __device__ explicit Powers(const Pixels<T, n>& pixels) : pixels_(pixels) {
    Softmax<Real> softmax[n];
    Real x[n];
#pragma unroll 4
    for (int64_t c = 0; c < pixels.channels; ++c) {
      pixels.load_channel(c, x);
#pragma unroll
      for (int i = 0; i < n; ++i) softmax[i].add(x[i]);
    }
#pragma unroll
    for (int i = 0; i < n; ++i) {
      largest[i] = softmax[i].largest;
      sum[i] = softmax[i].sum;
    }
  }

  __device__ void at(int64_t c, Real (&power)[n]) const {
    pixels_.load_channel(c, power);
#pragma unroll
    for (int i = 0; i < n; ++i) power[i] = exponential(power[i] - largest[i]);
  }

  template <class Use>
  __device__ void each(const Use& use) const {
    Real power[n];
#pragma unroll 4
    for (int64_t c = 0; c < pixels_.channels; ++c) {
      at(c, power);
      use(c, power);
    }
  }

 private:
  const Pixels<T, n>& pixels_;
};

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

// Of any number of channels: added at once, 32 classes at a time.
template <class T, int n>
struct DenseSums<T, n, 0> {
  using Real = RealOf<T>;

  template <class MinusLog>
  __device__ void add(const Pixels<T, n>& pixels, const Powers<T, n, 0>& powers,
                      const Real (&inverse)[n], bool smoothing, const MinusLog& minus_log,
                      const WarpSums& warp) {
#pragma unroll 1
    for (int64_t first = 0; first < pixels.channels; first += kWarp) {
      Real predicted[kWarp] = {};
#pragma unroll
      for (int j = 0; j < kWarp; ++j) {
        if (first + j >= pixels.channels) continue;
        Real power[n], local[kSums] = {};
        powers.at(first + j, power);
#pragma unroll
        for (int i = 0; i < n; ++i) core::add_pixel(local, power[i] * inverse[i]);
        predicted[j] = local[core::kPredicted];
      }
      warp.add(first, core::kPredicted, predicted);
      if (!smoothing) continue;
      Real uniform[kWarp] = {};
#pragma unroll
      for (int j = 0; j < kWarp; ++j) {
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

// ---- gradient

// The derivatives with respect to the sums of a map, in shared memory unless they are too many.
template <class Real>
struct Derivatives {
  const double* all;
  Real* staged;

  __device__ void stage(int64_t channels) const {
    for (int64_t i = threadIdx.x; staged && i < channels * kSums; i += kThreads)
      staged[i] = Real(all[i]);
    __syncthreads();
  }
  __device__ void of(int64_t c, Real (&g)[kSums]) const {
#pragma unroll
    for (int j = 0; j < kSums; ++j)
      g[j] = staged ? staged[c * kSums + j] : Real(all[c * kSums + j]);
  }
};

template <class T, int n, int kHeld>
__device__ void softmax_gradient(const Pixels<T, n>& pixels, bool log_recall, RealOf<T> constant,
                                 const Derivatives<RealOf<T>>& derivatives, T* grad) {
  using Real = RealOf<T>;
  const Powers<T, n, kHeld> powers(pixels);
  Real g[kSums], inverse[n], mean[n] = {}, of_target[n] = {}, of_tube[n] = {};
  powers.each([&](auto c, const Real(&power)[n]) {
    derivatives.of(c, g);
#pragma unroll
    for (int i = 0; i < n; ++i) mean[i] += core::mean_part(g, power[i]);
  });
#pragma unroll
  for (int i = 0; i < n; ++i) {
    inverse[i] = Real(1) / powers.sum[i];
    mean[i] = mean[i] * inverse[i] + constant;
    const auto probability = [&](int c) {
      return exponential(pixels.logit(c, i) - powers.largest[i]) * inverse[i];
    };
    if (pixels.target[i] >= 0) {
      derivatives.of(pixels.target[i], g);
      of_target[i] = core::target_part(g, probability(pixels.target[i]));
    }
    if (pixels.tube[i] >= 0) {
      derivatives.of(pixels.tube[i], g);
      of_tube[i] = core::tube_part(g, probability(pixels.tube[i]), log_recall);
    }
    mean[i] += of_target[i] + of_tube[i];
  }
  powers.each([&](auto c, const Real(&power)[n]) {
    derivatives.of(c, g);
    Vector<T, n> gradient;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      Real slope = core::logit_gradient(g, power[i] * inverse[i], mean[i]);
      slope += pixels.target[i] == c ? of_target[i] : Real(0);
      slope += pixels.tube[i] == c ? of_tube[i] : Real(0);
      gradient.lane[i] = from_real<T>(pixels.is_valid(i) ? slope : Real(0));
    }
    store<n>(grad + c * pixels.stride, gradient);
  });
}

template <class T, int n>
__device__ void sigmoid_gradient(const Pixels<T, n>& pixels, bool log_recall,
                                 const Derivatives<RealOf<T>>& derivatives, T* grad) {
  using Real = RealOf<T>;
  Real g[kSums], z[n];
  derivatives.of(0, g);
  pixels.load_channel(0, z);
  Vector<T, n> gradient;
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const Sigmoid<Real> s(z[i]);
    const Real slope = core::sigmoid_gradient(g, s.of, s.rest, pixels.target[i] == 1,
                                              pixels.tube[i] == 1, log_recall);
    gradient.lane[i] = from_real<T>(pixels.is_valid(i) ? slope : Real(0));
  }
  store<n>(grad, gradient);
}

// One block a span. derivatives: [maps, channels, kSums].
template <class T, int n, int kHeld>
__global__ void __launch_bounds__(kThreads, kHeld ? 0 : 4)
    gradient_kernel(Maps<T> maps, bool in_shared, const double* derivatives, T* grad) {
  using Real = RealOf<T>;
  const Span span(maps);
  Derivatives<Real> own = {derivatives + span.map * maps.channels * kSums, nullptr};
  if (kHeld || in_shared) own.staged = reinterpret_cast<Real*>(dynamic_shared());
  own.stage(maps.channels);
  Real constant = 0, g[kSums];
  for (int64_t c = 0; kHeld != 1 && c < maps.channels; ++c) {
    own.of(c, g);
    constant += core::mean_constant(g);
  }
  for (int64_t at = span.first + int64_t(threadIdx.x) * n; at < span.end; at += kThreads * n) {
    const auto pixels = Pixels<T, n>::template load_from<false>(maps, span, at);
    T* const to = grad + (pixels.logits - maps.logits);
    if constexpr (kHeld == 1)
      sigmoid_gradient(pixels, maps.log_recall, own, to);
    else
      softmax_gradient<T, n, kHeld>(pixels, maps.log_recall, constant, own, to);
  }
}

// ---- launches

// What a device has for a block unasked.
constexpr size_t kSharedBytes = 48 * 1024;

template <class T>
Maps<T> maps_of(const CompoundProblem& problem, const InvalidLabels& invalid) {
  const auto bits = [&](const core::Labels& labels, unsigned long long* first_invalid) {
    return bits_of(labels, problem.num_classes(), problem.ignore_index, first_invalid);
  };
  return {static_cast<const T*>(problem.logits),
          bits(problem.target, invalid.target),
          bits(problem.tube, invalid.tube),
          problem.channels_of_map(),
          problem.pixels,
          span_of(problem),
          unsigned(spans_of(problem)),
          problem.log_recall,
          problem.smoothing};
}

template <int n>
using Number = std::integral_constant<int, n>;

// work(n, held) with how many neighbours a thread has, and how many channels are held.
template <class T, class Work>
void choose(const CompoundProblem& problem, const void* grad, const Work& work) {
  const auto fit = [&](int n) {
    const auto fits = [&](const void* data, int size) {
      return aligned(data, size, n, problem.pixels);
    };
    return fits(problem.logits, sizeof(T)) && fits(grad, sizeof(T)) &&
           fits(problem.target.data, problem.target.type.size) &&
           fits(problem.tube.data, problem.tube.type.size);
  };
  if constexpr (sizeof(T) == 8) {
    return problem.softmax ? work(Number<1>(), Number<0>()) : work(Number<1>(), Number<1>());
  } else {
    constexpr int kMost = kVectorBytes / int(sizeof(T)), kPair = 4 / int(sizeof(T));
    if (!problem.softmax)
      return fit(kMost) ? work(Number<kMost>(), Number<1>()) : work(Number<1>(), Number<1>());
    if (problem.channels == 2)
      return fit(kMost) ? work(Number<kMost>(), Number<2>()) : work(Number<1>(), Number<2>());
    if (problem.channels <= 4 && fit(4)) return work(Number<4>(), Number<4>());
    if (problem.channels > 16) return work(Number<1>(), Number<0>());
    return fit(kPair) ? work(Number<kPair>(), Number<16>()) : work(Number<1>(), Number<16>());
  }
}

template <class Work>
void with_type(LogitType type, const Work& work) {
  switch (type) {
    case LogitType::kFloat64:
      return work(static_cast<double*>(nullptr));
    case LogitType::kFloat16:
      return work(static_cast<__half*>(nullptr));
    case LogitType::kBFloat16:
      return work(static_cast<__nv_bfloat16*>(nullptr));
    default:
      return work(static_cast<float*>(nullptr));
  }
}

int64_t size_of(const CompoundProblem& problem) {
  return problem.channels_of_map() * kSums;
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
  with_type(problem.logit_type, [&](auto* type) {
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

void compound_gradient(const CompoundProblem& problem, const double* derivatives, void* grad,
                       void* stream) {
  if (problem.samples * problem.channels * problem.pixels == 0) return;
  const Subject what =
      subject("compound_gradient", problem.samples, problem.channels, problem.pixels);
  with_type(problem.logit_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const size_t shared = size_t(size_of(problem)) * sizeof(RealOf<T>);
    const bool in_shared = shared <= kSharedBytes;
    const Launch shape = {dim3(unsigned(problem.maps() * spans_of(problem))), dim3(kThreads),
                          in_shared ? shared : 0};
    choose<T>(problem, grad, [&](auto n, auto held) {
      launch(what, shape, stream, gradient_kernel<T, decltype(n)::value, decltype(held)::value>,
             maps_of<T>(problem, {nullptr, nullptr}), in_shared, derivatives,
             static_cast<T*>(grad));
    });
  });
}

}  // namespace tubeskel::cuda
