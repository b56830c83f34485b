// The ops of tubeskel in a library of their own: CPU tensors, the CUDA kernels.
#include "../../csrc/bindings/schemas.h"

STABLE_TORCH_LIBRARY(TUBESKEL_EMULATED, m) {
  tubeskel::bindings::define_ops(m);
}
