// The GPU that the emulator plays.
#pragma once

#include <cstddef>

#include "grid.h"

namespace cuda_emulator {

struct Device {
  int multiprocessors = 3;
  int blocks_per_multiprocessor = 2;
  size_t shared_per_block = 99 * 1024;  // at most, if asked for
  int capability = 89;
  Schedule schedule;
};
extern Device device;

}  // namespace cuda_emulator
