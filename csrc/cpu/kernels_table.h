// The table of one instruction set; the last include of each kernels_*.cpp.

namespace tubeskel::cpu::TUBESKEL_TARGET {

extern const Kernels kKernels;
const Kernels kKernels = {TUBESKEL_TARGET_NAME,
                          pack,
                          unpack,
                          select,
                          find_deletions,
                          find_lee,
                          recheck_lee,
                          dilate,
                          read_tube_tile,
                          srl_pixels,
                          compound_sums_tile,
                          compound_gradient_tile,
                          probabilities_tile,
                          soft_cldice_scratch,
                          soft_cldice_sums,
                          soft_cldice_gradient};

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
