#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
extern "C" void __asan_handle_no_return();
#endif

namespace cuda_emulator {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStackSize = 128 * 1024;

std::vector<char*> stacks;  // never given back: the next launch uses them
Fiber* left = nullptr;      // by the latest switch
Fiber* entered = nullptr;

char* stack_at(size_t index) {
  while (stacks.size() <= index) {
    void* const base = mmap(nullptr, kPage + kStackSize, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED || mprotect(base, kPage, PROT_NONE) != 0) throw std::bad_alloc();
    stacks.push_back(static_cast<char*>(base) + kPage);
  }
  return stacks[index];
}

}  // namespace

#if defined(__x86_64__)

// Saves what the System V ABI has a function keep, and the stack pointer.
extern "C" void cuda_emulator_switch(void** from, void* to);
asm(R"(
.text
.globl cuda_emulator_switch
.hidden cuda_emulator_switch
.type cuda_emulator_switch, @function
cuda_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_emulator_switch, .-cuda_emulator_switch
)");

void prepare(Fiber& fiber, size_t stack, void (*entry)()) {
  char* const base = stack_at(stack);
  fiber = {nullptr, base, kStackSize, nullptr};
  // Tops differ, so that the stacks do not all meet in the same cache sets.
  void** top = reinterpret_cast<void**>(base + kStackSize - stack % 32 * 128);
  *--top = nullptr;  // entry's return address: it has none
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fiber.stack_pointer = top;
}

static void switch_stack(Fiber& from, Fiber& to) {
  cuda_emulator_switch(&from.stack_pointer, to.stack_pointer);
}

#else

void prepare(Fiber& fiber, size_t stack, void (*entry)()) {
  char* const base = stack_at(stack);
  fiber.stack = base;
  fiber.stack_size = kStackSize;
  fiber.fake_stack = nullptr;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = base;
  fiber.context.uc_stack.ss_size = kStackSize;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, entry, 0);
}

static void switch_stack(Fiber& from, Fiber& to) {
  swapcontext(&from.context, &to.context);
}

#endif

#if defined(__SANITIZE_ADDRESS__)

void arrived() {
  __sanitizer_finish_switch_fiber(entered->fake_stack, &left->stack, &left->stack_size);
}

void switch_fiber(Fiber& from, Fiber& to, bool ends) {
  left = &from;
  entered = &to;
  if (ends) __asan_handle_no_return();  // the frames here never return
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, to.stack, to.stack_size);
  switch_stack(from, to);
  arrived();
}

void forget_frames() {
  for (char* const stack : stacks) __asan_unpoison_memory_region(stack, kStackSize);
}

#else

void arrived() {}

void switch_fiber(Fiber& from, Fiber& to, bool) {
  switch_stack(from, to);
}

void forget_frames() {}

#endif

}  // namespace cuda_emulator
