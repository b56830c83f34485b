// Which pixels are foreground, for all the pixels that an unsigned integer holds at once.
//
// A word of type U holds sizeof(U) / kBytes pixels, its *lanes*. A predicate is answered in the
// highest bit of each lane, the others being zero, by arithmetic that carries nothing from lane to
// lane.
#pragma once

#include <cstdint>

#include "element_type.h"
#include "neighbours.h"

namespace tubeskel::core {

template <class U, int kBytes>
class ForegroundLanes {
 public:
  static constexpr int kLanes = int(sizeof(U)) / kBytes;

  TUBESKEL_INLINE explicit ForegroundLanes(const Foreground& foreground)
      : magnitude_(in_all_lanes(foreground.magnitude)),
        largest_(in_all_lanes(foreground.largest)),
        ignored_(in_all_lanes(foreground.ignored)),
        wanted_(in_all_lanes(foreground.wanted)),
        one_class_(foreground.one_class),
        all_valid_(one_class_ || largest_ == in_all_lanes(~0ull)) {}

  TUBESKEL_INLINE U foreground(U pixels) const {
    if (one_class_) return ~nonzero(pixels ^ wanted_) & kHigh;
    const U labelled = nonzero(pixels & magnitude_);
    return ignored_ == 0 ? labelled : labelled & nonzero(pixels ^ ignored_);
  }

  // Values that the foreground does not speak of; never any if a single class is asked for.
  TUBESKEL_INLINE U invalid(U pixels) const {
    if (all_valid_) return 0;
    return above(pixels & magnitude_, largest_) & nonzero(pixels ^ ignored_);
  }

  static TUBESKEL_INLINE U equal(U pixels, uint64_t value) {
    return ~nonzero(pixels ^ in_all_lanes(value)) & kHigh;
  }

  // Bit i of the result is the answer of lane i.
  static TUBESKEL_INLINE uint32_t bits_of(U answers) {
    if (kLanes == 1) return uint32_t(answers >> (8 * kBytes - 1));
    if (kLanes == 2) return uint32_t(answers >> 15 | answers >> 30) & 3;
    // The product gathers four bits, eight apart, at bit 24.
    return uint32_t(answers >> 7) * 0x01020408u >> 24;
  }

  // All bits of lane i are bit i of `bits`; for bits of kLanes.
  static TUBESKEL_INLINE U lanes_of(uint32_t bits) {
    if (kLanes == 1) return U(0) - U(bits & 1);
    if (kLanes == 2) return U((bits & 1) | (bits & 2) << 15) * U(0xffff);
    return U((bits * 0x00204081u & 0x01010101u) * 0xffu);
  }

 private:
  static constexpr U kLane = U(~0ull >> (64 - 8 * kBytes));
  static constexpr U kOnes = U(~U(0)) / kLane;
  static constexpr U kHigh = kOnes << (8 * kBytes - 1);

  static TUBESKEL_INLINE U in_all_lanes(uint64_t value) { return (U(value) & kLane) * kOnes; }
  static TUBESKEL_INLINE U nonzero(U x) { return (((x & ~kHigh) + ~kHigh) | x) & kHigh; }
  static TUBESKEL_INLINE U above(U a, U b) {
    const U low_not_above = (b | kHigh) - (a & ~kHigh);
    return ~((b & ~a) | (~(a ^ b) & low_not_above)) & kHigh;
  }

  U magnitude_, largest_, ignored_, wanted_;
  bool one_class_, all_valid_;
};

}  // namespace tubeskel::core
