// The loss on labels and logits of any type; included by kernels_*.cpp after elements_impl.h.

#include "../core/srl.h"

namespace tubeskel::cpu::TUBESKEL_TARGET {

#define KERNEL inline __attribute__((always_inline))

constexpr int kChunk = 64;
constexpr int kAhead = 64;  // chunks

// Calls chunk(from, n) over `size` labels, 64 at a time but for the rest, while labels further on
// are on their way: they are read once, and the hardware's prefetcher stops at each page.
template <class T, class Chunk>
KERNEL void for_each_chunk(const T* labels, int64_t size, const Chunk& chunk) {
  constexpr int64_t kBytesAhead = 4096;
  int64_t from = 0;
  for (; from + kChunk <= size; from += kChunk) {
    const char* const ahead = reinterpret_cast<const char*>(labels + from) + kBytesAhead;
    for (int64_t byte = 0; byte < int64_t(kChunk * sizeof(T)); byte += 64)
      __builtin_prefetch(ahead + byte);
    chunk(from, std::integral_constant<int64_t, kChunk>());
  }
  if (from < size) chunk(from, size - from);
}

template <class Class>
KERNEL bool read_tube_as(const TubeLabels& problem, int64_t first, int64_t size, Class* classes) {
  bool invalid = false;
  with_labels(problem.tube, problem.ignore_index, [&](auto* all, auto ignored, bool ignoring) {
    using T = decltype(ignored);
    using Unsigned = std::make_unsigned_t<T>;
    const T* const labels = all + first;
    const Unsigned limit = largest_class<T>(problem.num_classes);
    Unsigned bad = 0;  // as wide as the labels, so that lanes stay aligned
    for_each_chunk(labels, size, [&](int64_t from, auto n) {
      for (int64_t i = from; i < from + n; ++i) {
        const T label = ignoring && labels[i] == ignored ? T(0) : labels[i];
        classes[i] = Class(label);
        bad |= Unsigned(Unsigned(label) > limit);
      }
    });
    invalid |= bad != 0;
  });
  if (!problem.target.data) return invalid;
  with_labels(problem.target, problem.ignore_index, [&](auto* all, auto ignored, bool ignoring) {
    using T = decltype(ignored);
    using Unsigned = std::make_unsigned_t<T>;
    const T* const labels = all + first;
    const Unsigned limit = largest_class<T>(problem.num_classes);
    Unsigned bad = 0;
    for_each_chunk(labels, size, [&](int64_t from, auto n) {
      if (ignoring)
        for (int64_t i = from; i < from + n; ++i)
          classes[i] = labels[i] == ignored ? Class(0) : classes[i];
      for (int64_t i = from; i < from + n; ++i)
        bad |= Unsigned(Unsigned(labels[i]) > limit && !(ignoring && labels[i] == ignored));
    });
    invalid |= bad != 0;
  });
  return invalid;
}

bool read_tube_tile(const TubeLabels& labels, int64_t first, int64_t n, void* classes,
                    int64_t* counts) {
  const auto as = [&](auto* all) {
    const auto* const own = all + first;
    if (read_tube_as(labels, first, n, all + first)) return true;
    bool invalid = false;
    for (int64_t from = 0; from < n; from += kChunk) {
      const int64_t size = n - from < kChunk ? n - from : kChunk;
      count_classes(foreground_bits(own + from, size, Foreground(), invalid), own + from, size,
                    counts);
    }
    return false;
  };
  return wide_classes(labels.num_classes) ? as(static_cast<uint32_t*>(classes))
                                          : as(static_cast<uint8_t*>(classes));
}

// Probabilities of a chunk from its logits, in place: p[channels][64].
template <class Real>
KERNEL void softmax(Real* p, int64_t channels) {
  if (channels == 2) {  // one exponential instead of two
    for (int i = 0; i < kChunk; ++i) {
      const Real difference = p[i] - p[kChunk + i];
      const Real e = core::exponential(-core::absolute(difference));
      const Real larger = Real(1) / (Real(1) + e), smaller = e * larger;
      p[i] = difference < 0 ? smaller : larger;
      p[kChunk + i] = difference < 0 ? larger : smaller;
    }
    return;
  }
  Real largest[kChunk], sum[kChunk] = {};
  for (int i = 0; i < kChunk; ++i) largest[i] = p[i];
  for (int64_t c = 1; c < channels; ++c)
    for (int i = 0; i < kChunk; ++i)
      largest[i] = p[c * kChunk + i] > largest[i] ? p[c * kChunk + i] : largest[i];
  for (int64_t c = 0; c < channels; ++c) {
    for (int i = 0; i < kChunk; ++i) {
      const Real e = core::exponential(p[c * kChunk + i] - largest[i]);
      p[c * kChunk + i] = e;
      sum[i] += e;
    }
  }
  for (int i = 0; i < kChunk; ++i) sum[i] = Real(1) / sum[i];
  for (int64_t c = 0; c < channels; ++c)
    for (int i = 0; i < kChunk; ++i) p[c * kChunk + i] *= sum[i];
}

// Sum of a chunk by halves: few roundings, and vectors to the end.
template <class Real>
KERNEL Real sum_of(const Real* terms) {
  Real half[kChunk / 2];
  for (int i = 0; i < kChunk / 2; ++i) half[i] = terms[i] + terms[i + kChunk / 2];
#pragma GCC unroll 5
  for (int width = kChunk / 4; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) half[i] += half[i + width];
  return half[0];
}

// Tube pixels are few and lie scattered: they are gathered, 64 at a time, and their gradients put
// back among zeros.
template <class T, class Real, class Class>
KERNEL double srl_pixels_of(const SrlProblem& problem, int64_t map, int64_t first, int64_t size,
                            const double* weights, void* grad, void* scratch) {
  const int64_t channels = problem.channels_of_map(), pixels = problem.pixels;
  const int64_t base = map * channels * pixels + first;
  const T* const logits = static_cast<const T*>(problem.logits) + base;
  T* const gradients = static_cast<T*>(grad) + (grad ? base : 0);
  const Class* const classes = static_cast<const Class*>(problem.classes) + map * pixels + first;
  Real* const p = static_cast<Real*>(scratch);  // [channels][64]
  for (int64_t c = 0; grad && c < channels; ++c)
    __builtin_memset(static_cast<void*>(gradients + c * pixels), 0, size_t(size) * sizeof(T));

  double total = 0;
  int32_t at[kChunk], tube[kChunk];  // where the gathered pixels are, and their classes
  const auto add = [&](int n) {
    for (int i = n; i < kChunk; ++i) {
      tube[i] = 0;
      for (int64_t c = 0; c < channels; ++c) p[c * kChunk + i] = Real(0);
    }
    if (problem.softmax)
      softmax(p, channels);
    else
      for (int i = 0; i < kChunk; ++i) p[i] = Real(1) / (Real(1) + core::exponential(-p[i]));
    Real term[kChunk] = {};  // w_k s_k of the pixel's own class k
    for (int32_t k = 1; k < problem.num_classes(); ++k) {
      const Real weight = Real(weights[k]);
      const Real* const row = p + (problem.softmax ? k : 0) * kChunk;
      for (int i = 0; i < kChunk; ++i) term[i] = tube[i] == k ? weight * row[i] : term[i];
    }
    total += double(sum_of(term));
    if (!grad) return;
    for (int64_t c = 0; c < channels; ++c) {
      const int32_t own = problem.softmax ? int32_t(c) : 1;
      Real* const row = p + c * kChunk;
      for (int i = 0; i < kChunk; ++i)
        row[i] = term[i] * ((tube[i] == own ? Real(1) : Real(0)) - row[i]);
      for (int i = 0; i < n; ++i) {
        gradients[c * pixels + at[i]] = from_real<T>(row[i]);
        asm volatile("");  // scalar stores: they are faster than a vector's scatter
      }
    }
  };

  int gathered = 0;
  for (int64_t from = 0; from < size; from += kChunk) {
    const int64_t n = size - from < kChunk ? size - from : kChunk;
    bool invalid = false;
    // Logits further on are sent for while these are worked on.
    const int64_t ahead = from + kAhead * kChunk;
    if (ahead + kChunk <= pixels - first &&
        foreground_bits(classes + ahead, Foreground(), invalid) != 0)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = 0; i < kChunk; i += int64_t(64 / sizeof(T)))
          __builtin_prefetch(logits + c * pixels + ahead + i);
    for (Word bits = foreground_bits(classes + from, n, Foreground(), invalid); bits;
         bits &= bits - 1) {
      const int64_t pixel = from + __builtin_ctzll(bits);
      at[gathered] = int32_t(pixel);
      tube[gathered] = int32_t(classes[pixel]);
      for (int64_t c = 0; c < channels; ++c)
        p[c * kChunk + gathered] = to_real(logits[c * pixels + pixel]);
      if (++gathered < kChunk) continue;
      add(kChunk);
      gathered = 0;
    }
  }
  if (gathered) add(gathered);
  return total;
}

double srl_pixels(const SrlProblem& problem, int64_t map, int64_t first, int64_t n,
                  const double* weights, void* grad, void* scratch) {
  return with_logits(problem.logit_type, [&](auto logit, auto real) {
    using T = decltype(logit);
    using Real = decltype(real);
    if (wide_classes(problem.num_classes()))
      return srl_pixels_of<T, Real, uint32_t>(problem, map, first, n, weights, grad, scratch);
    return srl_pixels_of<T, Real, uint8_t>(problem, map, first, n, weights, grad, scratch);
  });
}

#undef KERNEL

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
