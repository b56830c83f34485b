// One pass over 64 pixels at a time; included by kernels_*.cpp after kernels_impl.h.

#include "../core/srl.h"

namespace tubeskel::cpu::TUBESKEL_TARGET {

#define KERNEL inline __attribute__((always_inline))

constexpr int kChunk = 64;
constexpr int kAhead = 8;

struct BFloat16 {
  uint16_t bits;
};

template <class T, class Real>
KERNEL void load_chunk(const T* from, int64_t n, Real* to) {
  if (n == kChunk)
    for (int i = 0; i < kChunk; ++i) to[i] = Real(from[i]);
  else
    for (int i = 0; i < kChunk; ++i) to[i] = i < n ? Real(from[i]) : Real(0);
}
KERNEL void load_chunk(const BFloat16* from, int64_t n, float* to) {
  uint16_t bits[kChunk] = {};
  __builtin_memcpy(bits, from, size_t(n) * sizeof(uint16_t));
  uint32_t wide[kChunk];
  for (int i = 0; i < kChunk; ++i) wide[i] = uint32_t(bits[i]) << 16;
  __builtin_memcpy(to, wide, sizeof wide);
}

template <class T, class Real>
KERNEL void store_chunk(const Real* from, int64_t n, T* to) {
  if (n == kChunk)
    for (int i = 0; i < kChunk; ++i) to[i] = T(from[i]);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = T(from[i]);
}
KERNEL void store_chunk(const float* from, int64_t n, BFloat16* to) {
  uint32_t wide[kChunk];
  __builtin_memcpy(wide, from, sizeof wide);
  uint16_t bits[kChunk];
  for (int i = 0; i < kChunk; ++i) {
    const uint32_t rounded = (wide[i] + 0x7fff + (wide[i] >> 16 & 1)) >> 16;  // to nearest, even
    const bool nan = (wide[i] & 0x7fffffff) > 0x7f800000;
    bits[i] = nan ? 0x7fc0 : uint16_t(rounded);
  }
  __builtin_memcpy(to, bits, size_t(n) * sizeof(uint16_t));
}

// Labels of any integer type, with the classes and the ignored label as values of that type.
template <class T>
struct LabelReader {
  const T* labels;
  T ignored;
  bool ignoring;
  std::make_unsigned_t<T> limit;  // as unsigned, negative labels are above the largest class too

  LabelReader(const Labels& source, const SrlProblem& problem)
      : labels(static_cast<const T*>(source.data)), ignored(T(problem.ignore_index.value_or(0))) {
    // A type that cannot hold ignore_index ignores nothing.
    ignoring = problem.ignore_index && int64_t(ignored) == *problem.ignore_index &&
               (std::is_signed_v<T> || *problem.ignore_index >= 0);
    const uint64_t widest = uint64_t(std::numeric_limits<T>::max());
    const uint64_t largest = uint64_t(problem.classes() - 1);
    limit = std::make_unsigned_t<T>(largest < widest ? largest : widest);
  }

  // Calls chunk(pointer to 64 labels, the last ones 0 beyond n).
  template <class Chunk>
  KERNEL void with_chunk(int64_t first, int64_t n, const Chunk& chunk) const {
    if (n == kChunk) return chunk(labels + first);
    T padded[kChunk] = {};
    __builtin_memcpy(padded, labels + first, size_t(n) * sizeof(T));
    chunk(static_cast<const T*>(padded));
  }
};

template <class Use>
KERNEL void with_reader(const Labels& labels, const SrlProblem& problem, const Use& use) {
  const auto as = [&](auto zero) { use(LabelReader<decltype(zero)>(labels, problem)); };
  const bool is_signed = labels.type.kind == Kind::kSigned;
  switch (labels.type.size) {
    case 1:
      return is_signed ? as(int8_t()) : as(uint8_t());
    case 2:
      return is_signed ? as(int16_t()) : as(uint16_t());
    case 4:
      return is_signed ? as(int32_t()) : as(uint32_t());
    default:
      return is_signed ? as(int64_t()) : as(uint64_t());
  }
}

// Classes of 64 pixels, kIgnored, or kInvalid where the value is no class. False if all are 0, and
// then nothing is written.
bool read_classes(const Labels& labels, int64_t first, int64_t n, const SrlProblem& problem,
                  int32_t* to) {
  bool some = false;
  with_reader(labels, problem, [&](const auto& reader) {
    reader.with_chunk(first, n, [&](const auto* chunk) {
      std::remove_cv_t<std::remove_reference_t<decltype(*chunk)>> any = 0;
      for (int i = 0; i < kChunk; ++i) any |= chunk[i];
      some = any != 0 || (reader.ignoring && reader.ignored == 0);
      if (!some) return;
      for (int i = 0; i < kChunk; ++i) {
        using Unsigned = decltype(reader.limit);
        const int32_t label = Unsigned(chunk[i]) > reader.limit ? kInvalid : int32_t(chunk[i]);
        to[i] = reader.ignoring && chunk[i] == reader.ignored ? kIgnored : label;
      }
    });
  });
  return some;
}

// Whether a label in [first, last) is neither a class nor ignored.
bool has_invalid(const Labels& labels, int64_t first, int64_t last, const SrlProblem& problem) {
  bool invalid = false;
  with_reader(labels, problem, [&](const auto& reader) {
    using Unsigned = decltype(reader.limit);
    const auto* const values = reader.labels;
    const Unsigned limit = reader.limit;
    Unsigned bad = 0;  // as wide as the labels, so that lanes stay aligned
    if (reader.ignoring) {
      const auto ignored = reader.ignored;
      for (int64_t i = first; i < last; ++i)
        bad |= Unsigned(Unsigned(values[i]) > limit && values[i] != ignored);
    } else {
      for (int64_t i = first; i < last; ++i) bad |= Unsigned(Unsigned(values[i]) > limit);
    }
    invalid = bad != 0;
  });
  return invalid;
}

// Tube class of each pixel of a chunk, 0 where it is ignored. Returns whether any is not 0, and if
// none is may write nothing.
KERNEL bool read_tube(const SrlProblem& problem, int64_t first, int64_t n, int32_t* tube,
                      bool& invalid) {
  if (!read_classes(problem.tube, first, n, problem, tube)) return false;
  if (problem.target.data && problem.ignore_index) {
    int32_t target[kChunk] = {};
    read_classes(problem.target, first, n, problem, target);
    for (int i = 0; i < kChunk; ++i) tube[i] = target[i] == kIgnored ? kIgnored : tube[i];
  }
  int32_t any = 0;
  for (int i = 0; i < kChunk; ++i) any |= tube[i];
  if (any > 0) return true;
  // Some pixel is ignored or invalid, both negative.
  any = 0;
  for (int i = 0; i < kChunk; ++i) {
    invalid |= tube[i] == kInvalid;
    tube[i] = tube[i] < 0 ? 0 : tube[i];
    any |= tube[i];
  }
  return any != 0;
}

bool count_tube_pixels(const SrlProblem& problem, int64_t map, int64_t first, int64_t last,
                       int64_t* counts) {
  bool invalid = false;
  for (; first < last; first += kChunk) {
    int32_t tube[kChunk];
    const int64_t n = last - first < kChunk ? last - first : kChunk;
    if (!read_tube(problem, map * problem.pixels + first, n, tube, invalid)) continue;
    // One round for each distinct class, rarely more than one.
    for (;;) {
      int32_t label = 0, of_class = 0;
      for (int i = 0; i < kChunk; ++i) label = tube[i] > label ? tube[i] : label;
      if (label == 0) break;
      for (int i = 0; i < kChunk; ++i) {
        of_class += tube[i] == label;
        tube[i] = tube[i] == label ? 0 : tube[i];
      }
      counts[label] += of_class;
    }
  }
  return invalid;
}

// Probabilities of a chunk from its logits, in place: p[channels][64].
template <class Real>
KERNEL void softmax(Real* p, int64_t channels) {
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

template <class T, class Real>
KERNEL double srl_pixels_of(const SrlProblem& problem, int64_t map, int64_t first, int64_t last,
                            const double* weights, void* grad, void* scratch, bool& invalid) {
  const int64_t channels = problem.channels_of_map(), pixels = problem.pixels;
  const int64_t base = map * channels * pixels;
  const T* const logits = static_cast<const T*>(problem.logits) + base;
  T* const gradients = static_cast<T*>(grad) + (grad ? base : 0);
  Real* const p = static_cast<Real*>(scratch);  // [channels][64]
  if (problem.target.data)
    invalid |= has_invalid(problem.target, map * pixels + first, map * pixels + last, problem);
  // The logits of tube pixels lie scattered, so a chunk is fetched some chunks before its turn.
  struct {
    int32_t tube[kChunk];
    bool some;
  } ahead[kAhead];
  const auto look_at = [&](int64_t pixel) {
    auto& chunk = ahead[pixel / kChunk % kAhead];
    const int64_t n = last - pixel < kChunk ? last - pixel : kChunk;
    chunk.some = read_tube(problem, map * pixels + pixel, n, chunk.tube, invalid);
    for (int64_t c = 0; chunk.some && c < channels; ++c)
      for (int64_t i = 0; i < n; i += int64_t(64 / sizeof(T)))
        __builtin_prefetch(logits + c * pixels + pixel + i);
  };
  for (int64_t pixel = first; pixel < last && pixel < first + (kAhead - 1) * kChunk;
       pixel += kChunk)
    look_at(pixel);

  double total = 0;
  for (; first < last; first += kChunk) {
    const int64_t n = last - first < kChunk ? last - first : kChunk;
    if (first + (kAhead - 1) * kChunk < last) look_at(first + (kAhead - 1) * kChunk);
    const auto& [tube, some] = ahead[first / kChunk % kAhead];
    if (!some) {
      for (int64_t c = 0; grad && c < channels; ++c)
        __builtin_memset(static_cast<void*>(gradients + c * pixels + first), 0,
                         size_t(n) * sizeof(T));
      continue;
    }
    for (int64_t c = 0; c < channels; ++c)
      load_chunk(logits + c * pixels + first, n, p + c * kChunk);
    if (problem.softmax)
      softmax(p, channels);
    else
      for (int i = 0; i < kChunk; ++i) p[i] = Real(1) / (Real(1) + core::exponential(-p[i]));
    Real term[kChunk] = {};  // w_k s_k of the pixel's own class k, 0 off the tube
    for (int32_t k = 1; k < problem.classes(); ++k) {
      const Real weight = Real(weights[k]);
      const Real* const row = p + (problem.softmax ? k : 0) * kChunk;
      for (int i = 0; i < kChunk; ++i) term[i] = tube[i] == k ? weight * row[i] : term[i];
    }
    total += double(sum_of(term));
    if (!grad) continue;
    for (int64_t c = 0; c < channels; ++c) {
      const int32_t own = problem.softmax ? int32_t(c) : 1;
      Real* const row = p + c * kChunk;
      // Off the tube term is 0, and 0 times the probability stays NaN where the logits are.
      for (int i = 0; i < kChunk; ++i)
        row[i] = tube[i] ? term[i] * ((tube[i] == own ? Real(1) : Real(0)) - row[i]) : Real(0);
      store_chunk(row, n, gradients + c * pixels + first);
    }
  }
  return total;
}

double srl_pixels(const SrlProblem& problem, int64_t map, int64_t first, int64_t last,
                  const double* weights, void* grad, void* scratch, bool& invalid) {
  switch (problem.logit_type) {
    case LogitType::kFloat64:
      return srl_pixels_of<double, double>(problem, map, first, last, weights, grad, scratch,
                                           invalid);
    case LogitType::kFloat16:
      return srl_pixels_of<_Float16, float>(problem, map, first, last, weights, grad, scratch,
                                            invalid);
    case LogitType::kBFloat16:
      return srl_pixels_of<BFloat16, float>(problem, map, first, last, weights, grad, scratch,
                                            invalid);
    default:
      return srl_pixels_of<float, float>(problem, map, first, last, weights, grad, scratch,
                                         invalid);
  }
}

#undef KERNEL

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
