// The kernels of soft clDice; core/soft_skeleton.h has the formulae and the names e_j, d_j, s_j.
//
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
#pragma once

#include "../core/soft_cldice_problem.h"
#include "../core/soft_skeleton.h"
#include "labels.h"
#include "launch.h"
#include "reduce.h"

namespace tubeskel::cuda::soft_cldice {

using core::kCldiceSums;
using core::SoftCldiceProblem;

constexpr int kThreads = 256;
constexpr int kTileColumns = 32, kTileRows = kThreads / kTileColumns;

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

}  // namespace tubeskel::cuda::soft_cldice
