#include "kernels.h"

#include <atomic>
#include <stdexcept>

namespace tubeskel::cpu {

namespace baseline {
extern const Kernels kKernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

namespace {

// What this CPU runs, widest last.
std::vector<const Kernels*> available() {
  std::vector<const Kernels*> all{&baseline::kKernels};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
    all.push_back(&avx2::kKernels);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
    all.push_back(&avx512::kKernels);
#endif
  return all;
}

std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> chosen{available().back()};
  return chosen;
}

}  // namespace

const Kernels& kernels() {
  return *current().load(std::memory_order_relaxed);
}

std::vector<std::string> available_instruction_sets() {
  std::vector<std::string> names;
  for (const Kernels* k : available()) names.push_back(k->name);
  return names;
}

void use_instruction_set(const std::string& name) {
  for (const Kernels* k : available()) {
    if (k->name == name) {
      current().store(k);
      return;
    }
  }
  throw std::invalid_argument("instruction set '" + name + "' is not available here");
}

}  // namespace tubeskel::cpu
