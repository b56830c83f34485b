// The inner loops for any CPU: 16-byte vectors, which the compiler maps to SSE2 or NEON.
#include <limits>
#include <optional>
#include <type_traits>

#include "kernels.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define TUBESKEL_TARGET baseline
#define TUBESKEL_TARGET_NAME "baseline"
#define TUBESKEL_VECTOR_BYTES 16
#include "kernels_impl.h"

#include "elements_impl.h"

#include "srl_impl.h"

#include "compound_impl.h"

#include "soft_cldice_impl.h"

#include "kernels_table.h"
