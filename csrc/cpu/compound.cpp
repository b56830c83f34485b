#include "compound.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "../core/compound.h"
#include "fresh_memory.h"
#include "kernels.h"
#include "parallel.h"

namespace tubeskel::cpu {

namespace {

// Partial sums are kept for at most so many spans of a map.
constexpr int64_t kSpans = 64;

// A gradient of so many values is gone from the caches before anyone reads it.
constexpr int64_t kMany = 2 << 20;

// Sums of a class take part in the gradient of its channel.
int64_t size_of(const CompoundProblem& problem) {
  return problem.channels_of_map() * core::kSums;
}

// Bytes that a kernel needs for working on a chunk of a map.
int64_t scratch_of(const CompoundProblem& problem) {
  return problem.channels_of_map() * (2 * kPixelsAtOnce + 8 * core::kSums) *
         int64_t(sizeof(double));
}

// work(i, map, first pixel, number of pixels, scratch) for all spans of whole tiles of all maps.
template <class Work>
void for_each_span(const CompoundProblem& problem, int64_t spans, int threads, const Work& work) {
  const int64_t maps = problem.maps(), pixels = problem.pixels;
  const int64_t span = ceil_div(ceil_div(pixels, spans), kTile) * kTile;
  const int64_t cost = maps * problem.channels_of_map() * pixels * 4;
  parallel_for(maps * spans, threads_for(cost, threads), [&](int64_t i) {
    const int64_t first = i % spans * span;
    if (first >= pixels) return;
    const Buffer<uint8_t> scratch(scratch_of(problem));
    work(i, i / spans, first, std::min(span, pixels - first), scratch.get());
  });
}

// For labels of which one is out of range.
void refuse_labels(const CompoundProblem& problem) {
  const auto require = [&](const char* name, const Labels& labels) {
    require_valid(name, labels, problem.maps() * problem.pixels, problem.num_classes(),
                  problem.ignore_index);
  };
  require("target", problem.target);
  require("tube", problem.tube);
}

}  // namespace

void compound_sums(const CompoundProblem& problem, double* sums, int threads) {
  const int64_t spans = std::clamp<int64_t>(ceil_div(problem.pixels, kTile), 1, kSpans);
  const int64_t size = size_of(problem);
  std::vector<double> partial(size_t(problem.maps() * spans * size), 0.0);
  std::atomic<bool> invalid{false};
  for_each_span(
      problem, spans, threads,
      [&](int64_t i, int64_t map, int64_t first, int64_t n, void* scratch) {
        for (int64_t from = 0; from < n; from += kTile)
          if (!kernels().compound_sums_tile(problem, map, first + from, std::min(kTile, n - from),
                                            partial.data() + i * size, scratch))
            invalid = true;
      });
  if (invalid) refuse_labels(problem);
  for (int64_t map = 0; map < problem.maps(); ++map) {
    double* const own = sums + map * size;
    std::fill_n(own, size, 0.0);
    for (int64_t i = map * spans; i < (map + 1) * spans; ++i)
      for (int64_t j = 0; j < size; ++j) own[j] += partial[size_t(i * size + j)];
  }
}

void probabilities(const CompoundProblem& problem, void* out, int threads) {
  std::atomic<bool> invalid{false};
  for_each_span(problem, std::max<int64_t>(ceil_div(problem.pixels, kTile), 1), threads,
                [&](int64_t, int64_t map, int64_t first, int64_t n, void* scratch) {
                  if (!kernels().probabilities_tile(problem, map, first, n, out, scratch))
                    invalid = true;
                });
  if (invalid) refuse_labels(problem);
}

void compound_gradient(const CompoundProblem& problem, const double* derivatives, void* grad,
                       int threads) {
  const int64_t values = problem.maps() * problem.channels_of_map() * problem.pixels;
  // Pages that the system has yet to make will be in the caches anyway; one inside tells of all.
  const bool past_caches = values >= kMany && !is_fresh(static_cast<char*>(grad) + values);
  for_each_span(problem, std::max<int64_t>(ceil_div(problem.pixels, kTile), 1), threads,
                [&](int64_t, int64_t map, int64_t first, int64_t n, void* scratch) {
                  kernels().compound_gradient_tile(problem, map, first, n,
                                                   derivatives + map * size_of(problem), grad,
                                                   past_caches, scratch);
                });
}

}  // namespace tubeskel::cpu
