// What the bits of an array's elements mean, and which of them are foreground. The functions are
// host code.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tubeskel::core {

enum class Kind { kUnsigned, kSigned, kFloat, kBrainFloat };  // bool is kUnsigned

struct ElementType {
  Kind kind;
  int size;  // bytes: 1, 2, 4 or 8
};

// Which pixels count as foreground, on the bits of any integer or float type. All fields hold
// values of the pixel type, zero-extended.
struct Foreground {
  uint64_t magnitude = ~0ull;  // bits that tell zero from nonzero (all but the sign for floats)
  uint64_t largest = ~0ull;    // a magnitude above it is invalid: NaN, or a class out of range
  uint64_t ignored = 0;        // this value is background too
  bool one_class = false;      // if set, only `wanted` is foreground
  uint64_t wanted = 0;
};

struct FloatFormat {
  int mantissa_bits, exponent_bits;
};

inline FloatFormat format_of(ElementType type) {
  if (type.kind == Kind::kBrainFloat) return {7, 8};
  if (type.size == 2) return {10, 5};
  return type.size == 4 ? FloatFormat{23, 8} : FloatFormat{52, 11};
}

inline bool is_float(ElementType type) {
  return type.kind == Kind::kFloat || type.kind == Kind::kBrainFloat;
}

inline uint64_t all_bits(ElementType type) {
  return type.size == 8 ? ~0ull : (1ull << (8 * type.size)) - 1;
}

// Bits of an integer as an element of this type; false if the type cannot hold it.
inline bool bits_of(ElementType type, int64_t value, uint64_t& bits) {
  if (is_float(type)) {
    const FloatFormat format = format_of(type);
    const double magnitude = std::fabs(double(value));
    if (value == 0) {
      bits = 0;
      return true;
    }
    int exponent;
    const double fraction = std::frexp(magnitude, &exponent);  // in [0.5, 1)
    const double significand = std::ldexp(fraction, format.mantissa_bits + 1);
    const int bias = (1 << (format.exponent_bits - 1)) - 1;
    if (significand != std::floor(significand) || exponent - 1 > bias) return false;
    bits = uint64_t(exponent - 1 + bias) << format.mantissa_bits;
    bits |= uint64_t(significand) & ((1ull << format.mantissa_bits) - 1);
    if (value < 0) bits |= 1ull << (8 * type.size - 1);
    return true;
  }
  const int width = 8 * type.size;
  if (type.kind == Kind::kUnsigned) {
    if (value < 0 || (width < 64 && value >> width)) return false;
  } else if (width < 64 && (value < -(1ll << (width - 1)) || value >= 1ll << (width - 1))) {
    return false;
  }
  bits = uint64_t(value) & all_bits(type);
  return true;
}

// Every nonzero value is foreground, NaN is invalid.
inline Foreground nonzero(ElementType type) {
  Foreground foreground;
  if (is_float(type)) {
    const FloatFormat format = format_of(type);
    foreground.magnitude = all_bits(type) >> 1;
    foreground.largest = ((1ull << format.exponent_bits) - 1) << format.mantissa_bits;
  } else {
    foreground.magnitude = foreground.largest = all_bits(type);
  }
  return foreground;
}

// Nonzero labels below `num_classes` are foreground (all, if it is 0); `ignored` is background
// unless it is null.
inline Foreground labels_of_classes(ElementType type, int64_t num_classes, const int64_t* ignored) {
  Foreground foreground = nonzero(type);
  if (num_classes > 0) {
    uint64_t largest;
    if (bits_of(type, num_classes - 1, largest)) foreground.largest = largest;
    // A type too narrow for the last class can still hold negative values.
    if (type.kind == Kind::kSigned)
      foreground.largest = std::min(foreground.largest, all_bits(type) >> 1);
  }
  uint64_t bits;
  if (ignored && bits_of(type, *ignored, bits)) foreground.ignored = bits;
  return foreground;
}

}  // namespace tubeskel::core
