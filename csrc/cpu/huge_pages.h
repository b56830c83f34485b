// Large results that are about to be written whole for the first time.
#pragma once

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace tubeskel::cpu {

// Asks for huge pages where the memory has none yet: a page of 2 MiB is made in about the time of
// 30 small ones. Only a hint, which a system may ignore.
inline void prefer_huge_pages(void* data, int64_t bytes) {
#ifdef __linux__
  constexpr uintptr_t kHugePage = 1 << 21;
  const uintptr_t start = uintptr_t(data);
  const uintptr_t first = (start + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t last = (start + uintptr_t(bytes)) / kHugePage * kHugePage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

}  // namespace tubeskel::cpu
