// Probabilities of logits, a thread a pixel. The floor: one read of logits and labels, one write.
#include "probabilities.h"

#include "labels.h"
#include "launch.h"
#include "softmax.h"
#include "vectors.h"

namespace tubeskel::cuda {

using core::CompoundProblem;

namespace {

constexpr int kThreads = 256;

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

}  // namespace

void probabilities(const CompoundProblem& problem, unsigned long long* first_invalid, void* out,
                   void* stream) {
  const int64_t all = problem.maps() * problem.pixels;
  if (all * problem.channels_of_map() == 0) return;
  const LabelBits target =
      bits_of(problem.target, problem.num_classes(), problem.ignore_index, first_invalid);
  with_logits(problem.logit_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(subject("probabilities", problem.samples, problem.channels, problem.pixels),
           {dim3(unsigned(ceil_div(all, kThreads))), dim3(kThreads)}, stream,
           probabilities_kernel<T>, static_cast<const T*>(problem.logits), target, all,
           problem.channels_of_map(), problem.pixels, problem.softmax,
           static_cast<RealOf<T>*>(out));
  });
}

}  // namespace tubeskel::cuda
