// What an error says of a value that an operation does not take: NaN, or a label out of range.
#pragma once

#include <cmath>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>

#include "element_type.h"

namespace tubeskel::core {

struct InvalidValue : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// The argument that holds the value, and what is allowed.
struct Argument {
  std::string name, allowed;

  InvalidValue refusal(const std::string& value) const {
    return InvalidValue(name + " holds " + value + "; allowed: " + allowed);
  }
};
inline const Argument kImage = {"image", "every value but NaN"};

inline Argument labels_argument(const std::string& name, int64_t num_classes) {
  if (num_classes == 0) return {name, kImage.allowed};
  return {name, "0.." + std::to_string(num_classes - 1) + " and ignore_index"};
}

inline double float_value(ElementType type, uint64_t bits) {
  const FloatFormat format = format_of(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int exponent = int(bits >> format.mantissa_bits & ((1ull << format.exponent_bits) - 1));
  const uint64_t mantissa = bits & ((1ull << format.mantissa_bits) - 1);
  const double sign = bits >> (8 * type.size - 1) ? -1.0 : 1.0;
  if (exponent == 2 * bias + 1) return mantissa ? NAN : sign * INFINITY;
  const double significand = exponent ? double(mantissa | 1ull << format.mantissa_bits) : mantissa;
  return sign * std::ldexp(significand, (exponent ? exponent : 1) - bias - format.mantissa_bits);
}

inline std::string to_string(ElementType type, const void* data, int64_t index) {
  uint64_t bits = 0;  // the formats read here are little-endian, as every supported host
  std::memcpy(&bits, static_cast<const char*>(data) + index * type.size, size_t(type.size));
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

}  // namespace tubeskel::core
