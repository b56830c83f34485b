// The pipeline of soft_cldice.h; included by kernels_*.cpp after elements_impl.h. Slices are
// counted from the first one of the halo.

#include "../core/soft_skeleton.h"

namespace tubeskel::cpu::TUBESKEL_TARGET {

#define KERNEL inline __attribute__((always_inline))

// Loops are over rows of different memory, more than the compiler would compare (ivdep), and up to
// a bound of their own: a store of bytes might change any other.

// Memory for the stages; without any it counts what they need.
struct Arena {
  char* base;
  int64_t used = 0;

  // Room for `count` elements, of which the first `before` lie in front of the result.
  template <class T>
  KERNEL T* take(int64_t count, int64_t before = 0) {
    T* const taken = base ? reinterpret_cast<T*>(base + used) + before : nullptr;
    used += (count * int64_t(sizeof(T)) + 63) / 64 * 64;
    return taken;
  }
};

// The last slices of a stage.
template <class T>
struct Ring {
  T* data;
  int64_t slices, size;

  KERNEL T* operator[](int64_t slice) const { return data + slice % slices * size; }
};

KERNEL int64_t clipped(int64_t i, int64_t size) {
  return i < 0 ? 0 : i < size ? i : size - 1;
}

// A row and its neighbours along slices and rows; at the border of the image, the row itself.
template <class T>
struct Cross {
  const T *above, *north, *centre, *south, *below;
};

template <class T>
struct Windows {
  T slices, rows, columns;
};

// The least of each window of the cross; kDims 2 has none along rows.
template <int kDims, class T>
KERNEL Windows<T> least_of_windows(const Cross<T>& p, int64_t x) {
  const T c = p.centre[x];
  return {core::least(p.above[x], c, p.below[x]),
          kDims == 3 ? core::least(p.north[x], c, p.south[x]) : c,
          core::least(p.centre[x - 1], c, p.centre[x + 1])};
}

// The erosions of one band and the dilations that undo them, over a few slices at a time.
template <class T, int kDims>
struct Chain {
  int64_t stages, slices, rows, columns, pitch;
  Ring<T>* eroded;   // [stages + 1] of rows with their ends repeated on either side
  Ring<T>* widened;  // [stages + 1], greatest of the box within a slice; the first is not used
  T* column_maxima;  // a slice

  KERNEL Chain(const SoftCldiceProblem& problem, const SoftCldiceTask& task, bool gradient,
               Arena& arena)
      : stages(problem.iterations + 1),
        slices(task.end - task.begin),
        rows(problem.rows),
        columns(problem.columns),
        pitch((columns + 2 + 15) / 16 * 16) {
    eroded = arena.template take<Ring<T>>(stages + 1);
    widened = arena.template take<Ring<T>>(stages + 1);
    for (int64_t j = 0; j <= stages; ++j) {
      // Made when slice s + j arrives, last read with s + 2 stages + 2 - j, or + stages + 1.
      const int64_t kept = gradient ? 2 * (stages - j) + 3 : stages - j + 2;
      const Ring<T> own = ring(kept < 3 ? 3 : kept, arena), wide = ring(j ? 3 : 0, arena);
      if (!arena.base) continue;
      eroded[j] = own;
      widened[j] = wide;
    }
    column_maxima = arena.template take<T>(kDims == 3 ? rows * pitch : 0);
  }

  KERNEL Ring<T> ring(int64_t kept, Arena& arena) const {
    kept = kept < slices ? kept : slices;
    return {arena.template take<T>(kept * rows * pitch, 1), kept, rows * pitch};
  }

  KERNEL bool has(int64_t slice) const { return slice >= 0 && slice < slices; }

  KERNEL Cross<T> cross(const Ring<T>& from, int64_t slice, int64_t row) const {
    const T* const p = from[slice];
    return {from[clipped(slice - 1, slices)] + row * pitch, p + clipped(row - 1, rows) * pitch,
            p + row * pitch, p + clipped(row + 1, rows) * pitch,
            from[clipped(slice + 1, slices)] + row * pitch};
  }

  KERNEL void repeat_ends(T* row) const {
    row[-1] = row[0];
    row[columns] = row[columns - 1];
  }

  // Slice `arrived` has been put into eroded[0], if there is one of that number. Makes what has
  // waited for it: a slice of each erosion, and slice arrived - stages of the dilations.
  KERNEL void advance(int64_t arrived) {
    for (int64_t j = 1; j <= stages; ++j)
      if (has(arrived - j)) erode(eroded[j - 1], arrived - j, eroded[j]);
    const int64_t slice = arrived - stages;
    if (!has(slice)) return;
    for (int64_t j = 1; j <= stages; ++j) widen(eroded[j][slice], widened[j][slice]);
  }

  KERNEL void erode(const Ring<T>& from, int64_t slice, const Ring<T>& to) const {
    const int64_t n = columns;
    for (int64_t row = 0; row < rows; ++row) {
      const Cross<T> p = cross(from, slice, row);
      T* const __restrict out = to[slice] + row * pitch;
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) {
        const Windows<T> w = least_of_windows<kDims>(p, x);
        out[x] = core::least(w.slices, w.rows, w.columns);
      }
      repeat_ends(out);
    }
  }

  KERNEL void widen_columns(const T* from, T* to) const {
    const int64_t n = columns;
    for (int64_t row = 0; row < rows; ++row) {
      const T* const p = from + row * pitch;
      T* const __restrict out = to + row * pitch;
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) out[x] = core::greatest(p[x - 1], p[x], p[x + 1]);
    }
  }

  KERNEL void widen(const T* from, T* to) const {
    const int64_t n = columns;
    if (kDims == 2) return widen_columns(from, to);
    widen_columns(from, column_maxima);
    for (int64_t row = 0; row < rows; ++row) {
      const T* const p = column_maxima + row * pitch;
      const T* const north = column_maxima + clipped(row - 1, rows) * pitch;
      const T* const south = column_maxima + clipped(row + 1, rows) * pitch;
      T* const __restrict out = to + row * pitch;
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) out[x] = core::greatest(north[x], p[x], south[x]);
    }
  }

  // Rows of d_j, where the dilations of the slices around are there.
  KERNEL void find(int64_t j, int64_t slice, int64_t row, T* __restrict found) const {
    const int64_t n = columns;
    const T* const e = eroded[j][slice] + row * pitch;
    const Cross<T> p = cross(widened[j + 1], slice, row);
#pragma GCC ivdep
    for (int64_t x = 0; x < n; ++x)
      found[x] = core::excess(e[x], core::greatest(p.above[x], p.centre[x], p.below[x]));
  }

  KERNEL void skeleton_row(int64_t slice, int64_t row, T* found, T* __restrict skeleton) const {
    const int64_t n = columns;
    find(0, slice, row, skeleton);
    for (int64_t j = 1; j < stages; ++j) {
      find(j, slice, row, found);
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) skeleton[x] = core::join(skeleton[x], found[x]);
    }
  }
};

// Which of n labels from `first` on are of a class. Not inline: it is long, for all types of
// labels.
__attribute__((noinline)) inline void mask_of(const SoftCldiceProblem& problem, int64_t wanted,
                                              int64_t first, int64_t n, uint8_t* __restrict out) {
  with_labels(problem.target, problem.ignore_index, [&](auto* all, auto ignored, bool ignoring) {
    using T = decltype(ignored);
    const T* const labels = all + first;
    const T own = T(wanted);
    if (int64_t(own) != wanted || (ignoring && own == ignored))
      __builtin_memset(out, 0, size_t(n));
    else
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) out[x] = labels[x] == own;
  });
}

// The chains of the probabilities and of the mask of a class, side by side.
template <class T, int kDims>
struct Pair {
  const SoftCldiceProblem& problem;
  const SoftCldiceTask& task;
  Chain<T, kDims> prediction;
  Chain<uint8_t, kDims> mask;
  T *found, *skeleton;
  uint8_t *mask_found, *mask_skeleton, *mask_row;

  KERNEL Pair(const SoftCldiceProblem& p, const SoftCldiceTask& t, bool gradient, Arena& arena)
      : problem(p), task(t), prediction(p, t, gradient, arena), mask(p, t, false, arena) {
    found = arena.template take<T>(p.columns);
    skeleton = arena.template take<T>(p.columns);
    mask_found = arena.template take<uint8_t>(p.columns);
    mask_skeleton = arena.template take<uint8_t>(p.columns);
    mask_row = arena.template take<uint8_t>(p.columns);
  }

  // Index of a row in the map of a channel or of classes.
  KERNEL int64_t at(int64_t map, int64_t slice, int64_t row) const {
    return ((map * problem.slices + task.begin + slice) * problem.rows + row) * problem.columns;
  }

  KERNEL int64_t row_of_channel(int64_t slice, int64_t row) const {
    return at(task.sample * problem.channels + task.channel, slice, row);
  }

  KERNEL void read_mask(int64_t slice, int64_t row, uint8_t* out) const {
    const int64_t own = task.sample * problem.channels + task.channel;
    const int64_t first = at(problem.softmax ? task.sample : own, slice, row);
    mask_of(problem, problem.softmax ? task.channel : 1, first, problem.columns, out);
  }

  KERNEL void advance(int64_t arrived) {
    if (prediction.has(arrived)) {
      for (int64_t row = 0; row < problem.rows; ++row) {
        T* const out = prediction.eroded[0][arrived] + row * prediction.pitch;
        __builtin_memcpy(
            out, static_cast<const T*>(problem.probabilities) + row_of_channel(arrived, row),
            size_t(problem.columns) * sizeof(T));
        prediction.repeat_ends(out);
        uint8_t* const labels = mask.eroded[0][arrived] + row * mask.pitch;
        read_mask(arrived, row, labels);
        mask.repeat_ends(labels);
      }
    }
    prediction.advance(arrived);
    mask.advance(arrived);
  }

  KERNEL int64_t delay() const { return prediction.stages + 1; }  // of skeletons

  KERNEL void sum_row(int64_t slice, int64_t row, double* sums) {
    constexpr int kLanesOfSums = 16;
    T part[kCldiceSums][kLanesOfSums] = {};
    prediction.skeleton_row(slice, row, found, skeleton);
    mask.skeleton_row(slice, row, mask_found, mask_skeleton);
    const T* const p = prediction.eroded[0][slice] + row * prediction.pitch;
    const uint8_t* const y = mask.eroded[0][slice] + row * mask.pitch;
    const auto add = [&](int64_t x, int64_t lane) {
      part[0][lane] += skeleton[x] * T(y[x]);
      part[1][lane] += skeleton[x];
      part[2][lane] += T(mask_skeleton[x]) * p[x];
      part[3][lane] += T(mask_skeleton[x]);
    };
    int64_t x = 0;
    for (; x + kLanesOfSums <= problem.columns; x += kLanesOfSums)
      for (int lane = 0; lane < kLanesOfSums; ++lane) add(x + lane, lane);
    for (int lane = 0; x + lane < problem.columns; ++lane) add(x + lane, lane);
    for (int i = 0; i < kCldiceSums; ++i)
      for (int lane = 0; lane < kLanesOfSums; ++lane) sums[i] += double(part[i][lane]);
  }
};

// The way back: gradients by each erosion, and by the dilations within slices.
template <class T, int kDims>
struct Gradient {
  Pair<T, kDims> pair;
  Chain<T, kDims>& chain;
  Ring<T>* by_eroded;   // [stages + 1]
  Ring<T>* by_widened;  // [stages + 1]; the first is not used
  T* prefix;            // [stages] rows: s_j
  T* passed;            // a row: what s_j gets
  T* shares[7];         // rows with an end on either side
  T* by_maxima;         // a slice

  KERNEL Gradient(const SoftCldiceProblem& problem, const SoftCldiceTask& task, Arena& arena)
      : pair(problem, task, true, arena), chain(pair.prediction) {
    by_eroded = arena.template take<Ring<T>>(chain.stages + 1);
    by_widened = arena.template take<Ring<T>>(chain.stages + 1);
    for (int64_t j = 0; j <= chain.stages; ++j) {
      // Made with slice s + stages + 1, last read with s + 2 stages + 2 - j.
      const Ring<T> own = chain.ring(chain.stages + 2 - j, arena);
      const Ring<T> wide = chain.ring(j ? 3 : 0, arena);
      if (!arena.base) continue;
      by_eroded[j] = own;
      by_widened[j] = wide;
    }
    prefix = arena.template take<T>(chain.stages * chain.pitch);
    passed = arena.template take<T>(chain.pitch);
    for (T*& row : shares) row = arena.template take<T>(chain.pitch, 1);
    by_maxima = arena.template take<T>(kDims == 3 ? chain.rows * chain.pitch : 0);
  }

  KERNEL void clear(T* slice) const {
    for (int64_t row = 0; row < chain.rows; ++row)
      __builtin_memset(slice + row * chain.pitch, 0, size_t(chain.columns) * sizeof(T));
  }

  KERNEL void add(const T* from, T* to) const {
    const int64_t n = chain.columns;
#pragma GCC ivdep
    for (int64_t x = 0; x < n; ++x) to[x] += from[x];
  }

  // Adds what the elements x - 1, x, x + 1 got from the windows around x; repeated ends are theirs
  // whose repetitions they are.
  KERNEL void add_windows(T* west, const T* centre, T* east, T* __restrict to) const {
    const int64_t n = chain.columns;
    west[n] = east[-1] = T(0);
#pragma GCC ivdep
    for (int64_t x = 0; x < n; ++x) to[x] += (centre[x] + west[x + 1]) + east[x - 1];
    to[0] += west[0];
  }

  // Derivatives by d_j of a row, and from there by e_j and the dilation of e_{j+1}.
  KERNEL void start_row(int64_t slice, int64_t row, const T* derivatives) {
    const int64_t pitch = chain.pitch, n = chain.columns;
    const auto own = [&](int64_t j) { return by_eroded[j][slice] + row * pitch; };
    for (int64_t j = 0; j < chain.stages; ++j) {
      chain.find(j, slice, row, own(j));
      const T *const found = own(j), *const before = prefix + (j - 1) * pitch;
      T* const __restrict s = prefix + j * pitch;
      if (j == 0)
#pragma GCC ivdep
        for (int64_t x = 0; x < n; ++x) s[x] = found[x];
      else
#pragma GCC ivdep
        for (int64_t x = 0; x < n; ++x) s[x] = core::join(before[x], found[x]);
    }
    pair.read_mask(slice, row, pair.mask_row);
    pair.mask.skeleton_row(slice, row, pair.mask_found, pair.mask_skeleton);
#pragma GCC ivdep
    for (int64_t x = 0; x < n; ++x)
      passed[x] = derivatives[0] * T(pair.mask_row[x]) + derivatives[1];

    for (int64_t j = chain.stages - 1; j >= 0; --j) {
      T* const __restrict g = own(j);  // d_j, which becomes the derivative by it
      const T* const before = prefix + (j - 1) * pitch;
      if (j > 0) {
#pragma GCC ivdep
        for (int64_t x = 0; x < n; ++x) {
          const core::JoinDerivatives<T> d = core::join_derivatives(before[x], g[x]);
          g[x] = passed[x] * d.found;
          passed[x] *= d.skeleton;
        }
      } else {
#pragma GCC ivdep
        for (int64_t x = 0; x < n; ++x) g[x] = g[x] > T(0) ? passed[x] : T(0);
      }
      const Cross<T> p = chain.cross(chain.widened[j + 1], slice, row);
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) {
        const T opened = core::greatest(p.above[x], p.centre[x], p.below[x]);
        const core::Shares<T> share = core::first_of(p.above[x], p.centre[x], opened, -g[x]);
        shares[0][x] = share.first;
        shares[1][x] = share.second;
        shares[2][x] = share.third;
      }
      for (int64_t i = 0; i < 3; ++i)
        add(shares[i], by_widened[j + 1][clipped(slice + i - 1, chain.slices)] + row * pitch);
    }
    const T direct = derivatives[2];
    T* const __restrict g = own(0);
#pragma GCC ivdep
    for (int64_t x = 0; x < n; ++x) g[x] += direct * T(pair.mask_skeleton[x]);
    __builtin_memset(own(chain.stages), 0, size_t(n) * sizeof(T));
  }

  // From the dilation of e_j within a slice to e_j.
  KERNEL void undo_widen(int64_t j, int64_t slice) {
    const int64_t n = chain.columns;
    const int64_t pitch = chain.pitch;
    const T* maxima = chain.widened[j][slice];
    const T* by = by_widened[j][slice];
    if (kDims == 3) {
      chain.widen_columns(chain.eroded[j][slice], chain.column_maxima);
      clear(by_maxima);
      for (int64_t row = 0; row < chain.rows; ++row) {
        const int64_t north = clipped(row - 1, chain.rows), south = clipped(row + 1, chain.rows);
        const T* const a = chain.column_maxima + north * pitch;
        const T* const b = chain.column_maxima + row * pitch;
        const T *const m = maxima + row * pitch, *const g = by + row * pitch;
#pragma GCC ivdep
        for (int64_t x = 0; x < n; ++x) {
          const core::Shares<T> share = core::first_of(a[x], b[x], m[x], g[x]);
          shares[0][x] = share.first;
          shares[1][x] = share.second;
          shares[2][x] = share.third;
        }
        add(shares[0], by_maxima + north * pitch);
        add(shares[1], by_maxima + row * pitch);
        add(shares[2], by_maxima + south * pitch);
      }
      maxima = chain.column_maxima;
      by = by_maxima;
    }
    for (int64_t row = 0; row < chain.rows; ++row) {
      const T* const p = chain.eroded[j][slice] + row * pitch;
      const T *const m = maxima + row * pitch, *const g = by + row * pitch;
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) {
        const core::Shares<T> share = core::first_of(p[x - 1], p[x], m[x], g[x]);
        shares[0][x] = share.first;
        shares[1][x] = share.second;
        shares[2][x] = share.third;
      }
      add_windows(shares[0], shares[1], shares[2], by_eroded[j][slice] + row * pitch);
    }
  }

  // From e_j to e_{j-1}.
  KERNEL void undo_erode(int64_t j, int64_t slice) {
    const int64_t n = chain.columns;
    const int64_t pitch = chain.pitch;
    const Ring<T>& to = by_eroded[j - 1];
    for (int64_t row = 0; row < chain.rows; ++row) {
      const Cross<T> p = chain.cross(chain.eroded[j - 1], slice, row);
      const T* const g = by_eroded[j][slice] + row * pitch;
#pragma GCC ivdep
      for (int64_t x = 0; x < n; ++x) {
        const Windows<T> w = least_of_windows<kDims>(p, x);
        const T lesser = kDims == 3 ? core::least(w.slices, w.rows) : w.slices;
        const T both = core::share_of_lesser(lesser, w.columns, g[x]);
        const T by_columns = g[x] - both;
        const T by_slices = kDims == 3 ? core::share_of_lesser(w.slices, w.rows, both) : both;
        const core::Shares<T> s = core::first_of(p.above[x], p.centre[x], w.slices, by_slices);
        const core::Shares<T> c =
            core::first_of(p.centre[x - 1], p.centre[x], w.columns, by_columns);
        shares[0][x] = s.first;
        shares[1][x] = s.third;
        shares[2][x] = c.first;
        shares[3][x] = s.second + c.second;
        shares[4][x] = c.third;
        if (kDims == 3) {
          const core::Shares<T> r =
              core::first_of(p.north[x], p.centre[x], w.rows, both - by_slices);
          shares[3][x] += r.second;
          shares[5][x] = r.first;
          shares[6][x] = r.third;
        }
      }
      T* const own = to[slice];
      add(shares[0], to[clipped(slice - 1, chain.slices)] + row * pitch);
      add(shares[1], to[clipped(slice + 1, chain.slices)] + row * pitch);
      if (kDims == 3) {
        add(shares[5], own + clipped(row - 1, chain.rows) * pitch);
        add(shares[6], own + clipped(row + 1, chain.rows) * pitch);
      }
      add_windows(shares[2], shares[3], shares[4], own + row * pitch);
    }
  }

  KERNEL void run(const double* derivatives, T* grad) {
    const int64_t stages = chain.stages;
    const T by[3] = {T(derivatives[0]), T(derivatives[1]), T(derivatives[2])};
    for (int64_t arrived = 0; arrived < chain.slices + 2 * stages + 2; ++arrived) {
      pair.advance(arrived);
      const int64_t slice = arrived - pair.delay();
      if (chain.has(slice + 1))
        for (int64_t j = 1; j <= stages; ++j) clear(by_widened[j][slice + 1]);
      if (chain.has(slice))
        for (int64_t row = 0; row < chain.rows; ++row) start_row(slice, row, by);
      if (chain.has(slice - 1))
        for (int64_t j = 1; j <= stages; ++j) undo_widen(j, slice - 1);
      for (int64_t j = stages; j > 0; --j)
        if (chain.has(arrived - 2 * stages - 2 + j)) undo_erode(j, arrived - 2 * stages - 2 + j);
      const int64_t done = arrived - 2 * stages - 2, of_image = pair.task.begin + done;
      if (!chain.has(done) || of_image < pair.task.first || of_image >= pair.task.last) continue;
      for (int64_t row = 0; row < chain.rows; ++row)
        __builtin_memcpy(grad + pair.row_of_channel(done, row),
                         by_eroded[0][done] + row * chain.pitch, size_t(chain.columns) * sizeof(T));
    }
  }
};

// Calls use(real, dims) with a value of the type and a constant.
template <class Use>
KERNEL void with_types(const SoftCldiceProblem& problem, const Use& use) {
  const auto with = [&](auto real) {
    if (problem.spatial_dims == 2) return use(real, std::integral_constant<int, 2>());
    return use(real, std::integral_constant<int, 3>());
  };
  return problem.is_double ? with(double()) : with(float());
}

int64_t soft_cldice_scratch(const SoftCldiceProblem& problem, const SoftCldiceTask& task,
                            bool gradient) {
  Arena arena{nullptr};
  with_types(problem, [&](auto real, auto dims) {
    if (gradient)
      Gradient<decltype(real), dims()>(problem, task, arena);
    else
      Pair<decltype(real), dims()>(problem, task, false, arena);
  });
  return arena.used;
}

void soft_cldice_sums(const SoftCldiceProblem& problem, const SoftCldiceTask& task, double* sums,
                      void* scratch) {
  Arena arena{static_cast<char*>(scratch)};
  with_types(problem, [&](auto real, auto dims) {
    Pair<decltype(real), dims()> pair(problem, task, false, arena);
    for (int64_t arrived = 0; arrived < pair.prediction.slices + pair.delay(); ++arrived) {
      pair.advance(arrived);
      const int64_t slice = arrived - pair.delay(), of_image = task.begin + slice;
      if (!pair.prediction.has(slice) || of_image < task.first || of_image >= task.last) continue;
      for (int64_t row = 0; row < problem.rows; ++row)
        pair.sum_row(slice, row, sums + of_image * kCldiceSums);
    }
  });
}

void soft_cldice_gradient(const SoftCldiceProblem& problem, const SoftCldiceTask& task,
                          const double* derivatives, void* grad, void* scratch) {
  Arena arena{static_cast<char*>(scratch)};
  with_types(problem, [&](auto real, auto dims) {
    using T = decltype(real);
    Gradient<T, dims()>(problem, task, arena).run(derivatives, static_cast<T*>(grad));
  });
}

#undef KERNEL

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
