// Fibers: stacks of their own that one OS thread switches between.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace cuda_emulator {

struct Fiber {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context = {};
#endif
  const void* stack = nullptr;  // its lowest address
  size_t stack_size = 0;
  void* fake_stack = nullptr;  // AddressSanitizer's
};

// Makes `fiber` one that will call `entry`, which never returns, on stack number `stack`. A stack
// ends in a guard page.
void prepare(Fiber& fiber, size_t stack, void (*entry)());

// Leaves `from`, which comes back when another fiber switches to it; not if it `ends`.
void switch_fiber(Fiber& from, Fiber& to, bool ends = false);

// What a fiber calls first.
void arrived();

// After fibers were left in the middle: their frames are no more.
void forget_frames();

}  // namespace cuda_emulator
