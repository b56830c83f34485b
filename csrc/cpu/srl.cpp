#include "srl.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "../core/srl.h"
#include "kernels.h"
#include "parallel.h"

namespace tubeskel::cpu {

namespace {

// work(tile, map, first pixel, number of pixels); `cost` is in elements per pixel.
template <class Work>
void for_each_tile(int64_t maps, int64_t pixels, int64_t cost, int threads, const Work& work) {
  const int64_t tiles = ceil_div(pixels, kTile);
  parallel_for(maps * tiles, threads_for(maps * pixels * cost, threads), [&](int64_t i) {
    const int64_t first = i % tiles * kTile;
    work(i, i / tiles, first, std::min(kTile, pixels - first));
  });
}

}  // namespace

void require_valid(const char* name, const Labels& labels, int64_t size, int64_t num_classes,
                   std::optional<int64_t> ignore_index) {
  const int64_t largest = num_classes - 1;
  for (int64_t i = 0; labels.data && i < size; ++i) {
    const std::string text = to_string(labels.type, labels.data, i);
    const long double value = std::stold(text);
    if (ignore_index && value == *ignore_index) continue;
    if (value < 0 || value > largest)
      throw InvalidValue(std::string(name) + " holds " + text + "; allowed: 0.." +
                         std::to_string(largest) + " and ignore_index");
  }
}

void read_tube(const TubeLabels& labels, void* classes, int64_t* counts, int threads) {
  std::atomic<bool> invalid{false};
  std::fill_n(counts, labels.maps * labels.num_classes, 0);
  for_each_tile(
      labels.maps, labels.pixels, 1, threads, [&](int64_t, int64_t map, int64_t first, int64_t n) {
        std::vector<int64_t> local(size_t(labels.num_classes), 0);
        if (kernels().read_tube_tile(labels, map * labels.pixels + first, n, classes, local.data()))
          invalid = true;
        for (int64_t k = 0; k < labels.num_classes; ++k)
          if (local[k])
            __atomic_fetch_add(counts + map * labels.num_classes + k, local[k], __ATOMIC_RELAXED);
      });
  if (!invalid) return;
  const auto require = [&](const char* name, const Labels& map) {
    require_valid(name, map, labels.maps * labels.pixels, labels.num_classes, labels.ignore_index);
  };
  require("target", labels.target);
  require("tube", labels.tube);
}

double srl_weights(const SrlProblem& problem, const int64_t* counts, const SrlReduction& reduction,
                   double* weights) {
  const int64_t samples = problem.samples;
  const int64_t foreground = problem.softmax ? problem.channels - 1 : problem.channels;
  const auto slot = [&](int64_t sample, int64_t k) {  // of class k in counts and weights
    return problem.softmax ? sample * problem.channels + k + 1
                           : 2 * (sample * problem.channels + k) + 1;
  };
  const int64_t members = reduction.batch ? samples : 1;
  double smoothing = 0;
  for (int64_t first = 0; first < samples; first += members) {
    std::vector<double> total(size_t(foreground), 0.0);
    double considered = 0;
    for (int64_t k = 0; k < foreground; ++k) {
      for (int64_t i = first; i < first + members; ++i) total[k] += double(counts[slot(i, k)]);
      considered += reduction.all_classes || total[k] > 0;
    }
    for (int64_t k = 0; k < foreground; ++k) {
      if (!reduction.all_classes && total[k] == 0) continue;
      // Without `batch` the loss is the mean over the samples.
      const double terms = considered * double(samples) / double(members);
      const double weight = core::srl_weight(total[k], reduction.smooth, terms);
      smoothing += weight * reduction.smooth;
      for (int64_t i = first; i < first + members; ++i) weights[slot(i, k)] = weight;
    }
  }
  return smoothing;
}

double srl_sum(const SrlProblem& problem, const double* weights, void* grad, int threads) {
  std::vector<double> sums(size_t(problem.maps() * ceil_div(problem.pixels, kTile)));
  for_each_tile(problem.maps(), problem.pixels, problem.channels_of_map(), threads,
                [&](int64_t tile, int64_t map, int64_t first, int64_t n) {
                  const Buffer<double> scratch(problem.channels_of_map() * 64);
                  sums[tile] = kernels().srl_pixels(problem, map, first, n,
                                                    weights + map * problem.num_classes(), grad,
                                                    scratch.get());
                });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace tubeskel::cpu
