#include "element_type.h"

#include <cmath>
#include <cstring>
#include <sstream>

namespace tubeskel::cpu {

namespace {

uint64_t read(ElementType type, const void* data, int64_t index) {
  uint64_t bits = 0;  // the formats read here are little-endian, as every supported host
  std::memcpy(&bits, static_cast<const char*>(data) + index * type.size, size_t(type.size));
  return bits;
}

double float_value(ElementType type, uint64_t bits) {
  const core::FloatFormat format = core::format_of(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int exponent = int(bits >> format.mantissa_bits & ((1ull << format.exponent_bits) - 1));
  const uint64_t mantissa = bits & ((1ull << format.mantissa_bits) - 1);
  const double sign = bits >> (8 * type.size - 1) ? -1.0 : 1.0;
  if (exponent == 2 * bias + 1) return mantissa ? NAN : sign * INFINITY;
  const double significand = exponent ? double(mantissa | 1ull << format.mantissa_bits) : mantissa;
  return sign * std::ldexp(significand, (exponent ? exponent : 1) - bias - format.mantissa_bits);
}

}  // namespace

std::string to_string(ElementType type, const void* data, int64_t index) {
  const uint64_t bits = read(type, data, index);
  std::ostringstream text;
  if (core::is_float(type)) {
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
