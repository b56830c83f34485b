// Data races: accesses of two threads to the same bytes, one of them a write, that nothing orders:
// no barrier of the grid, the block or the warp, no pair of fences.
//
// Seen in builds with -fsanitize=thread, where the compiler calls a function before each access;
// those functions are ours, that sanitizer's own library is not linked. Atomics and accesses past
// the first-level cache (__ldcg, __stcg) do not race with each other: csrc/cuda uses them where
// blocks share flags. Writes of the value that is there already are no races either.
#pragma once

#include <cstddef>

namespace cuda_emulator {

// An atomic access is about to be made by a call that returns to `where`.
void note_atomic(const void* address, size_t size, bool writes, const void* where);

void note_fence();

// Forgets all accesses: another launch begins.
void forget_accesses();

// Reports the latest write if it raced; to be called before others run.
void settle_write();

}  // namespace cuda_emulator

// Marks a function that makes an atomic access, and notes the access in it.
#if defined(__SANITIZE_THREAD__)
#define CUDA_EMULATOR_ATOMIC __attribute__((no_sanitize_thread, noinline)) inline
#define CUDA_EMULATOR_NOTE(address, writes) \
  ::cuda_emulator::note_atomic(address, sizeof *address, writes, __builtin_return_address(0))
#else
#define CUDA_EMULATOR_ATOMIC inline
#define CUDA_EMULATOR_NOTE(address, writes) static_cast<void>(0)
#endif
