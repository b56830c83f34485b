// The inner loops for x86-64 with AVX2.
#ifdef __x86_64__
#include <immintrin.h>

#include <limits>
#include <optional>
#include <type_traits>

#include "kernels.h"

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,popcnt"))), \
                             apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi,popcnt")
#endif
#define TUBESKEL_TARGET avx2
#define TUBESKEL_TARGET_NAME "avx2"
#define TUBESKEL_VECTOR_BYTES 32
#include "kernels_impl.h"

#include "elements_impl.h"

#include "srl_impl.h"

#include "compound_impl.h"

#include "soft_cldice_impl.h"

#include "kernels_table.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
