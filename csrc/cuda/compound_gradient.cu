// The gradient of Dice + cross-entropy + skeleton recall from the derivatives of the loss with
// respect to the sums, in one launch; the formulae are in core/compound.h.
//
// The floor: the bytes of logits and labels, and one write of the logits' size. Arithmetic is an
// exponential and about 20 other operations a logit.
#include "compound_tile.h"

namespace tubeskel::cuda {

namespace {

using namespace compound;

// The derivatives with respect to the sums of a map, in shared memory unless they are too many.
template <class Real>
struct Derivatives {
  const double* all;
  Real* staged;

  __device__ void stage(int64_t channels) const {
    for (int64_t i = threadIdx.x; staged && i < channels * kSums; i += kThreads)
      staged[i] = Real(all[i]);
    __syncthreads();
  }
  __device__ void of(int64_t c, Real (&g)[kSums]) const {
#pragma unroll
    for (int j = 0; j < kSums; ++j)
      g[j] = staged ? staged[c * kSums + j] : Real(all[c * kSums + j]);
  }
};

template <class T, int n, int kHeld>
__device__ void softmax_gradient(const Pixels<T, n>& pixels, bool log_recall, RealOf<T> constant,
                                 const Derivatives<RealOf<T>>& derivatives, T* grad) {
  using Real = RealOf<T>;
  const Powers<T, n, kHeld> powers(pixels);
  Real g[kSums], inverse[n], mean[n] = {}, of_target[n] = {}, of_tube[n] = {};
  powers.each([&](auto c, const Real(&power)[n]) {
    derivatives.of(c, g);
#pragma unroll
    for (int i = 0; i < n; ++i) mean[i] += core::mean_part(g, power[i]);
  });
#pragma unroll
  for (int i = 0; i < n; ++i) {
    inverse[i] = Real(1) / powers.sum[i];
    mean[i] = mean[i] * inverse[i] + constant;
    const auto probability = [&](int c) {
      return exponential(pixels.logit(c, i) - powers.largest[i]) * inverse[i];
    };
    if (pixels.target[i] >= 0) {
      derivatives.of(pixels.target[i], g);
      of_target[i] = core::target_part(g, probability(pixels.target[i]));
    }
    if (pixels.tube[i] >= 0) {
      derivatives.of(pixels.tube[i], g);
      of_tube[i] = core::tube_part(g, probability(pixels.tube[i]), log_recall);
    }
    mean[i] += of_target[i] + of_tube[i];
  }
  powers.each([&](auto c, const Real(&power)[n]) {
    derivatives.of(c, g);
    Vector<T, n> gradient;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      Real slope = core::logit_gradient(g, power[i] * inverse[i], mean[i]);
      slope += pixels.target[i] == c ? of_target[i] : Real(0);
      slope += pixels.tube[i] == c ? of_tube[i] : Real(0);
      gradient.lane[i] = from_real<T>(pixels.is_valid(i) ? slope : Real(0));
    }
    store<n>(grad + c * pixels.stride, gradient);
  });
}

template <class T, int n>
__device__ void sigmoid_gradient(const Pixels<T, n>& pixels, bool log_recall,
                                 const Derivatives<RealOf<T>>& derivatives, T* grad) {
  using Real = RealOf<T>;
  Real g[kSums], z[n];
  derivatives.of(0, g);
  pixels.load_channel(0, z);
  Vector<T, n> gradient;
#pragma unroll
  for (int i = 0; i < n; ++i) {
    const Sigmoid<Real> s(z[i]);
    const Real slope = core::sigmoid_gradient(g, s.of, s.rest, pixels.target[i] == 1,
                                              pixels.tube[i] == 1, log_recall);
    gradient.lane[i] = from_real<T>(pixels.is_valid(i) ? slope : Real(0));
  }
  store<n>(grad, gradient);
}

// One block a span. derivatives: [maps, channels, kSums].
template <class T, int n, int kHeld>
__global__ void __launch_bounds__(kThreads, kHeld ? 0 : 4)
    gradient_kernel(Maps<T> maps, bool in_shared, const double* derivatives, T* grad) {
  using Real = RealOf<T>;
  const Span span(maps);
  Derivatives<Real> own = {derivatives + span.map * maps.channels * kSums, nullptr};
  if (kHeld || in_shared) own.staged = reinterpret_cast<Real*>(dynamic_shared());
  own.stage(maps.channels);
  Real constant = 0, g[kSums];
  for (int64_t c = 0; kHeld != 1 && c < maps.channels; ++c) {
    own.of(c, g);
    constant += core::mean_constant(g);
  }
  for (int64_t at = span.first + int64_t(threadIdx.x) * n; at < span.end; at += kThreads * n) {
    const auto pixels = Pixels<T, n>::template load_from<false>(maps, span, at);
    T* const to = grad + (pixels.logits - maps.logits);
    if constexpr (kHeld == 1)
      sigmoid_gradient(pixels, maps.log_recall, own, to);
    else
      softmax_gradient<T, n, kHeld>(pixels, maps.log_recall, constant, own, to);
  }
}

}  // namespace

void compound_gradient(const CompoundProblem& problem, const double* derivatives, void* grad,
                       void* stream) {
  if (problem.samples * problem.channels * problem.pixels == 0) return;
  const Subject what =
      subject("compound_gradient", problem.samples, problem.channels, problem.pixels);
  with_logits(problem.logit_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const size_t shared = size_t(size_of(problem)) * sizeof(RealOf<T>);
    const bool in_shared = shared <= kSharedBytes;
    const Launch shape = {dim3(unsigned(problem.maps() * spans_of(problem))), dim3(kThreads),
                          in_shared ? shared : 0};
    choose<T>(problem, grad, [&](auto n, auto held) {
      launch(what, shape, stream, gradient_kernel<T, decltype(n)::value, decltype(held)::value>,
             maps_of<T>(problem, {nullptr, nullptr}), in_shared, derivatives,
             static_cast<T*>(grad));
    });
  });
}

}  // namespace tubeskel::cuda
