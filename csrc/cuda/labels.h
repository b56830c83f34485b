// Labels of any integer type on the device, and what happens to those that are out of range.
#pragma once

#include <cuda_runtime.h>

#undef NDEBUG  // labels out of range are caught in release builds too
#include <cassert>
#include <cstdint>
#include <optional>

#include "../core/srl_problem.h"

namespace tubeskel::cuda {

// Labels as the bits of their type, zero-extended; any that is larger than `largest` is out of
// range, negative ones too.
struct LabelBits {
  const void* data;
  int size;
  uint64_t largest, ignored;
  bool ignoring;
  unsigned long long* first_invalid;

  __device__ uint64_t label(int64_t pixel) const {
    switch (size) {
      case 1:
        return static_cast<const uint8_t*>(data)[pixel];
      case 2:
        return static_cast<const uint16_t*>(data)[pixel];
      case 4:
        return static_cast<const uint32_t*>(data)[pixel];
      default:
        return static_cast<const uint64_t*>(data)[pixel];
    }
  }
  __device__ void refuse(int64_t pixel) const {
    assert(first_invalid && "label out of range; TUBESKEL_SYNC_CHECKS=1 says which");
    atomicMin(first_invalid, static_cast<unsigned long long>(pixel));
  }
  __device__ bool ignores(uint64_t label) const { return ignoring && label == ignored; }
  __device__ bool takes(uint64_t label) const { return label <= largest && !ignores(label); }
};

inline LabelBits bits_of(const core::Labels& labels, int64_t num_classes,
                         std::optional<int64_t> ignore_index, unsigned long long* first_invalid) {
  LabelBits bits = {labels.data, labels.type.size, 0, 0, false, first_invalid};
  bits.largest = core::labels_of_classes(labels.type, num_classes, nullptr).largest;
  bits.ignoring = ignore_index && core::bits_of(labels.type, *ignore_index, bits.ignored);
  return bits;
}

}  // namespace tubeskel::cuda
