// The inner loops for x86-64 with AVX-512 (F and BW): a block is one register, and any function of
// three words is one VPTERNLOG.
#ifdef __x86_64__
#include <immintrin.h>

#include <limits>
#include <optional>
#include <type_traits>

#include "kernels.h"

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,fma,f16c,bmi,popcnt"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,fma,f16c,bmi,popcnt,prefer-vector-width=512")
#endif
#define TUBESKEL_TARGET avx512
#define TUBESKEL_TARGET_NAME "avx512"
#define TUBESKEL_VECTOR_BYTES 64
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
