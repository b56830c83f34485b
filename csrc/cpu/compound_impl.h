// Dice + cross-entropy + skeleton recall on labels and logits of any type; included by
// kernels_*.cpp after elements_impl.h.
//
// A chunk of pixels is worked on at a time, all its channels in the first-level cache. Lanes of a
// vector are consecutive pixels, so the softmax needs no shuffles. A chunk holds few classes, and
// what a pixel does to its own class is looked at for these only.

#include "../core/compound.h"

namespace tubeskel::cpu::TUBESKEL_TARGET {

#define KERNEL inline __attribute__((always_inline))

template <class Real>
struct VectorOf {
  typedef Real type __attribute__((vector_size(TUBESKEL_VECTOR_BYTES)));
  static constexpr int kLanes = TUBESKEL_VECTOR_BYTES / sizeof(Real);
};

template <class Vector, class Real>
KERNEL Vector load_vector(const Real* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class Vector, class Real>
KERNEL void store_vector(Real* p, const Vector& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// Labels and logits this many pixels further on are sent for: the hardware's prefetchers stop at
// each page. They come to the second-level cache; in the first, channels that lie a power of two
// apart would displace each other.
constexpr int64_t kPixelsAhead = 512;

template <class T>
KERNEL void prefetch(const T* p) {
  for (int i = 0; i < kPixelsAtOnce; i += int(64 / sizeof(T))) __builtin_prefetch(p + i, 0, 2);
}

// Which classes a chunk may hold: bit c % 32 stands for class c.
using ClassSet = uint32_t;
KERNEL bool may_hold(ClassSet set, int64_t c) {
  return set >> (c & 31) & 1;
}

template <class Real>
struct ChunkLabels {
  alignas(64) Real classes[kPixelsAtOnce];  // -1 where ignored
  ClassSet held = 0;
  bool ignored = false, invalid = false;  // whether a label is

  // Not inline: it is long, for all types of labels.
  __attribute__((noinline)) void load(const Labels& source, const CompoundProblem& problem,
                                      int64_t first, int64_t n) {
    with_labels(source, problem.ignore_index, [&](auto* all, auto off, bool ignoring) {
      using T = decltype(off);
      using Unsigned = std::make_unsigned_t<T>;
      const T* const labels = all + first;
      const Unsigned limit = largest_class<T>(problem.num_classes());
      prefetch(labels + kPixelsAhead);
      const auto convert = [&](auto size) {
        ClassSet set = 0, none = 0;
        Unsigned bad = 0;  // as wide as the labels, so that lanes stay aligned
        for (int64_t i = 0; i < size; ++i) {
          const bool is_off = ignoring && labels[i] == off;
          bad |= Unsigned(Unsigned(labels[i]) > limit && !is_off);
          classes[i] = is_off ? Real(-1) : Real(int32_t(labels[i]));
          set |= is_off ? 0u : 1u << (uint32_t(labels[i]) & 31);
          none |= is_off;
        }
        held = set;
        ignored = none != 0;
        invalid = bad != 0;
      };
      if (n == kPixelsAtOnce) return convert(std::integral_constant<int64_t, kPixelsAtOnce>());
      convert(n);
      for (int64_t i = n; i < kPixelsAtOnce; ++i) classes[i] = Real(-1);
      ignored = true;
    });
  }
};

// What both passes know of a chunk of pixels of a map; rows are its channels.
template <class T, class Real>
struct Chunk {
  using Vector = typename VectorOf<Real>::type;
  static constexpr int kLanes = VectorOf<Real>::kLanes;

  const CompoundProblem& problem;
  const int64_t channels;
  Real *const z, *const e;  // [channels][kPixelsAtOnce]: logits, gradients; exponentials
  ChunkLabels<Real> target, tube;

  KERNEL Chunk(const CompoundProblem& problem, void* scratch)
      : problem(problem),
        channels(problem.channels_of_map()),
        z(static_cast<Real*>(scratch)),
        e(z + channels * kPixelsAtOnce) {
    for (Real& label : tube.classes) label = Real(-1);
  }

  // Whatever lies behind the two rows of each channel.
  template <class U>
  KERNEL U* behind() const {
    return reinterpret_cast<U*>(e + channels * kPixelsAtOnce);
  }

  // Returns whether the labels are valid. Ignored pixels get the logits 0.
  KERNEL bool load(int64_t map, int64_t first, int64_t n) {
    const int64_t pixels = problem.pixels;
    const T* const logits = static_cast<const T*>(problem.logits) + map * channels * pixels + first;
    for (int64_t c = 0; c < channels; ++c) prefetch(logits + c * pixels + kPixelsAhead);
    target.load(problem.target, problem, map * pixels + first, n);
    if (problem.tube.data) tube.load(problem.tube, problem, map * pixels + first, n);
    if (!used_in_place(logits, n)) copy(logits, n);
    return !target.invalid && !tube.invalid;
  }

  KERNEL Vector logits(int64_t c, int i) const {
    return load_vector<Vector>(source + c * stride + i);
  }
  KERNEL Vector exponentials(int64_t c, int i) const { return load_vector<Vector>(e + row(c) + i); }
  KERNEL auto valid(int i) const { return load_vector<Vector>(target.classes + i) >= Vector{}; }
  KERNEL auto in_target(int64_t c, int i) const {
    return load_vector<Vector>(target.classes + i) == core::splat<Vector>(Real(c));
  }
  KERNEL auto on_tube(int64_t c, int i) const {
    return load_vector<Vector>(tube.classes + i) == core::splat<Vector>(Real(c));
  }

  // Of `kLanes` pixels: writes e, less the largest logit, and returns this and the sum of e. Calls
  // also(c, e) for each channel.
  struct Softmax {
    Vector largest, sum;
  };
  template <class Also>
  KERNEL Softmax exponentiate(int i, const Also& also) const {
    const auto store = [&](int64_t c, const Vector& power) {
      store_vector(e + row(c) + i, power);
      also(c, power);
    };
    if (channels == 2) {  // one exponential instead of two
      const Vector one = core::splat<Vector>(1), a = logits(0, i), b = logits(1, i);
      const Vector small = core::small_exponential(-core::absolute(a - b));
      store(0, a > b ? one : small);
      store(1, a > b ? small : one);
      return {a > b ? a : b, one + small};
    }
    Vector largest = logits(0, i), sum{};
    for (int64_t c = 1; c < channels; ++c)
      largest = largest > logits(c, i) ? largest : logits(c, i);
    for (int64_t c = 0; c < channels; ++c) {
      const Vector power = core::small_exponential(logits(c, i) - largest);
      store(c, power);
      sum += power;
    }
    return {largest, sum};
  }

 private:
  const Real* source;  // the logits, a channel each `stride`
  int64_t stride;

  static int64_t row(int64_t c) { return c * kPixelsAtOnce; }

  KERNEL bool used_in_place(const T* logits, int64_t n) {
    if constexpr (std::is_same_v<T, Real>) {
      source = logits;
      stride = problem.pixels;
      return n == kPixelsAtOnce && !target.ignored;
    }
    return false;
  }

  KERNEL void copy(const T* logits, int64_t n) {
    source = z;
    stride = kPixelsAtOnce;
    for (int64_t c = 0; c < channels; ++c) {
      const T* const from = logits + c * problem.pixels;
      Real* const own = z + row(c);
      if (n == kPixelsAtOnce)
        for (int i = 0; i < kPixelsAtOnce; ++i) own[i] = to_real(from[i]);
      else
        for (int i = 0; i < n; ++i) own[i] = to_real(from[i]);
    }
    for (int i = 0; target.ignored && i < kPixelsAtOnce; ++i) {
      if (target.classes[i] >= 0) continue;
      tube.classes[i] = Real(-1);
      for (int64_t c = 0; c < channels; ++c) z[row(c) + i] = Real(0);
    }
  }
};

// s and q = 1 - s of logits z, and 1 + exp(-|z|).
template <class Vector>
struct Sigmoid {
  Vector s, q, sum;
  KERNEL explicit Sigmoid(const Vector& z) {
    const Vector one = core::splat<Vector>(1), zero{};
    const Vector small = core::small_exponential(-core::absolute(z));
    sum = one + small;
    const Vector larger = one / sum, smaller = small * larger;
    s = z < zero ? smaller : larger;
    q = z < zero ? larger : smaller;
  }
};

template <class T, class Real>
KERNEL void add_sigmoid_chunk(const Chunk<T, Real>& chunk, typename Chunk<T, Real>::Vector* sums) {
  using Vector = typename Chunk<T, Real>::Vector;
  for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
    const Vector z = chunk.logits(0, i);
    const Sigmoid<Vector> sigmoid(z);
    core::add_sigmoid(sums, z, sigmoid.s, core::logarithm(sigmoid.sum), chunk.valid(i),
                      chunk.in_target(1, i), chunk.on_tube(1, i), chunk.problem.log_recall);
  }
}

template <class T, class Real>
KERNEL void add_softmax_chunk(const Chunk<T, Real>& chunk, typename Chunk<T, Real>::Vector* sums) {
  using Vector = typename Chunk<T, Real>::Vector;
  const CompoundProblem& problem = chunk.problem;
  alignas(64) Real largest[kPixelsAtOnce], sum[kPixelsAtOnce];
  alignas(64) Real inverse[kPixelsAtOnce], log_sum[kPixelsAtOnce];  // of the sum; ignored: s = 0
  for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
    const auto softmax = chunk.exponentiate(i, [](int64_t, const Vector&) {});
    store_vector(largest + i, softmax.largest);
    store_vector(sum + i, softmax.sum);
  }
  for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
    const Vector own = load_vector<Vector>(sum + i), share = core::splat<Vector>(1) / own;
    store_vector(inverse + i, chunk.valid(i) ? share : Vector{});
    store_vector(log_sum + i, core::logarithm(own));
  }
  for (int64_t c = 0; c < chunk.channels; ++c, sums += core::kSums) {
    const auto s = [&](int i) {
      return chunk.exponentials(c, i) * load_vector<Vector>(inverse + i);
    };
    const auto minus_log_s = [&](int i) {
      return load_vector<Vector>(log_sum + i) -
             (chunk.logits(c, i) - load_vector<Vector>(largest + i));
    };
    Vector local[core::kSums] = {};
    for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) core::add_pixel(local, s(i));
    if (may_hold(chunk.target.held, c))
      for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
        core::add_target(local, s(i), chunk.in_target(c, i));
        core::add_cross_entropy(local, minus_log_s(i), chunk.in_target(c, i));
      }
    if (c > 0 && may_hold(chunk.tube.held, c))
      for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes)
        core::add_tube(local, s(i), minus_log_s(i), chunk.on_tube(c, i), problem.log_recall);
    if (problem.smoothing)
      for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes)
        core::add_smoothing(local, minus_log_s(i), chunk.valid(i));
    for (int j = 0; j < core::kSums; ++j) sums[j] += local[j];
  }
}

template <class T, class Real>
KERNEL bool compound_sums_of(const CompoundProblem& problem, int64_t map, int64_t first,
                             int64_t size, double* sums, void* scratch) {
  using Vector = typename Chunk<T, Real>::Vector;
  Chunk<T, Real> chunk(problem, scratch);
  Vector* const lanes = chunk.template behind<Vector>();  // [channels][kSums]
  for (int64_t i = 0; i < chunk.channels * core::kSums; ++i) lanes[i] = Vector{};
  for (int64_t from = 0; from < size; from += kPixelsAtOnce) {
    const int64_t n = size - from < kPixelsAtOnce ? size - from : kPixelsAtOnce;
    if (!chunk.load(map, first + from, n)) return false;
    if (problem.softmax)
      add_softmax_chunk(chunk, lanes);
    else
      add_sigmoid_chunk(chunk, lanes);
  }
  for (int64_t i = 0; i < chunk.channels * core::kSums; ++i)
    for (int lane = 0; lane < chunk.kLanes; ++lane) sums[i] += double(lanes[i][lane]);
  return true;
}

// The gradient of a chunk in place of its logits.
template <class T, class Real>
KERNEL void softmax_gradient(Chunk<T, Real>& chunk, const Real* g) {
  using Vector = typename Chunk<T, Real>::Vector;
  const bool log_recall = chunk.problem.log_recall;
  alignas(64) Real inverse[kPixelsAtOnce], mean[kPixelsAtOnce];
  const auto s = [&](int64_t c, int i) {
    return chunk.exponentials(c, i) * load_vector<Vector>(inverse + i);
  };
  Real constant = 0;
  for (int64_t c = 0; c < chunk.channels; ++c) constant += core::mean_constant(g + c * core::kSums);
  for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
    Vector sum{};
    const auto add = [&](int64_t c, const Vector& power) {
      sum += core::mean_part(g + c * core::kSums, power);
    };
    const Vector share = core::splat<Vector>(1) / chunk.exponentiate(i, add).sum;
    store_vector(inverse + i, share);
    store_vector(mean + i, sum * share + constant);
  }
  // What the pixels' own classes have extra enters the mean first, then their gradients.
  const auto own_parts = [&](int64_t c, const auto& use) {
    const Real* const own = g + c * core::kSums;
    if (may_hold(chunk.target.held, c))
      for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes)
        use(i, chunk.in_target(c, i) ? core::target_part(own, s(c, i)) : Vector{});
    if (c > 0 && may_hold(chunk.tube.held, c))
      for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes)
        use(i, chunk.on_tube(c, i) ? core::tube_part(own, s(c, i), log_recall) : Vector{});
  };
  const auto add_to = [](Real* p, const Vector& v) { store_vector(p, load_vector<Vector>(p) + v); };
  for (int64_t c = 0; c < chunk.channels; ++c)
    own_parts(c, [&](int i, const Vector& part) { add_to(mean + i, part); });
  for (int64_t c = 0; c < chunk.channels; ++c) {
    Real* const row = chunk.z + c * kPixelsAtOnce;
    for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes)
      store_vector(row + i, core::logit_gradient(g + c * core::kSums, s(c, i),
                                                 load_vector<Vector>(mean + i)));
    own_parts(c, [&](int i, const Vector& part) { add_to(row + i, part); });
  }
}

template <class T, class Real>
KERNEL void sigmoid_gradient(Chunk<T, Real>& chunk, const Real* g) {
  using Vector = typename Chunk<T, Real>::Vector;
  for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
    const Sigmoid<Vector> sigmoid(chunk.logits(0, i));
    store_vector(chunk.z + i,
                 core::sigmoid_gradient(g, sigmoid.s, sigmoid.q, chunk.in_target(1, i),
                                        chunk.on_tube(1, i), chunk.problem.log_recall));
  }
}

// The first n of a chunk's row to memory.
template <class T, class Real>
KERNEL void store_row(const Real* row, int64_t n, T* out, bool past_caches) {
  if (n < kPixelsAtOnce) {
    for (int i = 0; i < n; ++i) out[i] = from_real<T>(row[i]);
    return;
  }
  alignas(64) T rounded[kPixelsAtOnce];
  for (int i = 0; i < kPixelsAtOnce; ++i) rounded[i] = from_real<T>(row[i]);
  if (past_caches && reinterpret_cast<uintptr_t>(out) % TUBESKEL_VECTOR_BYTES == 0)
    stream(out, rounded, sizeof rounded);
  else
    __builtin_memcpy(out, rounded, sizeof rounded);
}

template <class T, class Real>
KERNEL void compound_gradient_of(const CompoundProblem& problem, int64_t map, int64_t first,
                                 int64_t size, const double* derivatives, void* grad,
                                 bool past_caches, void* scratch) {
  Chunk<T, Real> chunk(problem, scratch);
  Real* const g = chunk.template behind<Real>();  // [channels][kSums]
  for (int64_t i = 0; i < chunk.channels * core::kSums; ++i) g[i] = Real(derivatives[i]);
  T* const gradients = static_cast<T*>(grad) + map * chunk.channels * problem.pixels + first;
  for (int64_t from = 0; from < size; from += kPixelsAtOnce) {
    const int64_t n = size - from < kPixelsAtOnce ? size - from : kPixelsAtOnce;
    chunk.load(map, first + from, n);
    if (problem.softmax)
      softmax_gradient(chunk, g);
    else
      sigmoid_gradient(chunk, g);
    for (int64_t c = 0; c < chunk.channels; ++c) {
      Real* const row = chunk.z + c * kPixelsAtOnce;
      for (int i = 0; chunk.target.ignored && i < n; ++i)
        row[i] = chunk.target.classes[i] >= 0 ? row[i] : Real(0);
      store_row(row, n, gradients + c * problem.pixels + from, past_caches);
    }
  }
  if (past_caches) finish_streams();
}

bool compound_sums_tile(const CompoundProblem& problem, int64_t map, int64_t first, int64_t n,
                        double* sums, void* scratch) {
  return with_logits(problem.logit_type, [&](auto logit, auto real) {
    return compound_sums_of<decltype(logit), decltype(real)>(problem, map, first, n, sums, scratch);
  });
}

void compound_gradient_tile(const CompoundProblem& problem, int64_t map, int64_t first, int64_t n,
                            const double* derivatives, void* grad, bool past_caches,
                            void* scratch) {
  with_logits(problem.logit_type, [&](auto logit, auto real) {
    compound_gradient_of<decltype(logit), decltype(real)>(problem, map, first, n, derivatives, grad,
                                                          past_caches, scratch);
  });
}

template <class T, class Real>
KERNEL bool probabilities_of(const CompoundProblem& problem, int64_t map, int64_t first,
                             int64_t size, Real* probabilities, void* scratch) {
  using Vector = typename Chunk<T, Real>::Vector;
  Chunk<T, Real> chunk(problem, scratch);
  Real* const out = probabilities + map * chunk.channels * problem.pixels + first;
  for (int64_t from = 0; from < size; from += kPixelsAtOnce) {
    const int64_t n = size - from < kPixelsAtOnce ? size - from : kPixelsAtOnce;
    if (!chunk.load(map, first + from, n)) return false;
    for (int i = 0; i < kPixelsAtOnce; i += chunk.kLanes) {
      const auto store = [&](int64_t c, const Vector& s) {
        store_vector(chunk.z + c * kPixelsAtOnce + i, chunk.valid(i) ? s : Vector{});
      };
      if (problem.softmax) {
        const Vector sum = chunk.exponentiate(i, [](int64_t, const Vector&) {}).sum;
        const Vector share = core::splat<Vector>(1) / sum;
        for (int64_t c = 0; c < chunk.channels; ++c) store(c, chunk.exponentials(c, i) * share);
      } else {
        store(0, Sigmoid<Vector>(chunk.logits(0, i)).s);
      }
    }
    for (int64_t c = 0; c < chunk.channels; ++c)
      store_row(chunk.z + c * kPixelsAtOnce, n, out + c * problem.pixels + from, false);
  }
  return true;
}

bool probabilities_tile(const CompoundProblem& problem, int64_t map, int64_t first, int64_t n,
                        void* probabilities, void* scratch) {
  return with_logits(problem.logit_type, [&](auto logit, auto real) {
    using Real = decltype(real);
    return probabilities_of<decltype(logit)>(problem, map, first, n,
                                             static_cast<Real*>(probabilities), scratch);
  });
}

#undef KERNEL

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
