// Soft skeletons: morphological skeletons of grey values in 0..1, and their derivatives.
//
// With e_0 the image, e_{j+1} the erosion of e_j by the cross (the least of the 3-element windows
// along each axis), o_j the dilation of e_{j+1} by the box (the greatest of 3^d), soft-clDice of
// Shit et al., CVPR 2021, has
//
//   d_j = max(e_j - o_j, 0),   s_0 = d_0,   s_j = s_{j-1} + max(d_j - s_{j-1} d_j, 0).
//
// Outside the image there is nothing: windows are clipped. A box is dilated axis by axis, columns
// first. Derivatives are those that PyTorch takes of the chain of its pooling: the first of equal
// elements of a window, in raster order, gets all, and two equal windows of a cross get half each.
#pragma once

#include "neighbours.h"

namespace tubeskel::core {

template <class T>
TUBESKEL_INLINE T least(T a, T b) {
  return a < b ? a : b;
}
template <class T>
TUBESKEL_INLINE T greatest(T a, T b) {
  return a > b ? a : b;
}
template <class T>
TUBESKEL_INLINE T least(T a, T b, T c) {
  return least(least(a, b), c);
}
template <class T>
TUBESKEL_INLINE T greatest(T a, T b, T c) {
  return greatest(greatest(a, b), c);
}

// max(a - b, 0), for unsigned types too.
template <class T>
TUBESKEL_INLINE T excess(T a, T b) {
  return T(greatest(a, b) - b);
}

// s_j from s_{j-1} and d_j, both in 0..1.
template <class T>
TUBESKEL_INLINE T join(T skeleton, T found) {
  return T(skeleton + (found - skeleton * found));
}

// Derivatives of s_j by s_{j-1} and by d_j; the latter is 0 where d_j is.
template <class T>
struct JoinDerivatives {
  T skeleton, found;
};
template <class T>
TUBESKEL_INLINE JoinDerivatives<T> join_derivatives(T skeleton, T found) {
  const bool adds = found - skeleton * found > T(0);
  return {adds ? T(1) - found : T(1), adds ? T(1) - skeleton : T(0)};
}

// The derivative that the elements of a window get, whose least or greatest is `extreme`. The last
// one gets what is left: differences here are exact, and compilers make no branches of them.
template <class T>
struct Shares {
  T first, second, third;
};
template <class T>
TUBESKEL_INLINE Shares<T> first_of(T a, T b, T extreme, T derivative) {
  const T first = a == extreme ? derivative : T(0), left = derivative - first;
  const T second = b == extreme ? left : T(0);
  return {first, second, left - second};
}

// The share of a in the derivative of the lesser of a and b; that of b is what is left.
template <class T>
TUBESKEL_INLINE T share_of_lesser(T a, T b, T derivative) {
  const T half = derivative * T(0.5);
  return (a < b ? half : T(0)) + (a <= b ? half : T(0));
}

}  // namespace tubeskel::core
