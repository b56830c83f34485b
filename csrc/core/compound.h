// Dice + cross-entropy + skeleton recall: what a pixel adds to the sums of a class, the loss as a
// function of these sums, and the gradient of a pixel's logits.
//
// With s the predicted probabilities, t the target and y the tubed skeleton, each term of the loss
// is a function of a few sums over the pixels of each class (`Sum`), so:
//
//   1. one pass over the logits takes the sums,
//   2. `compound_terms` makes of them the terms and d loss / d sum for each class,
//   3. another pass makes the gradient of each pixel from these derivatives, as follows.
//
// Let g_X be d loss / d sum X of a class. To d loss / d s_c a pixel contributes
//
//   a_c = g_predicted + [t = c] g_intersection + [y = c] g_recalled
//
// and to d loss / d log s_c, where the sums hold -log s,
//
//   b_c = -g_uniform - [t = c] g_cross_entropy   (and - [y = c] g_recalled if that sums -log s).
//
// Through the softmax logit c then has the gradient
//
//   s_c (a_c - D) + b_c,   D = sum_j (s_j a_j + b_j).
//
// With a sigmoid each channel has a target of its own, 0 or 1, and s (1 - s) is the derivative of
// its probability.
//
// Rules take real numbers and bools, or vectors of them.
#pragma once

#include "srl.h"

namespace tubeskel::core {

// Sums over the pixels of a sample that are not ignored, one each for every class.
enum Sum {
  kIntersection,  // s where the target is the class
  kPredicted,     // s
  kTarget,        // pixels of the class in the target
  kCrossEntropy,  // cross-entropy, by the pixel's class (softmax) or the channel (sigmoid)
  kUniform,       // -log s of the class; with a sigmoid -log s - log(1 - s)
  kRecalled,      // s on the tube of the class, or -log s there
  kTube,          // pixels of its tube
  kPixels,        // pixels; with a sigmoid only
  kSums
};

enum class Recall { kLinear, kLog, kCrossEntropy, kTversky };

// ---- 1. sums: what a pixel with probability s of a class adds to those of the class

// Any pixel, with a softmax.
template <class Real>
TUBESKEL_INLINE void add_pixel(Real* sums, const Real& s) {
  sums[kPredicted] += s;
}

// A pixel that has the class in the target.
template <class Real, class Mask>
TUBESKEL_INLINE void add_target(Real* sums, const Real& s, const Mask& own) {
  const Real zero{}, one = splat<Real>(1);
  sums[kIntersection] += own ? s : zero;
  sums[kTarget] += own ? one : zero;
}

// The cross-entropy of a pixel, of those that count for the class.
template <class Real, class Mask>
TUBESKEL_INLINE void add_cross_entropy(Real* sums, const Real& cross_entropy, const Mask& counts) {
  sums[kCrossEntropy] += counts ? cross_entropy : Real{};
}

// A pixel on the tube of the class.
template <class Real, class Mask>
TUBESKEL_INLINE void add_tube(Real* sums, const Real& s, const Real& minus_log_s, const Mask& tube,
                              bool log_recall) {
  const Real zero{}, one = splat<Real>(1);
  sums[kRecalled] += tube ? (log_recall ? minus_log_s : s) : zero;
  sums[kTube] += tube ? one : zero;
}

// Any pixel, with a softmax and label smoothing.
template <class Real, class Mask>
TUBESKEL_INLINE void add_smoothing(Real* sums, const Real& minus_log_s, const Mask& valid) {
  sums[kUniform] += valid ? minus_log_s : Real{};
}

// A pixel of a channel with a sigmoid: log_sum = log(1 + exp(-|z|)).
template <class Real, class Mask>
TUBESKEL_INLINE void add_sigmoid(Real* sums, const Real& z, const Real& s, const Real& log_sum,
                                 const Mask& valid, const Mask& own, const Mask& tube,
                                 bool log_recall) {
  const Real zero{}, one = splat<Real>(1);
  const Real minus_log_s = log_sum + (z < zero ? -z : zero);
  const Real minus_log_q = log_sum + (z > zero ? z : zero);  // q = 1 - s
  sums[kPixels] += valid ? one : zero;
  sums[kPredicted] += valid ? s : zero;
  sums[kUniform] += valid ? minus_log_s + minus_log_q : zero;
  add_cross_entropy(sums, own ? minus_log_s : minus_log_q, valid);
  add_target(sums, s, own);
  add_tube(sums, s, minus_log_s, tube, log_recall);
}

// ---- 2. the loss

struct CompoundOptions {
  bool softmax;
  bool batch;               // Dice and recall of all samples together, else the mean over samples
  bool include_background;  // in Dice
  bool all_classes;         // recall counts absent classes too
  Recall recall;
  double dice_smooth, recall_smooth, label_smoothing;
  double false_positives;       // weight of them in Recall::kTversky
  double weights[3];            // of the terms
  const double* class_weights;  // [channels] of the cross-entropy, or null
};

enum Term { kDiceTerm, kCrossEntropyTerm, kRecallTerm, kTerms };

// A function of the sums of a class, and its derivatives.
struct ClassTerm {
  double value = 0;
  double derivatives[kSums] = {};
};

TUBESKEL_INLINE double at_least(double bound, double x) {
  return x < bound ? bound : x;  // which keeps NaN
}

// Minus the Dice coefficient.
TUBESKEL_INLINE ClassTerm dice_term(const double* sums, double smooth) {
  const double sizes = sums[kTarget] + sums[kPredicted] + smooth, size = at_least(1e-8, sizes);
  ClassTerm term;
  term.value = -(2 * sums[kIntersection] + smooth) / size;
  term.derivatives[kIntersection] = -2 / size;
  term.derivatives[kPredicted] = sizes <= 1e-8 ? 0 : -term.value / size;
  return term;
}

// One of `terms` recalls in the mean.
TUBESKEL_INLINE ClassTerm recall_term(const double* sums, double terms,
                                      const CompoundOptions& options) {
  const double smooth = options.recall_smooth;
  const double weight = srl_weight(sums[kTube], smooth, terms);  // negative
  const double recalled = sums[kRecalled] + smooth;
  ClassTerm term;
  switch (options.recall) {
    case Recall::kLinear:
      term.value = weight * recalled;
      term.derivatives[kRecalled] = weight;
      break;
    case Recall::kLog: {
      const double recall = -weight * terms * recalled;
      term.value = -log(at_least(1e-30, recall)) / terms;
      term.derivatives[kRecalled] = recall <= 1e-30 ? 0 : -1 / (terms * recalled);
      break;
    }
    case Recall::kCrossEntropy:
      term.value = -weight * sums[kRecalled];
      term.derivatives[kRecalled] = -weight;
      break;
    case Recall::kTversky: {
      const double outside = options.false_positives * (sums[kPredicted] - sums[kIntersection]);
      const double size = at_least(1e-8, sums[kTube] + outside + smooth);
      term.value = -recalled / (terms * size);
      term.derivatives[kRecalled] = -1 / (terms * size);
      term.derivatives[kPredicted] = -term.value / size * options.false_positives;
      term.derivatives[kIntersection] = -term.derivatives[kPredicted];
      break;
    }
  }
  return term;
}

// With label smoothing shared by all classes.
TUBESKEL_INLINE ClassTerm cross_entropy_term(const double* sums, double smoothing,
                                             const CompoundOptions& options) {
  ClassTerm term;
  term.derivatives[kCrossEntropy] = 1 - options.label_smoothing;
  term.derivatives[kUniform] = smoothing;
  term.value = term.derivatives[kCrossEntropy] * sums[kCrossEntropy];
  if (smoothing > 0) term.value += smoothing * sums[kUniform];
  return term;
}

// How work on n items is done: here one after the other. `each` calls body(i) for all of them,
// `total` adds up what each worker has found, for all workers.
struct OneByOne {
  template <class Body>
  TUBESKEL_INLINE void each(int64_t n, const Body& body) const {
    for (int64_t i = 0; i < n; ++i) body(i);
  }
  TUBESKEL_INLINE double total(double found) const { return found; }
};

// Writes terms[kTerms], not weighted, and derivatives[samples, channels, kSums], those of the
// weighted loss with respect to the sums of that shape. Returns the loss. A term without weight
// leaves the loss alone, even if it is infinite.
template <class Workers = OneByOne>
TUBESKEL_INLINE double compound_terms(const double* sums, int64_t samples, int64_t channels,
                                      const CompoundOptions& options, double* terms,
                                      double* derivatives, const Workers& workers = {}) {
  // The cross-entropy is a mean over all pixels, weighted by their classes with a softmax.
  const auto class_weight = [&](int64_t k) {
    return options.class_weights ? options.class_weights[k] : 1.0;
  };
  double size = 0;
  workers.each(samples * channels, [&](int64_t i) {
    size += options.softmax ? class_weight(i % channels) * sums[i * kSums + kTarget]
                            : sums[i * kSums + kPixels];
  });
  size = workers.total(size);
  const double smoothing = options.label_smoothing / (options.softmax ? double(channels) : 2.0);

  // Dice and recall are functions of the sums of a group: all samples, or one.
  const int64_t members = options.batch ? samples : 1;
  const int64_t foreground = options.softmax ? 1 : 0;  // the first class of it
  const int64_t first_dice = options.include_background ? 0 : foreground;
  double found[kTerms] = {};
  for (int64_t first = 0; first < samples; first += members) {
    const double groups = double(samples) / double(members);
    const auto total = [&](int64_t k, int j) {
      double sum = 0;
      for (int64_t i = first; i < first + members; ++i) sum += sums[(i * channels + k) * kSums + j];
      return sum;
    };
    const auto counts = [&](int64_t k, double tube) {
      return k >= foreground && (options.all_classes || tube > 0);
    };
    double considered = 0;
    workers.each(channels, [&](int64_t k) { considered += counts(k, total(k, kTube)); });
    considered = workers.total(considered);
    workers.each(channels, [&](int64_t k) {
      double of_class[kSums], of_group[kSums] = {};
      TUBESKEL_UNROLL(8)
      for (int j = 0; j < kSums; ++j) of_class[j] = total(k, j);
      const auto add = [&](Term which, const ClassTerm& term, double share, double* to) {
        found[which] += share * term.value;
        const double weight = share * options.weights[which];
        for (int j = 0; weight != 0 && j < kSums; ++j) to[j] += weight * term.derivatives[j];
      };
      if (k >= first_dice)
        add(kDiceTerm, dice_term(of_class, options.dice_smooth),
            1 / (double(channels - first_dice) * groups), of_group);
      if (counts(k, of_class[kTube]))
        add(kRecallTerm, recall_term(of_class, considered * groups, options), 1, of_group);
      for (int64_t i = first; i < first + members; ++i) {
        const double* const own = sums + (i * channels + k) * kSums;
        double* const to = derivatives + (i * channels + k) * kSums;
        for (int j = 0; j < kSums; ++j) to[j] = of_group[j];
        if (size != 0)
          add(kCrossEntropyTerm, cross_entropy_term(own, smoothing, options),
              class_weight(k) / size, to);
      }
    });
  }

  double loss = 0;
  for (int i = 0; i < kTerms; ++i) {
    terms[i] = workers.total(found[i]);
    if (options.weights[i] != 0) loss += options.weights[i] * terms[i];
  }
  return loss;
}

// ---- 3. the gradient; g[kSums] holds d loss / d sum of a class

// Through the softmax, the parts of D: of every class, which is linear in s but for a constant; of
// the pixel's class in the target; of its class on the tube. The latter two are also added to the
// gradients of these classes.
template <class Real, class Element>
TUBESKEL_INLINE Real mean_part(const Element* g, const Real& s) {
  return s * g[kPredicted];
}
template <class Element>
TUBESKEL_INLINE Element mean_constant(const Element* g) {
  return -g[kUniform];
}
template <class Real, class Element>
TUBESKEL_INLINE Real target_part(const Element* g, const Real& s) {
  return s * g[kIntersection] - g[kCrossEntropy];
}
template <class Real, class Element>
TUBESKEL_INLINE Real tube_part(const Element* g, const Real& s, bool log_recall) {
  return log_recall ? splat<Real>(-g[kRecalled]) : s * g[kRecalled];
}

// Gradient of the logit of a class, without what its own parts add.
template <class Real, class Element>
TUBESKEL_INLINE Real logit_gradient(const Element* g, const Real& s, const Real& mean) {
  return s * (g[kPredicted] - mean) - g[kUniform];
}

// Of one channel's logit with a sigmoid: q = 1 - s.
template <class Real, class Element, class Mask>
TUBESKEL_INLINE Real sigmoid_gradient(const Element* g, const Real& s, const Real& q,
                                      const Mask& own, const Mask& tube, bool log_recall) {
  const Real zero{}, slope = s * q;
  const Real recalled = log_recall ? q * -g[kRecalled] : slope * g[kRecalled];
  return slope * (g[kPredicted] + (own ? splat<Real>(g[kIntersection]) : zero)) +
         (own ? -q : s) * g[kCrossEntropy] + (s - q) * g[kUniform] + (tube ? recalled : zero);
}

}  // namespace tubeskel::core
