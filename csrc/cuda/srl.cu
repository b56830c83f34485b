// Skeleton Recall Loss; the formulae are in core/srl.h.
//
// Four kernels, each one launch:
//
//   read_tube_kernel  labels of any integer type -> classes, a byte a pixel, and their counts
//   weights_kernel    counts -> the weight of each class, a block for the maps that share it
//   srl_kernel        classes, logits of tube pixels, weights -> loss, gradient or both
//
// A block of srl_kernel works on a tile of a map. Its classes come to shared memory in 16-byte
// loads; then each thread takes as many neighbouring pixels as fill a 16-byte load of logits, and
// takes them again at the next step. Where none of them is on the tube, and most are not, no logit
// is read and zeros are stored. Channels are planes, so the lanes of a warp touch neighbours in
// each. The logits of a tube pixel are read twice for the gradient, once for the softmax's sum and
// once more, from cache, for the probabilities: any number of channels then fits the registers.
//
// Each tile has a slot for its sum in double precision; the block that comes last adds the slots up
// in a fixed order. The loss has the same bits on every run and on every device.
//
// The floor. read_tube: the bytes of both label maps, and one byte a pixel written. Loss: one byte
// a pixel, and the 32-byte sectors of the logits that hold tube pixels. Gradient: the same, and one
// write of the logits' size. Arithmetic is a softmax for each tube pixel: with tubes on a tenth of
// the pixels far below the time of the bytes.
#include "srl.h"

#include "../core/srl.h"
#include "labels.h"
#include "launch.h"
#include "reduce.h"
#include "softmax.h"
#include "vectors.h"

namespace tubeskel::cuda {

using core::LogitType;
using core::SrlProblem;
using core::SrlReduction;
using core::TubeLabels;
using core::wide_classes;

namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 16;  // of a thread
constexpr int kTile = kThreads * kPixels;

// Tiles of a map, at least one, so that a map without pixels still gets its sum of 0.
int64_t tiles_of(int64_t pixels) {
  return pixels ? ceil_div(pixels, kTile) : 1;
}

// The part of a map of pixels that a block works on.
struct Tile {
  int64_t map, first;
  int size;

  __device__ Tile(unsigned tiles, int64_t pixels)
      : map(blockIdx.x / tiles), first(int64_t(blockIdx.x % tiles) * kTile) {
    size = int(pixels - first < kTile ? pixels - first : kTile);
  }
};

// ---- labels to classes

// The i-th pixel of a thread in its tile, if n neighbours are loaded at once.
template <int n>
__device__ int place(int i) {
  return (i / n * kThreads + int(threadIdx.x)) * n + i % n;
}

// use(i, label) for the kPixels pixels of a thread, n at a time; 64 bytes of them are loaded before
// the first is used. Beyond the tile labels are 0.
template <class Label, int n, class Use>
__device__ void for_each_label(const void* data, int64_t first, int size, const Use& use) {
  constexpr int kAtOnce = sizeof(Label) == 8 ? 8 : kPixels;
  const Label* const labels = static_cast<const Label*>(data) + first;
#pragma unroll
  for (int from = 0; from < kPixels; from += kAtOnce) {
    Vector<Label, n> loaded[kAtOnce / n];
#pragma unroll
    for (int step = 0; step < kAtOnce / n; ++step) {
      const int at = place<n>(from + step * n);
      loaded[step] = at < size ? load<n>(labels + at) : Vector<Label, n>{};
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) use(from + i, uint64_t(loaded[i / n].lane[i % n]));
  }
}

template <int n, class Use>
__device__ void for_each_label(const LabelBits& labels, int64_t first, int size, const Use& use) {
  switch (labels.size) {
    case 1:
      return for_each_label<uint8_t, n>(labels.data, first, size, use);
    case 2:
      return for_each_label<uint16_t, n>(labels.data, first, size, use);
    case 4:
      return for_each_label<uint32_t, n>(labels.data, first, size, use);
    default:
      return for_each_label<uint64_t, n>(labels.data, first, size, use);
  }
}

template <class Class, int n>
__device__ void store_classes(Class* to, int size, const uint32_t* classes) {
#pragma unroll
  for (int step = 0; step < kPixels / n; ++step) {
    const int at = place<n>(step * n);
    Vector<Class, n> vector;
#pragma unroll
    for (int i = 0; i < n; ++i) vector.lane[i] = Class(classes[step * n + i]);
    if (at < size) store<n>(to + at, vector);
  }
}

constexpr int kSharedCounts = 1024;  // more classes are counted in global memory

// Pixels of n neighbours are loaded at once. counts: [maps, num_classes], zero before.
template <int n>
__global__ void __launch_bounds__(kThreads)
    read_tube_kernel(LabelBits tube, LabelBits target, int64_t pixels, unsigned tiles,
                     int num_classes, bool wide, void* classes, int64_t* counts) {
  const Tile tile(tiles, pixels);
  const int64_t first = tile.map * pixels + tile.first;
  uint32_t own[kPixels];
  unsigned invalid = 0;  // a bit for each pixel
  for_each_label<n>(tube, first, tile.size, [&](int i, uint64_t label) {
    own[i] = tube.takes(label) ? uint32_t(label) : 0;
    invalid |= unsigned(!tube.takes(label) && !tube.ignores(label)) << i;
  });
  if (invalid) tube.refuse(first + place<n>(__ffs(int(invalid)) - 1));
  if (target.data) {
    invalid = 0;
    for_each_label<n>(target, first, tile.size, [&](int i, uint64_t label) {
      if (target.ignores(label)) own[i] = 0;
      invalid |= unsigned(!target.takes(label) && !target.ignores(label)) << i;
    });
    if (invalid) target.refuse(first + place<n>(__ffs(int(invalid)) - 1));
  }
  if (wide)
    store_classes<uint32_t, n>(static_cast<uint32_t*>(classes) + first, tile.size, own);
  else
    store_classes<uint8_t, n>(static_cast<uint8_t*>(classes) + first, tile.size, own);

  __shared__ unsigned of_block[kSharedCounts];
  auto* const of_map =
      reinterpret_cast<unsigned long long*>(counts) + tile.map * int64_t(num_classes);
  const bool shared = num_classes <= kSharedCounts;
  for (int k = threadIdx.x; shared && k < num_classes; k += kThreads) of_block[k] = 0;
  __syncthreads();
  // Neighbours mostly share their class: one addition for a run of them.
  uint32_t running = 0;
  unsigned run = 0;
  const auto flush = [&] {
    if (run && shared) atomicAdd(of_block + running, run);
    if (run && !shared) atomicAdd(of_map + running, static_cast<unsigned long long>(run));
  };
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
    if (own[i] == 0) continue;
    if (own[i] != running) {
      flush();
      running = own[i];
      run = 0;
    }
    ++run;
  }
  flush();
  __syncthreads();
  for (int k = threadIdx.x; shared && k < num_classes; k += kThreads)
    if (of_block[k]) atomicAdd(of_map + k, static_cast<unsigned long long>(of_block[k]));
}

// ---- counts to weights

// A group is all samples, or one of them. Its counts are rows of `row` classes, of all maps of a
// sample.
struct Groups {
  int64_t members, row;
  double groups;
  bool softmax, all_classes;
  double smooth;

  __device__ bool is_foreground(int64_t k) const { return softmax ? k > 0 : k % 2 == 1; }
};

// One block a group. counts, weights: [groups, members, row]; smoothing: [groups], what it adds to
// the loss; *ticket becomes 0, for the kernel that comes next.
__global__ void __launch_bounds__(kThreads)
    weights_kernel(const int64_t* counts, Groups all, double* weights, double* smoothing,
                   unsigned* ticket) {
  counts += blockIdx.x * all.members * all.row;
  weights += blockIdx.x * all.members * all.row;
  const auto total = [&](int64_t k) {
    int64_t sum = 0;
    for (int64_t i = 0; i < all.members; ++i) sum += counts[i * all.row + k];
    return sum;
  };
  int64_t considered = 0;
  for (int64_t first = 0; first < all.row; first += kThreads) {
    const int64_t k = first + threadIdx.x;
    considered += __syncthreads_count(k < all.row && all.is_foreground(k) &&
                                      (all.all_classes || total(k) > 0));
  }
  double added = 0;
  for (int64_t k = threadIdx.x; k < all.row; k += kThreads) {
    double weight = 0;
    if (all.is_foreground(k)) {
      const int64_t count = total(k);
      if (all.all_classes || count > 0)
        weight = core::srl_weight(double(count), all.smooth, double(considered) * all.groups);
    }
    added += weight * all.smooth;
    for (int64_t i = 0; i < all.members; ++i) weights[i * all.row + k] = weight;
  }
  const double sum = block_sum<kThreads>(added);
  if (threadIdx.x == 0) {
    smoothing[blockIdx.x] = sum;
    if (blockIdx.x == 0) *ticket = 0;
  }
}

// ---- loss and gradient

template <class T, class Class>
struct Maps {
  const T* logits;        // [maps, channels, pixels]
  const Class* classes;   // [maps, pixels]
  const double* weights;  // [maps, num_classes]
  int64_t channels, pixels, num_classes;
  unsigned tiles;  // of a map
};

// Slots for the sums of tiles, followed by `more` other terms of the loss. No slots, no loss.
struct Slots {
  double* sums;
  int64_t more;
  unsigned* ticket;
  void* loss;  // of double for double logits, else float
};

__device__ inline double value_of(Scale scale) {
  if (!scale.value) return 1;
  return scale.is_double ? *static_cast<const double*>(scale.value)
                         : double(*static_cast<const float*>(scale.value));
}

// Copies a tile to shared memory, n elements at once. Returns whether any thread saw a tube pixel.
template <int n, class Class>
__device__ bool stage(const Class* from, int size, Class* to) {
  Class seen = 0;
#pragma unroll
  for (int step = 0; step < kPixels / n; ++step) {
    const int at = place<n>(step * n);
    if (at >= size) break;
    const Vector<Class, n> vector = load<n>(from + at);
#pragma unroll
    for (int i = 0; i < n; ++i) seen |= vector.lane[i];
    store<n>(to + at, vector);
  }
  return __syncthreads_or(seen != 0);
}

// What n neighbouring pixels with these classes add to the loss; writes their gradient if there is
// one. logits, grad: of the first of them in the first channel.
//
// Two channels with a softmax are a sigmoid of the difference of their logits; with a sigmoid there
// is one channel.
template <int n, class T, class Class>
__device__ RealOf<T> binary_pixels(const T* __restrict__ logits, const Vector<Class, n>& tube,
                                   const Maps<T, Class>& maps, RealOf<T> weight, bool any,
                                   T* __restrict__ grad) {
  using Real = RealOf<T>;
  const bool two = maps.channels == 2;
  const int64_t foreground = two ? maps.pixels : 0;
  Real sum = 0, slope[n] = {};
  if (any) {
    const Vector<T, n> own = load<n>(logits + foreground);
    Vector<T, n> other = {};
    if (two) other = load<n>(logits);
#pragma unroll
    for (int i = 0; i < n; ++i) {
      if (!tube.lane[i]) continue;
      const Sigmoid<Real> s(to_real(own.lane[i]) - (two ? to_real(other.lane[i]) : Real(0)));
      const Real term = weight * s.of;
      sum += term;
      slope[i] = term * s.rest;
    }
  }
  if (!grad) return sum;
  Vector<T, n> gradient;
  if (two) {
#pragma unroll
    for (int i = 0; i < n; ++i) gradient.lane[i] = from_real<T>(-slope[i]);
    store<n>(grad, gradient);
  }
#pragma unroll
  for (int i = 0; i < n; ++i) gradient.lane[i] = from_real<T>(slope[i]);
  store<n>(grad + foreground, gradient);
  return sum;
}

// A softmax over any number of channels. weights: of the map.
template <int n, class T, class Class>
__device__ RealOf<T> softmax_pixels(const T* __restrict__ logits, const Vector<Class, n>& tube,
                                    const Maps<T, Class>& maps, const double* weights, double scale,
                                    bool any, T* __restrict__ grad) {
  using Real = RealOf<T>;
  Softmax<Real> softmax[n];
  Real sum = 0, term[n] = {};  // w_k s_k of the pixel's own class k
  if (any) {
    Real own[n] = {};
#pragma unroll 1  // registers are for pixels: a warp more hides what an unrolled loop would
    for (int64_t c = 0; c < maps.channels; ++c) {
      const Vector<T, n> x = load<n>(logits + c * maps.pixels);
#pragma unroll
      for (int i = 0; i < n; ++i) {
        softmax[i].add(to_real(x.lane[i]));
        own[i] = int64_t(tube.lane[i]) == c ? to_real(x.lane[i]) : own[i];
      }
    }
#pragma unroll
    for (int i = 0; i < n; ++i) {
      if (!tube.lane[i]) continue;
      softmax[i].finish();
      term[i] = Real(weights[tube.lane[i]] * scale) * softmax[i].probability(own[i]);
      sum += term[i];
    }
  }
#pragma unroll 1
  for (int64_t c = 0; grad && c < maps.channels; ++c) {
    Real slope[n] = {};
    if (any) {
      const Vector<T, n> x = load<n>(logits + c * maps.pixels);
#pragma unroll
      for (int i = 0; i < n; ++i) {
        if (!tube.lane[i]) continue;
        const Real of_own = int64_t(tube.lane[i]) == c ? Real(1) : Real(0);
        slope[i] = term[i] * (of_own - softmax[i].probability(to_real(x.lane[i])));
      }
    }
    Vector<T, n> gradient;
#pragma unroll
    for (int i = 0; i < n; ++i) gradient.lane[i] = from_real<T>(slope[i]);
    store<n>(grad + c * maps.pixels, gradient);
  }
  return sum;
}

// One block a tile. scale: of the gradient. grad: of the shape of the logits, or null.
template <class T, class Class, int n, bool kBinary>
__global__ void __launch_bounds__(kThreads)
    srl_kernel(Maps<T, Class> maps, Scale scale_of, Slots slots, T* grad) {
  alignas(kVectorBytes) __shared__ Class classes[kTile];
  const Tile tile(maps.tiles, maps.pixels);
  const int64_t first = tile.map * maps.channels * maps.pixels + tile.first;
  const double* const weights = maps.weights + tile.map * maps.num_classes;
  const double scale = value_of(scale_of);
  const RealOf<T> weight = RealOf<T>(kBinary ? weights[1] * scale : 0.0);
  // All pixels of a thread in one load if neighbours are loaded at once at all.
  constexpr int kStaged = n == 1 ? 1 : kVectorBytes / int(sizeof(Class));
  const bool any_of_tile =
      stage<kStaged>(maps.classes + tile.map * maps.pixels + tile.first, tile.size, classes);

  double total = 0;
  for (int at = int(threadIdx.x) * n; at < tile.size && (any_of_tile || grad); at += kThreads * n) {
    const Vector<Class, n> tube = load<n>(classes + at);
    bool any = false;
#pragma unroll
    for (int i = 0; i < n; ++i) any |= tube.lane[i] != 0;
    T* const to = grad ? grad + first + at : nullptr;
    const T* const from = maps.logits + first + at;
    if constexpr (kBinary)
      total += double(binary_pixels<n>(from, tube, maps, weight, any, to));
    else
      total += double(softmax_pixels<n>(from, tube, maps, weights, scale, any, to));
  }

  if (!slots.sums) return;
  const double sum = block_sum<kThreads>(total);
  if (threadIdx.x == 0) slots.sums[blockIdx.x] = sum;
  if (!is_last_block(slots.ticket)) return;
  total = 0;
  for (int64_t i = threadIdx.x; i < gridDim.x + slots.more; i += kThreads)
    total += __ldcg(slots.sums + i);
  const double loss = block_sum<kThreads>(total);
  if (threadIdx.x == 0) *static_cast<RealOf<T>*>(slots.loss) = RealOf<T>(loss);
}

template <class T, class Class, int n, bool kBinary>
void launch_srl(const Subject& what, const SrlProblem& problem, const double* weights, Scale scale,
                const Slots& slots, void* grad, void* stream) {
  const int64_t tiles = tiles_of(problem.pixels);
  const Maps<T, Class> maps = {static_cast<const T*>(problem.logits),
                               static_cast<const Class*>(problem.classes),
                               weights,
                               problem.channels_of_map(),
                               problem.pixels,
                               problem.num_classes(),
                               unsigned(tiles)};
  launch(what, {dim3(unsigned(problem.maps() * tiles)), dim3(kThreads)}, stream,
         srl_kernel<T, Class, n, kBinary>, maps, scale, slots, static_cast<T*>(grad));
}

template <class T>
void launch_srl_of(const Subject& what, const SrlProblem& problem, const double* weights,
                   Scale scale, const Slots& slots, void* grad, void* stream) {
  // Double pixels one by one: their softmax would not fit the registers twice.
  constexpr int kMost = sizeof(T) == 8 ? 1 : kVectorBytes / int(sizeof(T));
  const bool vectors = kMost > 1 && problem.pixels % kVectorBytes == 0 &&
                       aligned(problem.classes, 1, kVectorBytes, problem.pixels) &&
                       aligned(problem.logits, sizeof(T), kMost, problem.pixels) &&
                       aligned(grad, sizeof(T), kMost, problem.pixels);
  const auto with = [&](auto* kernel_launcher) {
    kernel_launcher(what, problem, weights, scale, slots, grad, stream);
  };
  if (wide_classes(problem.num_classes())) return with(launch_srl<T, int32_t, 1, false>);
  if (problem.num_classes() == 2)
    return vectors ? with(launch_srl<T, uint8_t, kMost, true>)
                   : with(launch_srl<T, uint8_t, 1, true>);
  return vectors ? with(launch_srl<T, uint8_t, kMost, false>)
                 : with(launch_srl<T, uint8_t, 1, false>);
}

void launch_srl_of_any(const char* op, const SrlProblem& problem, const double* weights,
                       Scale scale, const Slots& slots, void* grad, void* stream) {
  with_logits(problem.logit_type, [&](auto* type) {
    launch_srl_of<std::remove_pointer_t<decltype(type)>>(
        subject(op, problem.samples, problem.channels, problem.pixels), problem, weights, scale,
        slots, grad, stream);
  });
}

int64_t groups_of(const SrlProblem& problem, const SrlReduction& reduction) {
  return reduction.batch ? 1 : problem.samples;
}

}  // namespace

void read_tube(const TubeLabels& labels, const InvalidLabels& invalid, void* classes,
               int64_t* counts, void* stream) {
  const Subject what = subject("srl_classes", labels.maps, labels.pixels, labels.num_classes);
  if (labels.maps == 0) return;
  check(cudaMemsetAsync(counts, 0, size_t(labels.maps * labels.num_classes) * sizeof(int64_t),
                        static_cast<cudaStream_t>(stream)),
        what);
  if (labels.pixels == 0) return;
  const bool wide = wide_classes(labels.num_classes);
  constexpr int kMost = 4;
  const bool vectors = aligned(labels.tube.data, labels.tube.type.size, kMost, labels.pixels) &&
                       aligned(labels.target.data, labels.target.type.size, kMost, labels.pixels) &&
                       aligned(classes, wide ? 4 : 1, kMost, labels.pixels);
  const int64_t tiles = tiles_of(labels.pixels);
  launch(what, {dim3(unsigned(labels.maps * tiles)), dim3(kThreads)}, stream,
         vectors ? read_tube_kernel<kMost> : read_tube_kernel<1>,
         bits_of(labels.tube, labels.num_classes, labels.ignore_index, invalid.tube),
         bits_of(labels.target, labels.num_classes, labels.ignore_index, invalid.target),
         labels.pixels, unsigned(tiles), int(labels.num_classes), wide, classes, counts);
}

size_t srl_workspace(const SrlProblem& problem, const SrlReduction& reduction) {
  const int64_t slots = problem.maps() * tiles_of(problem.pixels) + groups_of(problem, reduction);
  return size_t(slots + 1) * sizeof(double);  // and the ticket
}

void srl_loss(const SrlProblem& problem, const int64_t* counts, const SrlReduction& reduction,
              double* weights, void* loss, void* grad, void* workspace, void* stream) {
  const Subject what = subject("srl_loss", problem.samples, problem.channels, problem.pixels);
  if (problem.maps() == 0) {
    const size_t size = problem.logit_type == LogitType::kFloat64 ? 8 : 4;
    check(cudaMemsetAsync(loss, 0, size, static_cast<cudaStream_t>(stream)), what);
    return;
  }
  const int64_t tiles = problem.maps() * tiles_of(problem.pixels);
  const int64_t groups = groups_of(problem, reduction);
  double* const sums = static_cast<double*>(workspace);
  unsigned* const ticket = reinterpret_cast<unsigned*>(sums + tiles + groups);
  const Groups all = {
      problem.samples / groups, problem.maps() / problem.samples * problem.num_classes(),
      double(groups),           problem.softmax,
      reduction.all_classes,    reduction.smooth};
  launch(what, {dim3(unsigned(groups)), dim3(kThreads)}, stream, weights_kernel, counts, all,
         weights, sums + tiles, ticket);
  launch_srl_of_any("srl_loss", problem, weights, Scale{nullptr, false},
                    Slots{sums, groups, ticket, loss}, grad, stream);
}

void srl_gradient(const SrlProblem& problem, const double* weights, Scale scale, void* grad,
                  void* stream) {
  if (problem.samples * problem.channels * problem.pixels == 0) return;
  launch_srl_of_any("srl_gradient", problem, weights, scale, Slots{nullptr, 0, nullptr, nullptr},
                    grad, stream);
}

}  // namespace tubeskel::cuda
