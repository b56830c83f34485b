// Skeleton Recall Loss of one pixel, and the exponential it needs.
//
// With y the tubed skeleton, s the predicted probability and K the classes considered, eq. 1 of
// "Reassessing utility of topology based losses for image segmentation" is
//
//   L = -1/|K| sum_k (sum_i s_ik y_ik + smooth) / (sum_i y_ik + smooth).
//
// The denominators hold no prediction. They are known before the logits are read, and with them the
// gradient (eq. 2): dL/ds_ik = w_k y_ik with the constant w_k = -1 / (|K| (sum_i y_ik + smooth)).
// So one pass over the logits gives both: a tube pixel of class k adds w_k s_k to the loss, and
// through the softmax w_k s_k (delta_kc - s_c) to the gradient of logit c. Other pixels add nothing
// to either, whatever their logits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "neighbours.h"

namespace tubeskel::core {

// Weight w_k of a class with `count` tube pixels, one of `terms` recalls in the mean. The bound an
// absent class with smooth = 0 finite, as the reference implementation does.
TUBESKEL_INLINE double srl_weight(double count, double smooth, double terms) {
  const double denominator = count + smooth;
  return -1.0 / (terms * (denominator > 1e-8 ? denominator : 1e-8));
}

// exp(x) within 2 units in the last place on [-87, 88], clamped outside, NaN kept; free of
// branches, so that compilers vectorise loops over it.
TUBESKEL_INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = (x * 1.44269504f + shift) - shift;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // x - n ln 2 in two parts
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const int32_t exponent = (int32_t(n) + 127) << 23;
  float power;
  memcpy(&power, &exponent, sizeof power);
  return p * power;
}
TUBESKEL_INLINE double exponential(double x) {
  return std::exp(x);
}

TUBESKEL_INLINE float absolute(float x) {
  return fabsf(x);
}
TUBESKEL_INLINE double absolute(double x) {
  return fabs(x);
}

}  // namespace tubeskel::core
