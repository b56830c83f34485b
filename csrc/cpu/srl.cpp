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

// Partial sums are taken over tiles of this many pixels and added in order, whoever made them.
constexpr int64_t kTilePixels = 1 << 14;

// work(tile, map, first pixel, last pixel)
template <class Work>
void for_each_tile(const SrlProblem& problem, int threads, const Work& work) {
  const int64_t tiles = ceil_div(problem.pixels, kTilePixels);
  const int64_t elements = problem.samples * problem.channels * problem.pixels;
  parallel_for(problem.maps() * tiles, threads_for(elements, threads), [&](int64_t i) {
    const int64_t first = i % tiles * kTilePixels;
    work(i, i / tiles, first, std::min(first + kTilePixels, problem.pixels));
  });
}

void find_invalid(const char* name, const Labels& labels, const SrlProblem& problem) {
  const int64_t largest = problem.classes() - 1;
  for (int64_t i = 0; labels.data && i < problem.maps() * problem.pixels; ++i) {
    const std::string text = to_string(labels.type, labels.data, i);
    const long double value = std::stold(text);
    if (problem.ignore_index && value == *problem.ignore_index) continue;
    if (value < 0 || value > largest)
      throw InvalidValue(std::string(name) + " holds " + text + "; allowed: 0.." +
                         std::to_string(largest) + " and ignore_index");
  }
}

void throw_if(bool invalid, const SrlProblem& problem) {
  if (!invalid) return;
  find_invalid("target", problem.target, problem);
  find_invalid("tube", problem.tube, problem);
}

}  // namespace

void count_tube(const SrlProblem& problem, int64_t* counts, int threads) {
  const int64_t classes = problem.classes();
  std::atomic<bool> invalid{false};
  std::fill_n(counts, problem.maps() * classes, 0);
  for_each_tile(problem, threads, [&](int64_t, int64_t map, int64_t first, int64_t last) {
    std::vector<int64_t> local(size_t(classes), 0);
    if (kernels().count_tube_pixels(problem, map, first, last, local.data())) invalid = true;
    for (int64_t k = 0; k < classes; ++k)
      __atomic_fetch_add(counts + map * classes + k, local[k], __ATOMIC_RELAXED);
  });
  throw_if(invalid, problem);
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
  std::vector<double> sums(size_t(problem.maps() * ceil_div(problem.pixels, kTilePixels)));
  std::atomic<bool> invalid{false};
  for_each_tile(problem, threads, [&](int64_t tile, int64_t map, int64_t first, int64_t last) {
    bool bad = false;
    const Buffer<double> scratch(problem.channels_of_map() * 64);
    sums[tile] = kernels().srl_pixels(problem, map, first, last, weights + map * problem.classes(),
                                      grad, scratch.get(), bad);
    if (bad) invalid = true;
  });
  throw_if(invalid, problem);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace tubeskel::cpu
