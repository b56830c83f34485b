// Soft clDice: the launches of its kernels, level by level.
//
// The way back needs all levels in reverse. They are cut into runs of about the root of their
// number. A first sweep keeps e_j and s_{j-1} at the start of each run; then the runs are made
// anew, the last one first, and each level leaves d_j, s_{j-1}, and where derivatives go: for each
// window of the dilation the place of its greatest, for each erosion those of the least of its
// three windows and their shares. Back is then a look at those windows that hold the voxel: each
// voxel gathers what is its own, in a fixed order. Nothing is added by atomics.
//
// Maps are worked on a few at a time, as many as keep the device busy: that, or one map, bounds the
// workspace. The same bits come on every run and on every device.
#include "soft_cldice.h"

#include "soft_cldice_kernels.h"

namespace tubeskel::cuda {

namespace {

using namespace soft_cldice;

// A workspace; without memory it counts what is needed.
struct Space {
  char* base;
  size_t used = 0;

  template <class T>
  T* take(int64_t count) {
    T* const taken = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += (size_t(count) * sizeof(T) + 15) / 16 * 16;
    return taken;
  }
};

// How many maps are worked on at once: eight voxels for each thread that the device can have.
int64_t maps_at_once(const SoftCldiceProblem& problem, const Subject& what) {
  const int64_t voxels = problem.slices * problem.slice_size();
  const int64_t all = problem.samples * problem.num_classes();
  const int64_t enough = int64_t(multiprocessors(what)) * 2048 * 8;
  return std::clamp<int64_t>(enough / std::max<int64_t>(voxels, 1), 1, std::max<int64_t>(all, 1));
}

int64_t spans_of(const SoftCldiceProblem& problem) {
  return ceil_div(problem.slices * problem.slice_size(), kSpan);
}

// About the root: what a run needs and what is kept for all runs then balance.
int64_t levels_of_run(int64_t levels) {
  int64_t root = 1;
  while (root * root < levels) ++root;
  return root;
}

// Both chains of some maps. Levels are counted from -1, which only erodes.
template <class T>
class Chains {
 public:
  Chains(const SoftCldiceProblem& problem, const Subject& what, bool gradient, int64_t maps,
         Space& space)
      : problem_(problem),
        what_(what),
        volumes_(problem),
        size_(maps * volumes_.voxels()),
        levels_(problem.iterations + 1),
        run_(levels_of_run(levels_)) {
    const int64_t runs = ceil_div(levels_, run_);
    for (T*& array : eroded_) array = space.take<T>(size_);
    skeletons_ = space.take<T>(gradient && levels_ > 1 ? (run_ - 1) * size_ : size_);
    mask_ = space.take<uint8_t>(size_);
    for (uint8_t*& array : mask_eroded_) array = space.take<uint8_t>(size_);
    mask_skeleton_ = space.take<uint8_t>(size_);
    if (!gradient) return;
    kept_eroded_ = space.take<T>((runs - 1) * size_);
    kept_skeletons_ = space.take<T>((runs - 1) * size_);
    found_ = space.take<T>(run_ * size_);
    widest_ = space.take<uint8_t>(run_ * size_);
    routes_ = space.take<uint16_t>(run_ * size_);
    for (T*& array : by_eroded_) array = space.take<T>(size_);
    passed_ = space.take<T>(size_);
  }

  // Writes the sums of the spans of maps from `begin` on.
  void sums(int64_t begin, int64_t maps, double* slots, void* stream) {
    select(begin, maps, stream);
    for (int64_t j = -1; j < levels_; ++j)
      queue(level_kernel<T>,
            level_of<T>(
                j, probabilities_, [&](int64_t i) { return eroded_[i % 2]; }, levels_,
                j > 0 ? skeletons_ : nullptr, skeletons_),
            mask_level(j));
    const int64_t spans = spans_of(problem_);
    launch(what_, {dim3(unsigned(maps * spans)), dim3(kThreads)}, stream, sums_kernel<T>,
           probabilities_, mask_, skeletons_, mask_skeleton_, volumes_.voxels(), unsigned(spans),
           slots + begin * spans * kCldiceSums);
  }

  // Writes the gradient of these maps.
  void gradient(int64_t begin, int64_t maps, const double* derivatives, T* grad, void* stream) {
    select(begin, maps, stream);
    const int64_t top = (levels_ - 1) / run_ * run_;
    sweep(top);
    const T* by_eroded = nullptr;
    for (int64_t first = top; first >= 0; first -= run_)
      by_eroded = run_back(first, std::min(first + run_, levels_), by_eroded,
                           derivatives + begin * kCldiceSums, grad);
  }

 private:
  void select(int64_t begin, int64_t maps, void* stream) {
    maps_ = maps;
    stream_ = stream;
    selection_ = {unsigned(begin), unsigned(problem_.num_classes()), unsigned(problem_.channels)};
    probabilities_ = {static_cast<const T*>(problem_.probabilities), selection_};
    const int64_t labels = problem_.softmax ? problem_.channels : 2;
    queue(mask_kernel, bits_of(problem_.target, labels, problem_.ignore_index, nullptr),
          problem_.softmax, selection_, mask_);
  }

  template <class... Parameters, class... Arguments>
  void queue(void (*kernel)(Volumes, Parameters...), Arguments... arguments) {
    launch(what_, {volumes_.grid(maps_), dim3(kThreads)}, stream_, kernel, volumes_, arguments...);
  }

  // Level j of a chain that begins with e_0 and has erosions up to e_last, the others being at
  // eroded(i).
  template <class U, class Eroded>
  static Level<U> level_of(int64_t j, const Maps<const U>& image, const Eroded& eroded,
                           int64_t last, const U* skeleton_before, U* skeleton) {
    const auto at = [&](int64_t i) { return i ? Maps<const U>{eroded(i)} : image; };
    Level<U> level = {};
    level.now = at(j + 1);
    if (j + 2 <= last) level.after = eroded(j + 2);
    if (j < 0) return level;
    level.before = at(j);
    level.skeleton_before = skeleton_before;
    level.skeleton = skeleton;
    return level;
  }

  Level<uint8_t> mask_level(int64_t j) const {
    return level_of<uint8_t>(
        j, {mask_}, [&](int64_t i) { return mask_eroded_[i % 2]; }, levels_,
        j > 0 ? mask_skeleton_ : nullptr, mask_skeleton_);
  }

  // Makes the levels below `top`, and keeps what runs start from.
  void sweep(int64_t top) {
    const auto eroded = [&](int64_t i) {
      return i % run_ ? eroded_[i % 2] : kept_eroded_ + (i / run_ - 1) * size_;
    };
    const auto skeleton = [&](int64_t j) {
      return (j + 1) % run_ ? skeletons_ : kept_skeletons_ + ((j + 1) / run_ - 1) * size_;
    };
    for (int64_t j = -1; j < top; ++j)
      queue(level_kernel<T>,
            level_of<T>(j, probabilities_, eroded, top, j > 0 ? skeleton(j - 1) : nullptr,
                        j >= 0 ? skeleton(j) : nullptr),
            mask_level(j));
  }

  // Takes the derivative by e_end to e_first, and returns where it is. Null is 0.
  const T* run_back(int64_t first, int64_t end, const T* by_eroded, const double* derivatives,
                    T* grad) {
    const int64_t levels = end - first;
    const bool is_top = end == levels_;
    const int64_t kept = first ? (first / run_ - 1) * size_ : 0;
    const T* const skeleton_before = first ? kept_skeletons_ + kept : nullptr;
    const Maps<const T> image = first ? Maps<const T>{kept_eroded_ + kept} : probabilities_;
    for (int64_t i = -1; i < levels; ++i) {
      Level<T> level = level_of<T>(
          i, image, [&](int64_t k) { return eroded_[k % 2]; }, levels,
          i > 0 ? skeletons_ + (i - 1) * size_ : skeleton_before,
          i + 1 < levels ? skeletons_ + i * size_ : nullptr);
      if (level.after) level.routes = routes_ + (i + 1) * size_;
      if (level.before.data) {
        level.found = found_ + i * size_;
        level.widest = widest_ + i * size_;
      }
      queue(level_kernel<T>, level, is_top && i >= 0 ? mask_level(first + i) : Level<uint8_t>{});
    }
    queue(found_kernel<T>, Run<T>{levels, size_, found_, skeleton_before, skeletons_, passed_,
                                  is_top ? mask_ : nullptr, derivatives});
    for (int64_t i = levels; i >= 0; --i) {
      Back<T> back = {};
      back.by_eroded = by_eroded;
      if (i < levels) {
        back.found = found_ + i * size_;
        back.routes = routes_ + i * size_;
      }
      if (i > 0) {
        back.found_below = found_ + (i - 1) * size_;
        back.widest = widest_ + (i - 1) * size_;
      }
      T* const other = by_eroded_[by_eroded == by_eroded_[0]];
      back.to = {other};
      if (first + i == 0) {
        back.mask_skeleton = mask_skeleton_;
        back.derivatives = derivatives;
        back.to = {grad, selection_};
      }
      queue(back_kernel<T>, back);
      by_eroded = other;
    }
    return by_eroded;
  }

  const SoftCldiceProblem& problem_;
  const Subject& what_;
  const Volumes volumes_;
  const int64_t size_, levels_, run_;  // of an array; of the chain; of a run
  int64_t maps_ = 0;
  void* stream_ = nullptr;
  Selection selection_ = {};
  Maps<const T> probabilities_;

  T *eroded_[2], *skeletons_;
  uint8_t *mask_, *mask_eroded_[2], *mask_skeleton_;
  // of the gradient: what runs start from, the levels of one, and what goes on from run to run
  T *kept_eroded_, *kept_skeletons_;
  T* found_;
  uint8_t* widest_;
  uint16_t* routes_;
  T *by_eroded_[2], *passed_;
};

// work(chains, begin, maps) for all maps, as many at once as there is room for.
template <class T, class Work>
void for_maps(const SoftCldiceProblem& problem, const Subject& what, bool gradient, Space& space,
              const Work& work) {
  const int64_t all = problem.samples * problem.num_classes();
  const int64_t most = maps_at_once(problem, what);
  Chains<T> chains(problem, what, gradient, most, space);
  for (int64_t begin = 0; begin < all; begin += most)
    work(chains, begin, std::min(most, all - begin));
}

// work(type) with a null pointer of the type of the probabilities.
template <class Work>
void with_type(const SoftCldiceProblem& problem, const Work& work) {
  return problem.is_double ? work(static_cast<double*>(nullptr))
                           : work(static_cast<float*>(nullptr));
}

Subject subject_of(const char* op, const SoftCldiceProblem& problem) {
  return subject(op, problem.samples, problem.channels, problem.slices * problem.slice_size());
}

int64_t slots_of(const SoftCldiceProblem& problem) {
  return problem.samples * problem.num_classes() * spans_of(problem) * kCldiceSums;
}

}  // namespace

size_t soft_cldice_workspace(const SoftCldiceProblem& problem, bool gradient) {
  const Subject what = subject_of("soft_cldice", problem);
  Space space = {nullptr};
  if (!gradient) space.take<double>(slots_of(problem));
  with_type(problem, [&](auto* type) {
    Chains<std::remove_pointer_t<decltype(type)>>(problem, what, gradient,
                                                  maps_at_once(problem, what), space);
  });
  return space.used;
}

void soft_cldice_sums(const SoftCldiceProblem& problem, double* sums, void* workspace,
                      void* stream) {
  const int64_t maps = problem.samples * problem.num_classes();
  if (maps == 0) return;
  const Subject what = subject_of("soft_cldice_sums", problem);
  Space space = {static_cast<char*>(workspace)};
  double* const slots = space.take<double>(slots_of(problem));
  if (problem.slices * problem.slice_size() > 0)
    with_type(problem, [&](auto* type) {
      for_maps<std::remove_pointer_t<decltype(type)>>(
          problem, what, false, space, [&](auto& chains, int64_t begin, int64_t count) {
            chains.sums(begin, count, slots, stream);
          });
    });
  launch(what, {dim3(unsigned(maps)), dim3(kThreads)}, stream, reduce_kernel, slots,
         unsigned(spans_of(problem)), sums);
}

void soft_cldice_gradient(const SoftCldiceProblem& problem, const double* derivatives, void* grad,
                          void* workspace, void* stream) {
  const int64_t voxels = problem.slices * problem.slice_size();
  if (problem.samples * problem.channels * voxels == 0) return;
  const Subject what = subject_of("soft_cldice_gradient", problem);
  Space space = {static_cast<char*>(workspace)};
  with_type(problem, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* const to = static_cast<T*>(grad);
    for (int64_t sample = 0; sample < problem.samples && problem.first > 0; ++sample)
      check(cudaMemsetAsync(to + sample * problem.channels * voxels, 0,
                            size_t(problem.first * voxels) * sizeof(T),
                            static_cast<cudaStream_t>(stream)),
            what);
    for_maps<T>(problem, what, true, space, [&](auto& chains, int64_t begin, int64_t count) {
      chains.gradient(begin, count, derivatives, to, stream);
    });
  });
}

}  // namespace tubeskel::cuda
