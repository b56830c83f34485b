// The pixels that a thread of Dice + cross-entropy + skeleton recall works on, and the choice of a
// kernel for a problem.
//
// A block works on a span of a map's pixels, and a thread on as many neighbours of them as make a
// wide load. Channels are planes, so the lanes of a warp touch neighbours in each. Up to 16
// channels of these pixels are held in registers: each logit is loaded once and has one exponential
// taken. More channels are loaded again where they are needed, from the caches.
#pragma once

#include "compound.h"
#include "labels.h"
#include "launch.h"
#include "reduce.h"
#include "softmax.h"
#include "vectors.h"

namespace tubeskel::cuda::compound {

using core::CompoundProblem;
using core::kSums;

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;

// ---- pixels and labels

// Pixels of a block: enough of them that a slot costs little, few enough that all multiprocessors
// are busy to the end. A warp adds at most 4096 of them in float.
inline int64_t span_of(const CompoundProblem& problem) {
  constexpr int64_t kLeast = 2048, kBlocks = 4096, kMost = 4096 * kWarps;
  const int64_t share = ceil_div(problem.maps() * problem.pixels, kBlocks * kLeast) * kLeast;
  return std::clamp(share, kLeast, kMost);
}

// At least one, so that a map without pixels still gets its sums of 0.
inline int64_t spans_of(const CompoundProblem& problem) {
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

inline int64_t size_of(const CompoundProblem& problem) {
  return problem.channels_of_map() * kSums;
}

}  // namespace tubeskel::cuda::compound
