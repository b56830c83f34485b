// Running a grid: its blocks one after another or, if they are to meet, all at once, each thread a
// fiber that runs until it waits for others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace cuda_emulator {

struct Index {
  unsigned x, y, z;
};

// Of the thread that runs.
struct Position {
  Index thread, block, block_size, grid_size;
};
extern Position position;

// What a thread may wait for.
enum class Meeting : uint8_t {
  kNone,
  kExit,
  kGridSync,
  kSyncthreads,
  kSyncthreadsOr,
  kSyncthreadsAnd,
  kSyncthreadsCount,
  kSyncwarp,
  kBallot,
  kAny,
  kAll,
  kShuffle,
  kShuffleUp,
  kShuffleDown,
  kShuffleXor,
};

// Waits until all threads concerned have come to the same meeting: those of the grid, the block, or
// the lanes of `mask`. Returns what it yields: for a shuffle the value that lane `source` brought,
// else what the votes give.
uint64_t meet(Meeting meeting, unsigned mask, uint64_t value, unsigned source);

// Where others may come in between: lets them, now and then, if turns are shuffled.
void interrupt();

unsigned lane();
unsigned char* dynamic_shared();

// How far the running thread has come: what it can have exchanged with others.
struct Moment {
  unsigned block, thread;  // numbers within the grid and the block
  unsigned grid_meetings, block_meetings, warp_meetings;
};
Moment moment();
bool in_kernel();
// Whether an address lies in the running block's shared memory, the running thread's stack.
bool is_shared(const void* address);
bool is_private(const void* address);

// Ends the launch with an error that says where and why.
[[noreturn]] void trap(const std::string& why);

enum class Order { kForward, kReversed, kShuffled };

// The order in which threads and blocks take their turns.
struct Schedule {
  Order order = Order::kForward;
  uint64_t seed = 0;
};

struct Grid {
  const void* kernel;
  Index blocks, threads;
  size_t shared;
  bool cooperative;
};

// Runs `thread` as every thread of the grid. Returns an empty string or what went wrong.
std::string run(const Grid& grid, const Schedule& schedule, const std::function<void()>& thread);

}  // namespace cuda_emulator
