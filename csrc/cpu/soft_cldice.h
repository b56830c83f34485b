// The sums of soft clDice and their gradient; core/soft_skeleton.h has the skeleton's formulae.
//
// With p the probabilities of a class, y its mask, and S(.) soft skeletons, clDice is a function of
//
//   sum S(p) y,  sum S(p),  sum S(y) p,  sum S(y).
//
// The chain of erosions runs as a pipeline over slices (the rows of an image, the planes of a
// volume): when slice t arrives, erosion j makes its slice t - j, and the skeleton of slice
// t - iterations - 2 is complete. Backwards likewise: the gradient of slice t - 2 iterations - 4
// leaves. Each stage keeps a ring of the few slices that are still needed, so the chain stays in
// the cache and nothing of the size of the image is stored.
//
// A task is a band of slices of one class of one sample. It runs over a halo as well, at whose rim
// values are wrong; these reach one slice further with every stage, and not the band.
#pragma once

#include <cstdint>
#include <optional>

#include "srl.h"

namespace tubeskel::cpu {

inline constexpr int kCldiceSums = 4;

struct SoftCldiceProblem {
  const void* probabilities;  // [samples, channels, slices, rows, columns]
  bool is_double;             // else float
  int64_t samples, channels;
  int spatial_dims;               // 2: rows is 1; 3
  int64_t slices, rows, columns;  // of the map of a channel
  int64_t iterations;
  Labels target;  // [maps, slices, rows, columns]
  bool softmax;   // a map of labels for a sample, else one of 0 and 1 for each of its channels
  std::optional<int64_t> ignore_index;  // of no class; probabilities are 0 there
  int64_t first;                        // channels below have no clDice

  int64_t num_classes() const { return channels - first; }
  int64_t slice_size() const { return rows * columns; }
};

struct SoftCldiceTask {
  int64_t sample, channel;
  int64_t first, last;  // slices whose results are wanted
  int64_t begin, end;   // and those with the halo
};

// sums: [samples, num_classes, 4]
void soft_cldice_sums(const SoftCldiceProblem& problem, double* sums, int threads);

// grad, like the probabilities: derivative of the inner product of `derivatives`, of the shape of
// the sums, with the sums. Results do not depend on the number of threads.
void soft_cldice_gradient(const SoftCldiceProblem& problem, const double* derivatives, void* grad,
                          int threads);

}  // namespace tubeskel::cpu
