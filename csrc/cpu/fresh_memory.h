// Memory that nobody has touched yet.
#pragma once

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace tubeskel::cpu {

// Whether the system has yet to make the page of an address, as in a block that malloc just got
// from it; false if that is not known.
inline bool is_fresh(const void* address) {
#ifdef __linux__
  const uintptr_t size = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t page = uintptr_t(address) / size * size;
  unsigned char made = 1;
  return mincore(reinterpret_cast<void*>(page), size, &made) == 0 && !(made & 1);
#else
  (void)address;
  return false;
#endif
}

}  // namespace tubeskel::cpu
