#include "races.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "grid.h"
#include "symbols.h"

namespace cuda_emulator {

namespace {

struct Access {
  const void* where = nullptr;  // return address of the call before it; null: no access
  bool writes = false, atomic = false;
  unsigned char bytes = 0;  // of a cell: a bit each
  Moment moment = {};
  unsigned fences = 0;  // of the launch until then
};

// The latest accesses to eight bytes.
struct Cell {
  std::array<Access, 4> recent;
  unsigned next = 0;
};
constexpr uintptr_t kCellBytes = 8, kCellsOfPage = 512;
using Page = std::array<Cell, kCellsOfPage>;

std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;
unsigned fences;
std::vector<unsigned> fence_of_block;  // the number of its latest

// A write over another one, which is a race if it changes what is there.
struct Write {
  const void* address = nullptr;
  size_t size;
  unsigned char before[16];
  Access access, other;
};
Write unsettled;

bool ordered(const Access& earlier, const Access& later) {
  const Moment &a = earlier.moment, &b = later.moment;
  if (a.grid_meetings != b.grid_meetings) return true;
  if (a.block == b.block)
    return a.block_meetings != b.block_meetings ||
           (a.thread / 32 == b.thread / 32 && a.warp_meetings < b.warp_meetings);
  const unsigned released = a.block < fence_of_block.size() ? fence_of_block[a.block] : 0;
  const unsigned acquired = b.block < fence_of_block.size() ? fence_of_block[b.block] : 0;
  return released > earlier.fences && acquired > released;
}

std::string describe(const Access& access) {
  std::ostringstream out;
  out << "thread " << access.moment.thread << " of block " << access.moment.block
      << (access.writes ? " writes" : " reads") << " (" << line_of_call(access.where) << ')';
  return out.str();
}

[[noreturn]] void report(const Access& access, const Access& other, const void* address) {
  unsettled.address = nullptr;
  trap("race in " + std::string(is_shared(address) ? "shared" : "global") +
       " memory: " + describe(access) + " what " + describe(other) + ", and nothing orders them");
}

void note(const void* address, size_t size, Access access) {
  settle_write();
  if (!in_kernel() || is_private(address)) return;
  access.moment = moment();
  access.fences = fences;
  const bool shared = is_shared(address);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(address), end = begin + size;
  for (uintptr_t at = begin; at < end;) {
    const uintptr_t cell_begin = at & ~(kCellBytes - 1);
    const uintptr_t until = std::min(end, cell_begin + kCellBytes);
    access.bytes = (unsigned char)(((1u << (until - at)) - 1) << (at - cell_begin));
    at = until;

    std::unique_ptr<Page>& page = pages[cell_begin / kCellBytes / kCellsOfPage];
    if (!page) page = std::make_unique<Page>();
    Cell& cell = (*page)[cell_begin / kCellBytes % kCellsOfPage];
    Access* place = nullptr;
    for (Access& other : cell.recent) {
      if (!other.where || (shared && other.moment.block != access.moment.block) ||
          ordered(other, access)) {
        other.where = nullptr;
        place = &other;
        continue;
      }
      if (!(other.bytes & access.bytes)) continue;
      if (other.moment.thread == access.moment.thread &&
          other.moment.block == access.moment.block) {
        if (other.bytes == access.bytes && other.writes <= access.writes &&
            other.atomic >= access.atomic)
          place = &other;
        continue;
      }
      if (!(other.writes || access.writes) || (other.atomic && access.atomic)) continue;
      if (!(other.writes && access.writes) || size > sizeof unsettled.before)
        report(access, other, address);
      unsettled.address = address;
      unsettled.size = size;
      std::memcpy(unsettled.before, address, size);
      unsettled.access = access;
      unsettled.other = other;
    }
    if (!place) place = &cell.recent[cell.next++ % cell.recent.size()];
    *place = access;
  }
}

}  // namespace

void settle_write() {
  if (unsettled.address && std::memcmp(unsettled.before, unsettled.address, unsettled.size) != 0)
    report(unsettled.access, unsettled.other, unsettled.address);
  unsettled.address = nullptr;
}

void note_atomic(const void* address, size_t size, bool writes, const void* where) {
  note(address, size, {where, writes, true});
}

void note_fence() {
  if (!in_kernel()) return;
  const unsigned block = moment().block;
  if (fence_of_block.size() <= block) fence_of_block.resize(block + 1);
  fence_of_block[block] = ++fences;
}

void forget_accesses() {
  pages.clear();
  fence_of_block.clear();
  fences = 0;
  unsettled.address = nullptr;
}

}  // namespace cuda_emulator

// ---- what the compiler calls

#define CUDA_EMULATOR_NOTED(name, size, writes, ...)                                  \
  extern "C" void __tsan_##name(const void* address, ##__VA_ARGS__);                  \
  extern "C" void __tsan_##name(const void* address, ##__VA_ARGS__) {                 \
    cuda_emulator::note(address, size, {__builtin_return_address(0), writes, false}); \
  }
#define CUDA_EMULATOR_NOTED_SIZE(size)                   \
  CUDA_EMULATOR_NOTED(read##size, size, false)           \
  CUDA_EMULATOR_NOTED(write##size, size, true)           \
  CUDA_EMULATOR_NOTED(unaligned_read##size, size, false) \
  CUDA_EMULATOR_NOTED(unaligned_write##size, size, true)

CUDA_EMULATOR_NOTED_SIZE(1)
CUDA_EMULATOR_NOTED_SIZE(2)
CUDA_EMULATOR_NOTED_SIZE(4)
CUDA_EMULATOR_NOTED_SIZE(8)
CUDA_EMULATOR_NOTED_SIZE(16)
CUDA_EMULATOR_NOTED(read_range, size, false, unsigned long size)
CUDA_EMULATOR_NOTED(write_range, size, true, unsigned long size)

extern "C" void __tsan_init();
extern "C" void __tsan_init() {}
