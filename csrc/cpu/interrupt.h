// Lets the thread that made a long call stop it: Python's Ctrl-C, through the array door.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

namespace tubeskel::cpu {

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

class Interrupt {
 public:
  // `poll` is asked now and then, by the thread that makes this object.
  explicit Interrupt(std::function<bool()> poll = {}) : poll_(std::move(poll)) {}

  // Whether to stop. Any thread may ask, and soon does.
  bool requested() {
    using Clock = std::chrono::steady_clock;
    if (poll_ && std::this_thread::get_id() == owner_ && Clock::now() - asked_ > kInterval) {
      if (poll_()) stop_.store(true, std::memory_order_relaxed);
      asked_ = Clock::now();
    }
    return stop_.load(std::memory_order_relaxed);
  }

  void throw_if_requested() {
    if (requested()) throw Interrupted();
  }

 private:
  static constexpr std::chrono::milliseconds kInterval{100};
  const std::function<bool()> poll_;
  const std::thread::id owner_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  std::atomic<bool> stop_{false};
};

}  // namespace tubeskel::cpu
