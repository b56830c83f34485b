#include "element_type.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "kernels.h"

namespace tubeskel::cpu {

namespace {

struct FloatFormat {
  int mantissa_bits, exponent_bits;
};

FloatFormat format_of(ElementType type) {
  if (type.kind == Kind::kBrainFloat) return {7, 8};
  if (type.size == 2) return {10, 5};
  return type.size == 4 ? FloatFormat{23, 8} : FloatFormat{52, 11};
}

bool is_float(ElementType type) {
  return type.kind == Kind::kFloat || type.kind == Kind::kBrainFloat;
}

uint64_t all_bits(ElementType type) {
  return type.size == 8 ? ~0ull : (1ull << (8 * type.size)) - 1;
}

uint64_t read(ElementType type, const void* data, int64_t index) {
  uint64_t bits = 0;  // the formats read here are little-endian, as every supported host
  std::memcpy(&bits, static_cast<const char*>(data) + index * type.size, size_t(type.size));
  return bits;
}

double float_value(ElementType type, uint64_t bits) {
  const FloatFormat format = format_of(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int exponent = int(bits >> format.mantissa_bits & ((1ull << format.exponent_bits) - 1));
  const uint64_t mantissa = bits & ((1ull << format.mantissa_bits) - 1);
  const double sign = bits >> (8 * type.size - 1) ? -1.0 : 1.0;
  if (exponent == 2 * bias + 1) return mantissa ? NAN : sign * INFINITY;
  const double significand = exponent ? double(mantissa | 1ull << format.mantissa_bits) : mantissa;
  return sign * std::ldexp(significand, (exponent ? exponent : 1) - bias - format.mantissa_bits);
}

}  // namespace

Foreground nonzero(ElementType type) {
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

Foreground labels_of_classes(ElementType type, int64_t num_classes, const int64_t* ignored) {
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

bool bits_of(ElementType type, int64_t value, uint64_t& bits) {
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

std::string to_string(ElementType type, const void* data, int64_t index) {
  const uint64_t bits = read(type, data, index);
  std::ostringstream text;
  if (is_float(type)) {
    text << float_value(type, bits);
  } else if (type.kind == Kind::kSigned) {
    const int unused = 64 - 8 * type.size;
    text << (int64_t(bits << unused) >> unused);
  } else {
    text << bits;
  }
  return text.str();
}

}  // namespace tubeskel::cpu
