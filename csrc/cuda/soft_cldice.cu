// Soft clDice; core/soft_skeleton.h has the formulae and the names e_j, d_j, s_j.
//
//   probabilities_kernel  logits and labels -> probabilities
//   mask_kernel           labels -> the mask of a class, a byte a voxel
//   level_kernel          e_j, e_{j+1}, s_{j-1} -> e_{j+2}, s_j, of probabilities and mask at once
//   sums_kernel           a slot for each span of a map; reduce_kernel adds the slots up
//   found_kernel          d_j, s_{j-1} -> the derivatives by d_j, of a few levels
//   back_kernel           the derivatives by e_{j+1} and by d_j -> those by e_j
//
// A thread has a voxel, a block a tile of 32 x 8 of them in a plane, and an image is a volume of
// one plane. A level looks at e_{j+1} alone in the windows around a voxel, dilates it for d_j and
// erodes it for e_{j+2}; of all else it takes the voxel's own values. So a level is one launch,
// e_{j+2} takes the place of e_j, and no halo grows with the iterations.
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

#include "../core/soft_skeleton.h"
#include "labels.h"
#include "launch.h"
#include "reduce.h"
#include "softmax.h"
#include "vectors.h"

namespace tubeskel::cuda {

using core::CompoundProblem;
using core::kCldiceSums;
using core::LogitType;
using core::SoftCldiceProblem;

namespace {

constexpr int kThreads = 256;
constexpr int kTileColumns = 32, kTileRows = kThreads / kTileColumns;

// ---- probabilities

// One thread a pixel of a map. channels: of a map.
template <class T>
__global__ void __launch_bounds__(kThreads)
    probabilities_kernel(const T* logits, LabelBits target, int64_t all, int64_t channels,
                         int64_t pixels, bool softmax, RealOf<T>* out) {
  using Real = RealOf<T>;
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= all) return;
  const uint64_t label = target.label(pixel);
  const bool ignored = target.ignores(label);
  if (!ignored && !target.takes(label)) target.refuse(pixel);
  const int64_t first = pixel / pixels * channels * pixels + pixel % pixels;
  const auto logit = [&](int64_t c) { return to_real(logits[first + c * pixels]); };
  if (!softmax) {
    out[first] = ignored ? Real(0) : Sigmoid<Real>(logit(0)).of;
    return;
  }
  Softmax<Real> of_pixel;
  for (int64_t c = 0; c < channels && !ignored; ++c) of_pixel.add(logit(c));
  of_pixel.finish();
  for (int64_t c = 0; c < channels; ++c)
    out[first + c * pixels] = ignored ? Real(0) : of_pixel.probability(logit(c));
}

template <class T>
void launch_probabilities(const Subject& what, const CompoundProblem& problem,
                          const LabelBits& target, void* out, void* stream) {
  const int64_t all = problem.maps() * problem.pixels;
  launch(what, {dim3(unsigned(ceil_div(all, kThreads))), dim3(kThreads)}, stream,
         probabilities_kernel<T>, static_cast<const T*>(problem.logits), target, all,
         problem.channels_of_map(), problem.pixels, problem.softmax, static_cast<RealOf<T>*>(out));
}

// ---- voxels and their windows

// The maps that are worked on at once.
struct Volumes {
  int64_t planes, rows, columns;
  bool flat;  // images: there are no windows along planes
  unsigned row_tiles, column_tiles;

  explicit Volumes(const SoftCldiceProblem& problem)
      : planes(problem.spatial_dims == 2 ? 1 : problem.slices),
        rows(problem.spatial_dims == 2 ? problem.slices : problem.rows),
        columns(problem.columns),
        flat(problem.spatial_dims == 2),
        row_tiles(unsigned(ceil_div(rows, kTileRows))),
        column_tiles(unsigned(ceil_div(columns, kTileColumns))) {}

  __host__ __device__ int64_t voxels() const { return planes * rows * columns; }
  dim3 grid(int64_t maps) const { return dim3(unsigned(maps * planes * row_tiles * column_tiles)); }
};

// Which maps are worked on: from `begin` on, of the last `classes` channels of samples.
struct Selection {
  unsigned begin, classes, channels;

  __device__ unsigned sample(unsigned map) const { return (begin + map) / classes; }
  __device__ unsigned channel(unsigned map) const {
    return channels - classes + (begin + map) % classes;
  }
};

// Where these maps are: one behind the other, or selected ones.
template <class T>
struct Maps {
  T* data = nullptr;
  Selection selection = {0, 1, 1};

  __device__ T* of(unsigned map, int64_t voxels) const {
    return data +
           (int64_t(selection.sample(map)) * selection.channels + selection.channel(map)) * voxels;
  }
};

enum Axis { kPlanes, kRows, kColumns, kAxes };

// The voxel of a thread, and which neighbours it has.
struct Voxel {
  unsigned map;
  bool exists;
  int64_t at;  // in its map
  int64_t stride[kAxes];
  bool before[kAxes], after[kAxes];

  __device__ explicit Voxel(const Volumes& volumes)
      : stride{volumes.rows * volumes.columns, volumes.columns, 1} {
    unsigned tile = blockIdx.x;
    const int64_t column =
        int64_t(tile % volumes.column_tiles) * kTileColumns + threadIdx.x % kTileColumns;
    tile /= volumes.column_tiles;
    const int64_t row = int64_t(tile % volumes.row_tiles) * kTileRows + threadIdx.x / kTileColumns;
    tile /= volumes.row_tiles;
    const int64_t plane = tile % unsigned(volumes.planes);
    map = tile / unsigned(volumes.planes);
    exists = row < volumes.rows && column < volumes.columns;
    at = plane * stride[kPlanes] + row * stride[kRows] + column;
    const int64_t place[kAxes] = {plane, row, column};
    const int64_t size[kAxes] = {volumes.planes, volumes.rows, volumes.columns};
#pragma unroll
    for (int axis = 0; axis < kAxes; ++axis) {
      before[axis] = place[axis] > 0;
      after[axis] = place[axis] + 1 < size[axis];
    }
  }

  __device__ bool has(int axis, int step) const {
    return step == 0 || (step < 0 ? before[axis] : after[axis]);
  }

  // use(place, offset) for each voxel of the box around, in raster order; places are 0..26.
  template <class Use>
  __device__ void each_of_box(const Use& use) const {
#pragma unroll
    for (int plane = -1; plane <= 1; ++plane) {
      if (!has(kPlanes, plane)) continue;
#pragma unroll
      for (int row = -1; row <= 1; ++row) {
        if (!has(kRows, row)) continue;
#pragma unroll
        for (int column = -1; column <= 1; ++column)
          if (has(kColumns, column))
            use((plane * 3 + row) * 3 + column + 13,
                plane * stride[kPlanes] + row * stride[kRows] + column);
      }
    }
  }
};

// The greatest of the box around a voxel, and the place of the first of them.
template <class T>
struct Greatest {
  T value;
  uint8_t place;
};

template <class T>
__device__ Greatest<T> greatest_of_box(const Voxel& voxel, const T* centre) {
  Greatest<T> greatest = {};
  bool none = true;
  voxel.each_of_box([&](int place, int64_t offset) {
    const T value = centre[offset];
    if (none || value > greatest.value) greatest = {value, uint8_t(place)};
    none = false;
  });
  return greatest;
}

// The least of the windows around a voxel, and for each axis where the first of its least is: 0
// before the voxel, 1 on it, 2 after it.
template <class T>
struct Cross {
  T least[kAxes];
  unsigned place[kAxes];

  __device__ Cross(const Voxel& voxel, const T* centre) {
    const T own = *centre;
#pragma unroll
    for (int axis = 0; axis < kAxes; ++axis) {
      const T before = voxel.before[axis] ? centre[-voxel.stride[axis]] : own;
      const T after = voxel.after[axis] ? centre[voxel.stride[axis]] : own;
      least[axis] = core::least(before, own, after);
      place[axis] = voxel.before[axis] && before == least[axis] ? 0 : own == least[axis] ? 1 : 2;
    }
  }

  __device__ T of_all() const { return core::least(least[kPlanes], least[kRows], least[kColumns]); }

  // 5 bits for each axis: its place, and its share of the derivative in quarters.
  __device__ uint16_t route(bool flat) const {
    const T lesser = core::least(least[kPlanes], least[kRows]);  // flat: that of the rows
    const T both = core::share_of_lesser(lesser, least[kColumns], T(4));
    const T by_planes = flat ? T(0) : core::share_of_lesser(least[kPlanes], least[kRows], both);
    const T shares[kAxes] = {by_planes, both - by_planes, T(4) - both};
    unsigned route = 0;
#pragma unroll
    for (int axis = 0; axis < kAxes; ++axis)
      route |= (place[axis] | unsigned(shares[axis]) << 2) << 5 * axis;
    return uint16_t(route);
  }
};

// The share of the derivative by a cross that goes along an axis to the place.
template <class T>
__device__ T share_of(uint16_t route, int axis, unsigned place) {
  const unsigned own = route >> 5 * axis;
  return (own & 3) == place ? T(own >> 2 & 7) * T(0.25) : T(0);
}

// ---- forwards

// A level of the chains of all maps at once. What is null is not there or not wanted.
template <class T>
struct Level {
  Maps<const T> before, now;  // e_j, e_{j+1}
  T* after;                   // e_{j+2}, which may take the place of e_j
  const T* skeleton_before;
  T* skeleton;
  // for the way back
  T* found;          // d_j
  uint8_t* widest;   // places of the greatest of e_{j+1}
  uint16_t* routes;  // of the least of e_{j+1}
};

// Makes e_{j+2} and s_j of a voxel.
template <class T>
__device__ void advance(const Volumes& volumes, const Voxel& voxel, const Level<T>& level) {
  const int64_t voxels = volumes.voxels(), at = voxel.map * voxels + voxel.at;
  const T* const now = level.now.of(voxel.map, voxels) + voxel.at;
  if (level.before.data) {
    const Greatest<T> opened = greatest_of_box(voxel, now);
    const T found = core::excess(level.before.of(voxel.map, voxels)[voxel.at], opened.value);
    if (level.skeleton)
      level.skeleton[at] =
          level.skeleton_before ? core::join(level.skeleton_before[at], found) : found;
    if (level.found) {
      level.found[at] = found;
      level.widest[at] = opened.place;
    }
  }
  if (!level.after) return;
  const Cross<T> cross(voxel, now);
  level.after[at] = cross.of_all();
  if constexpr (std::is_floating_point_v<T>)
    if (level.routes) level.routes[at] = cross.route(volumes.flat);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    level_kernel(Volumes volumes, Level<T> prediction, Level<uint8_t> mask) {
  const Voxel voxel(volumes);
  if (!voxel.exists) return;
  if (prediction.now.data) advance(volumes, voxel, prediction);
  if (mask.now.data) advance(volumes, voxel, mask);
}

// target: a map for a sample with a softmax, else for each of its channels, of 0 and 1.
__global__ void __launch_bounds__(kThreads)
    mask_kernel(Volumes volumes, LabelBits target, bool softmax, Selection maps, uint8_t* mask) {
  const Voxel voxel(volumes);
  if (!voxel.exists) return;
  const int64_t voxels = volumes.voxels();
  const unsigned sample = maps.sample(voxel.map), channel = maps.channel(voxel.map);
  const int64_t map = softmax ? sample : int64_t(sample) * maps.channels + channel;
  const uint64_t label = target.label(map * voxels + voxel.at);
  mask[voxel.map * voxels + voxel.at] = !target.ignores(label) && label == (softmax ? channel : 1u);
}

// ---- sums

constexpr int kSpan = 16 * kThreads;  // voxels of a slot

// One block a span of a map. slots: [maps, spans, kCldiceSums].
template <class T>
__global__ void __launch_bounds__(kThreads)
    sums_kernel(Maps<const T> probabilities, const uint8_t* mask, const T* skeleton,
                const uint8_t* mask_skeleton, int64_t voxels, unsigned spans, double* slots) {
  const unsigned map = blockIdx.x / spans;
  const int64_t first = int64_t(blockIdx.x % spans) * kSpan;
  const T* const p = probabilities.of(map, voxels);
  T sums[kCldiceSums] = {};
  for (int64_t i = first + threadIdx.x; i < first + kSpan && i < voxels; i += kThreads) {
    const int64_t at = map * voxels + i;
    const T of_p = skeleton[at], of_y = T(mask_skeleton[at]);
    sums[0] += of_p * T(mask[at]);
    sums[1] += of_p;
    sums[2] += of_y * p[i];
    sums[3] += of_y;
  }
#pragma unroll
  for (int i = 0; i < kCldiceSums; ++i) {
    const double sum = block_sum<kThreads>(double(sums[i]));
    if (threadIdx.x == 0) slots[int64_t(blockIdx.x) * kCldiceSums + i] = sum;
  }
}

// One block a map.
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(const double* slots, unsigned spans, double* sums) {
  slots += int64_t(blockIdx.x) * spans * kCldiceSums;
  for (int i = 0; i < kCldiceSums; ++i) {
    double part = 0;
    for (int64_t span = threadIdx.x; span < spans; span += kThreads)
      part += slots[span * kCldiceSums + i];
    const double sum = block_sum<kThreads>(part);
    if (threadIdx.x == 0) sums[int64_t(blockIdx.x) * kCldiceSums + i] = sum;
  }
}

// ---- backwards

// The levels of a run, [levels, maps, voxels] each.
template <class T>
struct Run {
  int64_t levels, size;      // of a level
  T* found;                  // d_j, which become the derivatives by them
  const T* skeleton_before;  // the first, or null for 0
  const T* skeletons;        // then those of the levels
  T* passed;                 // the derivative by the last skeleton, which becomes that by the first
  const uint8_t* mask;       // or null: `passed` is made of it
  const double* derivatives;
};

// From s_j to d_j and s_{j-1}, through all levels of a run.
template <class T>
__global__ void __launch_bounds__(kThreads) found_kernel(Volumes volumes, Run<T> run) {
  const Voxel voxel(volumes);
  if (!voxel.exists) return;
  const int64_t at = voxel.map * volumes.voxels() + voxel.at;
  const double* const by = run.derivatives + int64_t(voxel.map) * kCldiceSums;
  T passed = run.mask ? T(by[0]) * T(run.mask[at]) + T(by[1]) : run.passed[at];
  for (int64_t i = run.levels - 1; i >= 0; --i) {
    const T* const before = i ? run.skeletons + (i - 1) * run.size : run.skeleton_before;
    T& found = run.found[i * run.size + at];
    const auto derivatives = core::join_derivatives(before ? before[at] : T(0), found);
    found = passed * derivatives.found;
    passed *= derivatives.skeleton;
  }
  run.passed[at] = passed;
}

// From e_{j+1} to e_j. What is null takes no part.
template <class T>
struct Back {
  const T* by_eroded;            // by e_{j+1}; without a level, what e_j has got so far
  const T* found;                // the level j: derivatives by d_j
  const uint16_t* routes;        // and those by e_{j+1}
  const T* found_below;          // the level j - 1: derivatives by its d
  const uint8_t* widest;         // and where those by its dilation of e_j go
  const uint8_t* mask_skeleton;  // for e_0
  const double* derivatives;
  Maps<T> to;
};

template <class T>
__global__ void __launch_bounds__(kThreads) back_kernel(Volumes volumes, Back<T> back) {
  const Voxel voxel(volumes);
  if (!voxel.exists) return;
  const int64_t voxels = volumes.voxels(), at = voxel.map * voxels + voxel.at;
  T sum = 0;
  if (back.found) {
    sum = back.found[at];
#pragma unroll
    for (int axis = 0; axis < kAxes; ++axis)
#pragma unroll
      for (int step = -1; step <= 1; ++step) {
        if (!voxel.has(axis, step)) continue;
        const int64_t other = at + step * voxel.stride[axis];
        sum += back.by_eroded[other] * share_of<T>(back.routes[other], axis, unsigned(1 - step));
      }
  } else if (back.by_eroded) {
    sum = back.by_eroded[at];
  }
  if (back.found_below)
    voxel.each_of_box([&](int place, int64_t offset) {
      if (back.widest[at + offset] == 26 - place) sum -= back.found_below[at + offset];
    });
  if (back.mask_skeleton)
    sum += T(back.derivatives[int64_t(voxel.map) * kCldiceSums + 2]) * T(back.mask_skeleton[at]);
  back.to.of(voxel.map, voxels)[voxel.at] = sum;
}

// ---- launches

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

void probabilities(const CompoundProblem& problem, unsigned long long* first_invalid, void* out,
                   void* stream) {
  if (problem.samples * problem.channels * problem.pixels == 0) return;
  const auto with = [&](auto* launcher) {
    launcher(subject("probabilities", problem.samples, problem.channels, problem.pixels), problem,
             bits_of(problem.target, problem.num_classes(), problem.ignore_index, first_invalid),
             out, stream);
  };
  switch (problem.logit_type) {
    case LogitType::kFloat64:
      return with(launch_probabilities<double>);
    case LogitType::kFloat16:
      return with(launch_probabilities<__half>);
    case LogitType::kBFloat16:
      return with(launch_probabilities<__nv_bfloat16>);
    default:
      return with(launch_probabilities<float>);
  }
}

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
