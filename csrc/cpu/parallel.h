// Threads for one call: started when there is enough to do, joined before the call returns.
//
// No pool lives between calls, so a process that forks (a data loader's workers) finds nothing
// broken; starting a thread costs about 20 us, which callers weigh through `threads_for`.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tubeskel::cpu {

// How many of `limit` threads are worth starting for this many pixels.
inline int threads_for(int64_t pixels, int limit) {
  constexpr int64_t kPixelsPerThread = 1 << 19;
  return int(std::clamp<int64_t>(pixels / kPixelsPerThread, 1, std::max(limit, 1)));
}

// Meeting point of a fixed number of threads.
class Barrier {
 public:
  explicit Barrier(int size) : size_(size) {}
  void wait() {
    if (size_ == 1) return;
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.fetch_add(1, std::memory_order_release);
      return;
    }
    for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin)
      if (spin > 4000) std::this_thread::yield();
  }

 private:
  const int size_;
  std::atomic<int> arrived_{0};
  std::atomic<uint32_t> round_{0};
};

// "Did any thread say so?", asked by all threads at the same points of the program.
class Vote {
 public:
  explicit Vote(Barrier& barrier) : barrier_(barrier) {}
  // `turn` counts the votes of a thread.
  bool any(bool mine, int64_t& turn) {
    std::atomic<bool>& said = said_[turn % 3];
    if (mine) said.store(true, std::memory_order_relaxed);
    barrier_.wait();
    const bool result = said.load(std::memory_order_relaxed);
    // Nobody reads the flag of the last turn any more, and it is next used after another vote.
    said_[(turn + 2) % 3].store(false, std::memory_order_relaxed);
    ++turn;
    return result;
  }

 private:
  Barrier& barrier_;
  std::atomic<bool> said_[3] = {false, false, false};
};

// body(member) on each of `size` threads, the caller being member 0. An exception of a member is
// thrown again in the caller; a body that waits at a barrier must not throw.
template <class Body>
void run_team(int size, const Body& body) {
  std::exception_ptr error;
  std::mutex mutex;
  const auto guarded = [&](int member) {
    try {
      body(member);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int member = 1; member < size; ++member) others.emplace_back(guarded, member);
  guarded(0);
  for (std::thread& thread : others) thread.join();
  if (error) std::rethrow_exception(error);
}

// body(i) for i in [0, n), handed out one by one.
template <class Body>
void parallel_for(int64_t n, int threads, const Body& body) {
  std::atomic<int64_t> next{0};
  run_team(int(std::min<int64_t>(threads, n)), [&](int) {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) body(i);
  });
}

}  // namespace tubeskel::cpu
