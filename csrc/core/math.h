// Exponential and logarithm of a real number or of a vector of them (GCC's vector extension), free
// of branches, so that loops over the scalar ones vectorise too.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "neighbours.h"

namespace tubeskel::core {

template <class Real, bool = std::is_floating_point_v<Real>>
struct Lanes {
  using Element = Real;
  using Integers = uint32_t;
};
template <class Vector>
struct Lanes<Vector, false> {
  using Element = std::decay_t<decltype(std::declval<Vector&>()[0])>;
  using Integers = decltype(Vector() < Vector());
};

template <class Real>
inline constexpr bool kIsDouble = std::is_same_v<typename Lanes<Real>::Element, double>;

// The same value in every lane.
template <class Real>
TUBESKEL_INLINE Real splat(typename Lanes<Real>::Element value) {
  return value - Real{};  // minus zero: nothing is left of it
}

template <class To, class From>
TUBESKEL_INLINE To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// Applies a function of doubles to each lane.
template <class Real, class Function>
TUBESKEL_INLINE Real each_lane(Real x, const Function& function) {
  if constexpr (std::is_floating_point_v<Real>) {
    return function(x);
  } else {
    for (unsigned i = 0; i < sizeof(Real) / sizeof(double); ++i) x[i] = function(x[i]);
    return x;
  }
}

// The same value, unknown to the compiler: GCC makes one instruction of x < bound ? bound : x only
// if the bound is no constant.
template <class Real>
TUBESKEL_INLINE Real opaque(Real value) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if constexpr (!std::is_floating_point_v<Real>) asm("" : "+v"(value));
#endif
  return value;
}

// exp(x) for x <= 88, and otherwise as `exponential`.
template <class Real>
TUBESKEL_INLINE Real small_exponential(Real x) {
  if constexpr (kIsDouble<Real>) {
    return each_lane(x, [](double lane) { return std::exp(lane); });
  } else {
    using Integers = typename Lanes<Real>::Integers;
    const Real least = opaque(splat<Real>(-87.0f));
    x = x < least ? least : x;
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const Real shifted = x * 1.44269504f + shift;
    const Real n = shifted - shift;
    const Real r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // x - n ln 2 in two parts
    Real p = splat<Real>(0.001381454f);  // (exp(r) - 1 - r) / r^2, a minimax fit
    p = p * r + 0.00836874511f;
    p = p * r + 0.0416683908f;
    p = p * r + 0.166665204f;
    p = p * r + 0.499999934f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const Integers exponent = bits_as<Integers>(shifted) - 0x4b400000 + 127;  // of 2^n
    return p * bits_as<Real>(Integers(exponent << 23));
  }
}

// exp(x). For floats within 2 units in the last place on [-87, 88], clamped outside, NaN kept.
template <class Real>
TUBESKEL_INLINE Real exponential(Real x) {
  if constexpr (!kIsDouble<Real>) x = x > 88.0f ? splat<Real>(88.0f) : x;
  return small_exponential(x);
}

// log(x) for x >= 1. For floats within 2 units in the last place; infinity and NaN kept.
template <class Real>
TUBESKEL_INLINE Real logarithm(Real x) {
  if constexpr (kIsDouble<Real>) {
    return each_lane(x, [](double lane) { return std::log(lane); });
  } else {
    using Integers = typename Lanes<Real>::Integers;
    // x = m 2^k with m in [sqrt(1/2), sqrt(2)), whose lower end has the bits 0x3f3504f3
    const Integers bits = bits_as<Integers>(x);
    const Integers k = (bits - 0x3f3504f3) >> 23;
    const Real f = bits_as<Real>(Integers(bits - (k << 23))) - 1.0f;
    const Real n = bits_as<Real>(Integers(k + 0x4b000000)) - 8388608.0f;  // k as a float
    Real p = splat<Real>(-0.0763449302f);  // (log(1 + f) - f + f^2 / 2) / f^3, a minimax fit
    p = p * f + 0.127615756f;
    p = p * f - 0.131601831f;
    p = p * f + 0.142017582f;
    p = p * f - 0.166233573f;
    p = p * f + 0.200012269f;
    p = p * f - 0.25000821f;
    p = p * f + 0.333333317f;
    const Real square = f * f;
    const Real rest = p * f * square - n * 2.12194440e-4f;
    const Real result = (rest - square * 0.5f) + f + n * 0.693359375f;
    return x <= 3.40282347e38f ? result : x;
  }
}

template <class Real>
TUBESKEL_INLINE Real absolute(Real x) {
  if constexpr (std::is_floating_point_v<Real>) {
    return std::fabs(x);
  } else {
    using Integers = typename Lanes<Real>::Integers;  // signed
    const auto sign = bits_as<Integers>(splat<Real>(-0.0f));
    return bits_as<Real>(Integers(bits_as<Integers>(x) & ~sign));
  }
}

}  // namespace tubeskel::core
