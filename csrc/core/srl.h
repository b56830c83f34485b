// Skeleton Recall Loss of one pixel.
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

#include "math.h"

namespace tubeskel::core {

// Weight w_k of a class with `count` tube pixels, one of `terms` recalls in the mean. The bound an
// absent class with smooth = 0 finite, as the reference implementation does.
TUBESKEL_INLINE double srl_weight(double count, double smooth, double terms) {
  const double denominator = count + smooth;
  return -1.0 / (terms * (denominator > 1e-8 ? denominator : 1e-8));
}

}  // namespace tubeskel::core
