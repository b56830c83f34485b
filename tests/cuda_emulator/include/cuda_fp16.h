#pragma once

#include "cuda_runtime.h"

struct alignas(2) __half {
  uint16_t bits;
};
struct alignas(4) __half2 {
  __half x, y;
};
using half = __half;
using half2 = __half2;

inline float __half2float(__half value) {
  const unsigned sign = unsigned(value.bits & 0x8000) << 16, exponent = value.bits >> 10 & 31;
  const unsigned fraction = value.bits & 0x3ff;
  if (exponent == 31) return __uint_as_float(sign | 0x7f800000 | fraction << 13);
  const float size =
      std::ldexp(float(exponent ? fraction | 0x400 : fraction), int(exponent ? exponent : 1) - 25);
  return sign ? -size : size;
}

inline __half __float2half_rn(float value) {
  const uint16_t sign = uint16_t(__float_as_uint(value) >> 16 & 0x8000);
  const float size = std::fabs(value);
  if (size != size) return {0x7fff};
  if (size >= 65520) return {uint16_t(sign | 0x7c00)};
  int exponent = -14;
  if (size >= 0x1p-14f) exponent = std::ilogb(size);
  // A multiple of the spacing of halves there, to even as the rounding mode is by default. A carry
  // out of the fraction is a carry into the exponent.
  const unsigned units = unsigned(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return {uint16_t(sign | (units + (unsigned(exponent + 14) << 10)))};
}

inline __half __float2half(float value) {
  return __float2half_rn(value);
}
inline float2 __half22float2(__half2 pair) {
  return {__half2float(pair.x), __half2float(pair.y)};
}
inline __half2 __float22half2_rn(float2 pair) {
  return {__float2half_rn(pair.x), __float2half_rn(pair.y)};
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {__float2half_rn(x), __float2half_rn(y)};
}
inline unsigned short __half_as_ushort(__half value) {
  return value.bits;
}
inline __half __ushort_as_half(unsigned short bits) {
  return {bits};
}
