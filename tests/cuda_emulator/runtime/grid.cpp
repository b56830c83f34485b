#include "grid.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <sstream>
#include <vector>

#include "fiber.h"
#include "races.h"
#include "symbols.h"

// Around the static shared memory of all kernels; set by shared_memory.ld.
extern "C" __attribute__((visibility("hidden"))) unsigned char cuda_shared_begin[];
extern "C" __attribute__((visibility("hidden"))) unsigned char cuda_shared_end[];

namespace cuda_emulator {

Position position;

namespace {

constexpr unsigned kWarp = 32;
constexpr auto kPatience = std::chrono::seconds(120);

const char* name_of(Meeting meeting) {
  static const char* const names[] = {
      "nothing",          "the end",           "grid_group::sync",    "__syncthreads",
      "__syncthreads_or", "__syncthreads_and", "__syncthreads_count", "__syncwarp",
      "__ballot_sync",    "__any_sync",        "__all_sync",          "__shfl_sync",
      "__shfl_up_sync",   "__shfl_down_sync",  "__shfl_xor_sync"};
  return names[int(meeting)];
}

unsigned volume(const Index& size) {
  return size.x * size.y * size.z;
}

Index index_of(uint64_t i, const Index& size) {
  return {unsigned(i % size.x), unsigned(i / size.x % size.y),
          unsigned(i / (uint64_t(size.x) * size.y))};
}

std::string text(const Index& index) {
  std::ostringstream out;
  out << '(' << index.x << ", " << index.y << ", " << index.z << ')';
  return out.str();
}

struct Thread {
  Fiber fiber;
  Index index;
  Meeting waits = Meeting::kNone;  // kNone: it can run
  unsigned mask = 0;
  unsigned source = 0;
  uint64_t value = 0, result = 0;
  const void* where = nullptr;  // the return address of its call of meet
  unsigned warp_meetings = 0;
};

// memcpy and memset as the sanitizers would not have them: redzones lie between the variables.
void copy_bytes(unsigned char* to, const unsigned char* from, size_t size) {
#if defined(__x86_64__)
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
#else
  for (; size; --size) *const_cast<volatile unsigned char*>(to++) = *from++;
#endif
}
void fill_bytes(unsigned char* to, unsigned char byte, size_t size) {
#if defined(__x86_64__)
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
#else
  for (; size; --size) *const_cast<volatile unsigned char*>(to++) = byte;
#endif
}

class Turns {
 public:
  Turns(const Schedule& schedule, size_t size) : schedule_(schedule), random_(schedule.seed) {
    for (size_t i = 0; i < size; ++i) turns_.push_back(uint32_t(i));
    if (schedule.order == Order::kReversed) std::reverse(turns_.begin(), turns_.end());
  }
  // Who comes in which order this time.
  const std::vector<uint32_t>& next() {
    if (schedule_.order == Order::kShuffled) std::shuffle(turns_.begin(), turns_.end(), random_);
    return turns_;
  }
  bool shuffled() const { return schedule_.order == Order::kShuffled; }
  unsigned random(unsigned n) { return unsigned(random_() % n); }

 private:
  Schedule schedule_;
  std::mt19937_64 random_;
  std::vector<uint32_t> turns_;
};

struct Block {
  Index index;
  unsigned number = 0;
  unsigned meetings = 0;
  std::vector<Thread> threads;
  unsigned ready = 0, exited = 0, at_grid = 0;
  unsigned waiting = 0;  // at a barrier of the block
  std::vector<unsigned char> statics;
  std::unique_ptr<unsigned char[]> dynamic;

  void start(const Grid& grid, uint64_t number, size_t first_stack, unsigned char garbage);
  bool finished() const { return exited == threads.size(); }
};

struct Run {
  Grid grid;
  const std::function<void()>* thread = nullptr;
  Turns* interruptions = nullptr;  // if there are any
  Fiber scheduler;
  Block* block = nullptr;
  Thread* current = nullptr;
  unsigned grid_meetings = 0;
  std::string failure;
};
Run run_now;

void yield(bool ends = false) {
  switch_fiber(run_now.current->fiber, run_now.scheduler, ends);
}

void meet_warp(Block& block, const Thread& me);

// Those who wait in its warp may have waited for this thread only.
void leave(Block& block, Thread& me) {
  settle_write();
  me.waits = Meeting::kExit;
  --block.ready;
  ++block.exited;
  Thread* const lanes = &me - (&me - block.threads.data()) % kWarp;
  Thread* const end = std::min(lanes + kWarp, block.threads.data() + block.threads.size());
  for (Thread* other = lanes; other < end; ++other)
    if (other->waits >= Meeting::kSyncwarp) meet_warp(block, *other);
}

void entry() {
  arrived();
  (*run_now.thread)();
  leave(*run_now.block, *run_now.current);
  yield(true);
  __builtin_unreachable();
}

void Block::start(const Grid& grid, uint64_t number, size_t first_stack, unsigned char garbage) {
  index = index_of(number, grid.blocks);
  this->number = unsigned(number);
  threads.resize(volume(grid.threads));
  ready = unsigned(threads.size());
  exited = at_grid = waiting = 0;
  for (unsigned i = 0; i < threads.size(); ++i) {
    threads[i].index = index_of(i, grid.threads);
    threads[i].waits = Meeting::kNone;
    prepare(threads[i].fiber, first_stack + i, entry);
  }
  dynamic.reset(new unsigned char[grid.shared]);
  std::memset(dynamic.get(), garbage, grid.shared);
}

void release(Block& block, Thread& thread, uint64_t result) {
  thread.result = result;
  thread.waits = Meeting::kNone;
  ++block.ready;
}

// ---- meetings of a block

void meet_block(Block& block, Meeting meeting) {
  if (++block.waiting < block.threads.size()) return;
  unsigned votes = 0;
  for (const Thread& thread : block.threads) {
    if (thread.waits != meeting) return;  // they wait for each other for ever
    votes += thread.value != 0;
  }
  uint64_t result = votes;
  if (meeting == Meeting::kSyncthreadsOr) result = votes != 0;
  if (meeting == Meeting::kSyncthreadsAnd) result = votes == block.threads.size();
  block.waiting = 0;
  ++block.meetings;
  for (Thread& thread : block.threads) release(block, thread, result);
}

// ---- meetings of a warp

// What a lane reads that no lane wrote.
constexpr uint64_t kUndefined = 0x7f7f7f7f7f7f7f7f;

// Called for a lane that waits.
void meet_warp(Block& block, const Thread& me) {
  const size_t first = (&me - block.threads.data()) / kWarp * kWarp;
  Thread* const lanes = block.threads.data() + first;
  const unsigned size = unsigned(std::min<size_t>(kWarp, block.threads.size() - first));
  unsigned here = 0, votes = 0;
  for (unsigned i = 0; i < size; ++i) {
    if (!(me.mask >> i & 1) || lanes[i].waits == Meeting::kExit) continue;
    if (lanes[i].waits != me.waits || lanes[i].mask != me.mask) return;
    here |= 1u << i;
    votes |= unsigned(lanes[i].value != 0) << i;
  }
  const Meeting meeting = me.waits;
  unsigned meetings = 0;
  for (unsigned i = 0; i < size; ++i) meetings = std::max(meetings, lanes[i].warp_meetings);
  for (unsigned i = 0; i < size; ++i) {
    if (!(here >> i & 1)) continue;
    if (meeting == Meeting::kSyncwarp) lanes[i].warp_meetings = meetings + 1;
    uint64_t result = votes;
    if (meeting == Meeting::kAny) result = votes != 0;
    if (meeting == Meeting::kAll) result = votes == here;
    if (meeting >= Meeting::kShuffle)
      result = here >> lanes[i].source & 1 ? lanes[lanes[i].source].value : kUndefined;
    release(block, lanes[i], result);
  }
}

// ---- reports

std::string describe(const Thread& thread) {
  if (thread.waits == Meeting::kExit) return "have exited";
  if (thread.waits == Meeting::kNone) return "can run";
  std::ostringstream out;
  out << "wait at " << name_of(thread.waits);
  if (thread.waits >= Meeting::kSyncwarp) out << " of mask 0x" << std::hex << thread.mask;
  out << " (" << line_of_call(thread.where) << ')';
  return out.str();
}

std::string describe(const Block& block) {
  std::string out = "block " + text(block.index) + ":";
  const auto& threads = block.threads;
  for (size_t begin = 0, end; begin < threads.size(); begin = end) {
    const Thread& first = threads[begin];
    for (end = begin + 1; end < threads.size(); ++end)
      if (threads[end].waits != first.waits || threads[end].mask != first.mask ||
          (threads[end].where != first.where && first.waits != Meeting::kExit))
        break;
    out += (begin ? ", threads " : " threads ") + std::to_string(begin) + " to " +
           std::to_string(end - 1) + ' ' + describe(first);
  }
  return out;
}

std::string name_of_kernel() {
  const Grid& grid = run_now.grid;
  return function_at(grid.kernel) + " on " + text(grid.blocks) + " blocks of " +
         text(grid.threads) + " threads";
}

// ---- scheduling

// Gives each thread that can run a turn.
void sweep(Block& block, const std::vector<uint32_t>& turns) {
  for (const uint32_t turn : turns) {
    Thread& thread = block.threads[turn];
    if (thread.waits != Meeting::kNone) continue;
    run_now.current = &thread;
    position.thread = thread.index;
    switch_fiber(run_now.scheduler, thread.fiber);
    if (!run_now.failure.empty()) return;
  }
}

// Runs blocks [first, first + blocks.size()) of the grid together until all have ended.
void run_together(std::vector<Block>& blocks, const std::vector<uint32_t>& numbers,
                  Turns& block_turns, Turns& thread_turns) {
  const size_t statics = size_t(cuda_shared_end - cuda_shared_begin);
  const unsigned char garbage =
      thread_turns.shuffled() ? (unsigned char)(1 + thread_turns.random(255)) : 0xff;
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].start(run_now.grid, numbers[i], i * volume(run_now.grid.threads), garbage);
    if (blocks.size() > 1) blocks[i].statics.assign(statics, garbage);
  }
  fill_bytes(cuda_shared_begin, garbage, statics);
  run_now.interruptions = thread_turns.shuffled() && blocks.size() > 1 ? &thread_turns : nullptr;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (size_t finished = 0; finished < blocks.size();) {
    bool progress = false;
    for (const uint32_t turn : block_turns.next()) {
      Block& block = blocks[turn];
      if (!block.ready) continue;
      progress = true;
      run_now.block = &block;
      position.block = block.index;
      if (blocks.size() > 1) copy_bytes(cuda_shared_begin, block.statics.data(), statics);
      // Shuffled blocks take turns also between barriers of the grid.
      unsigned sweeps = thread_turns.shuffled() ? 1 + thread_turns.random(16) : ~0u;
      while (block.ready && sweeps--) {
        sweep(block, thread_turns.next());
        if (run_now.failure.empty() && std::chrono::steady_clock::now() > deadline)
          run_now.failure =
              name_of_kernel() + " has not ended after two minutes: " + describe(block);
        if (!run_now.failure.empty()) return;
      }
      if (blocks.size() > 1) copy_bytes(block.statics.data(), cuda_shared_begin, statics);
      finished += block.finished();
    }
    if (progress) continue;
    const bool all_at_grid = std::all_of(blocks.begin(), blocks.end(), [](const Block& block) {
      return block.at_grid == block.threads.size();
    });
    if (!all_at_grid) {
      run_now.failure = "deadlock in " + name_of_kernel();
      for (const Block& block : blocks)
        if (!block.finished()) run_now.failure += "; " + describe(block);
      return;
    }
    ++run_now.grid_meetings;
    for (Block& block : blocks) {
      block.at_grid = 0;
      for (Thread& thread : block.threads) release(block, thread, 0);
    }
  }
}

}  // namespace

__attribute__((noinline)) uint64_t meet(Meeting meeting, unsigned mask, uint64_t value,
                                        unsigned source) {
  settle_write();
  Block& block = *run_now.block;
  Thread& me = *run_now.current;
  me.waits = meeting;
  me.mask = mask;
  me.value = value;
  me.source = source;
  me.where = __builtin_return_address(0);
  --block.ready;
  if (meeting == Meeting::kGridSync) {
    if (!run_now.grid.cooperative)
      trap("grid_group::sync in a launch that is not cooperative (" + line_of_call(me.where) + ')');
    ++block.at_grid;
  } else if (meeting < Meeting::kSyncwarp) {
    meet_block(block, meeting);
  } else {
    if (!(mask >> lane() & 1))
      trap(std::string(name_of(meeting)) + " with a mask that lacks the calling lane (" +
           line_of_call(me.where) + ')');
    meet_warp(block, me);
  }
  if (me.waits != Meeting::kNone) yield();
  return me.result;
}

void interrupt() {
  if (!run_now.interruptions || run_now.interruptions->random(8)) return;
  settle_write();
  yield();
}

unsigned lane() {
  return unsigned(run_now.current - run_now.block->threads.data()) % kWarp;
}

unsigned char* dynamic_shared() {
  return run_now.block->dynamic.get();
}

Moment moment() {
  const Block& block = *run_now.block;
  const Thread& thread = *run_now.current;
  return {block.number, unsigned(&thread - block.threads.data()), run_now.grid_meetings,
          block.meetings, thread.warp_meetings};
}

bool in_kernel() {
  return run_now.current != nullptr;
}

bool is_shared(const void* address) {
  const auto* const byte = static_cast<const unsigned char*>(address);
  const unsigned char* const dynamic = dynamic_shared();
  return (byte >= cuda_shared_begin && byte < cuda_shared_end) ||
         (byte >= dynamic && byte < dynamic + run_now.grid.shared);
}

bool is_private(const void* address) {
  const Fiber& fiber = run_now.current->fiber;
  const size_t offset =
      size_t(static_cast<const char*>(address) - static_cast<const char*>(fiber.stack));
  return offset < fiber.stack_size;
}

void trap(const std::string& why) {
  if (!run_now.current) {
    std::fprintf(stderr, "outside a kernel: %s\n", why.c_str());
    std::abort();
  }
  run_now.failure = name_of_kernel() + ", block " + text(position.block) + ", thread " +
                    text(position.thread) + ": " + why;
  yield();
  __builtin_unreachable();
}

std::string run(const Grid& grid, const Schedule& schedule, const std::function<void()>& thread) {
  run_now = {};
  forget_accesses();
  run_now.grid = grid;
  run_now.thread = &thread;
  position = {{}, {}, grid.threads, grid.blocks};
  const uint64_t total = uint64_t(grid.blocks.x) * grid.blocks.y * grid.blocks.z;
  Turns blocks_of_grid(schedule, total), threads(schedule, volume(grid.threads));
  const auto& numbers = blocks_of_grid.next();
  if (grid.cooperative) {
    std::vector<Block> blocks(total);
    Turns turns(schedule, total);
    std::vector<uint32_t> ascending(total);
    for (uint32_t i = 0; i < total; ++i) ascending[i] = i;
    run_together(blocks, ascending, turns, threads);
  } else {
    std::vector<Block> block(1);
    Turns turns(schedule, 1);
    for (uint64_t i = 0; i < total && run_now.failure.empty(); ++i)
      run_together(block, {numbers[i]}, turns, threads);
  }
  if (!run_now.failure.empty()) forget_frames();
  run_now.current = nullptr;
  return run_now.failure;
}

}  // namespace cuda_emulator
