// The softmax of one pixel in one pass over its channels, which lie far apart.
#pragma once

#include <cfloat>

namespace tubeskel::cuda {

// The runtime's own: within 1 unit in the last place, and 0 at minus infinity. Core's, which
// clamps, is for CPUs, whose vectors have no exponential.
__device__ inline float exponential(float x) {
  return expf(x);
}
__device__ inline double exponential(double x) {
  return exp(x);
}

__device__ inline float logarithm(float x) {
  return logf(x);
}
__device__ inline double logarithm(double x) {
  return log(x);
}

__device__ inline float absolute(float x) {
  return fabsf(x);
}
__device__ inline double absolute(double x) {
  return fabs(x);
}

// A probability and what it lacks to 1, both to full relative precision; 1 + exp(-|x|).
template <class Real>
struct Sigmoid {
  Real of, rest, sum;

  __device__ explicit Sigmoid(Real x) {
    const Real e = exponential(-absolute(x));
    sum = Real(1) + e;
    const Real larger = Real(1) / sum, smaller = e * larger;
    of = x < 0 ? smaller : larger;
    rest = x < 0 ? larger : smaller;
  }
};

// `add` all logits, then `finish`, then ask for probabilities. As in PyTorch one NaN or infinity
// makes all of them NaN; minus infinity has the probability 0.
template <class Real>
struct Softmax {
  Real largest = sizeof(Real) == 8 ? Real(-DBL_MAX) : Real(-FLT_MAX);
  Real sum = 0;  // of exp(x - largest); once finished, its inverse

  __device__ void add(Real x) {
    const Real e = exponential(-absolute(x - largest));
    sum = x > largest ? sum * e + 1 : sum + e;
    largest = x > largest ? x : largest;
  }
  __device__ void finish() { sum = 1 / (sum + (largest - largest)); }
  __device__ Real probability(Real x) const { return exponential(x - largest) * sum; }
};

}  // namespace tubeskel::cuda
