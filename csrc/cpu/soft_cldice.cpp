#include "soft_cldice.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace tubeskel::cpu {

namespace {

// work(task, scratch) on bands of all classes, as many as keep the threads busy.
template <class Work>
void for_each_band(const SoftCldiceProblem& problem, bool gradient, int threads, const Work& work) {
  const int64_t halo = (gradient ? 2 : 1) * (problem.iterations + 2);
  const int64_t maps = problem.samples * problem.num_classes();
  const int64_t pixels = maps * problem.slices * problem.slice_size();
  const int team = threads_for(pixels * halo, threads);
  const int64_t most = std::max<int64_t>(problem.slices / (2 * halo), 1);
  const int64_t bands = std::clamp<int64_t>(ceil_div(team, std::max<int64_t>(maps, 1)), 1, most);
  const int64_t size = ceil_div(problem.slices, bands);
  parallel_for(maps * bands, team, [&](int64_t i) {
    SoftCldiceTask task;
    task.sample = i / bands / problem.num_classes();
    task.channel = problem.first + i / bands % problem.num_classes();
    task.first = std::min(i % bands * size, problem.slices);
    task.last = std::min(task.first + size, problem.slices);
    task.begin = std::max<int64_t>(task.first - halo, 0);
    task.end = std::min(task.last + halo, problem.slices);
    if (task.first == task.last) return;
    const Buffer<char> scratch(kernels().soft_cldice_scratch(problem, task, gradient));
    work(task, scratch.get());
  });
}

}  // namespace

void soft_cldice_sums(const SoftCldiceProblem& problem, double* sums, int threads) {
  const int64_t maps = problem.samples * problem.num_classes();
  const int64_t per_map = problem.slices * kCldiceSums;
  std::vector<double> parts(size_t(maps * per_map));  // of each slice: threads change no rounding
  for_each_band(problem, false, threads, [&](const SoftCldiceTask& task, void* scratch) {
    const int64_t map = task.sample * problem.num_classes() + task.channel - problem.first;
    kernels().soft_cldice_sums(problem, task, parts.data() + map * per_map, scratch);
  });
  std::fill_n(sums, maps * kCldiceSums, 0.0);
  for (int64_t map = 0; map < maps; ++map)
    for (int64_t i = 0; i < per_map; ++i)
      sums[map * kCldiceSums + i % kCldiceSums] += parts[size_t(map * per_map + i)];
}

void soft_cldice_gradient(const SoftCldiceProblem& problem, const double* derivatives, void* grad,
                          int threads) {
  const int64_t bytes = problem.slices * problem.slice_size() *
                        int64_t(problem.is_double ? sizeof(double) : sizeof(float));
  for (int64_t sample = 0; sample < problem.samples; ++sample)
    std::memset(static_cast<char*>(grad) + sample * problem.channels * bytes, 0,
                size_t(problem.first * bytes));
  for_each_band(problem, true, threads, [&](const SoftCldiceTask& task, void* scratch) {
    const int64_t map = task.sample * problem.num_classes() + task.channel - problem.first;
    kernels().soft_cldice_gradient(problem, task, derivatives + map * kCldiceSums, grad, scratch);
  });
}

}  // namespace tubeskel::cpu
