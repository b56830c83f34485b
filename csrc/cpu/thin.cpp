// Parallel thinning with work only where something changes.
//
// A sub-iteration reads the image as the previous one left it (Jacobi), so it has two steps: find
// the deletions of all active blocks, then apply them. A block's outcome can differ from the last
// time the same sub-iteration saw it only if a pixel in or next to the block was deleted since.
// Hence two activity bits a block, one for each sub-iteration: evaluating clears the bit of that
// sub-iteration, a deletion sets both in its own block and in those neighbours that see the deleted
// pixel. An iteration thus costs the moving border, not the area.
//
// Threads share an image by units of some blocks of a strip, dealt out in turn, and meet after each
// step. Within a step a unit's words are written by its own thread alone; activity of a neighbour
// may be set from two threads, to the same value.
#include "thin.h"

#include <atomic>
#include <cstring>

#include "parallel.h"

namespace tubeskel::cpu {

namespace {

constexpr uint8_t kBothPhases = 3;
constexpr int64_t kUnitBlocks = 64;

class Activity {
 public:
  Activity(int64_t strips, int64_t blocks)
      : pitch_(blocks + 2 + 7),  // read eight at a time, never into the next strip
        bytes_((strips + 2) * pitch_) {
    std::memset(bytes_.get(), kBothPhases, size_t((strips + 2) * pitch_));
  }
  // Entries -1 and `blocks` of strips -1 .. `strips` exist, are set at will and never looked at.
  uint8_t* strip(int64_t j) const { return bytes_.get() + (j + 1) * pitch_ + 1; }

  void wake(int64_t j, int64_t block) const {
    __atomic_store_n(strip(j) + block, kBothPhases, __ATOMIC_RELAXED);
  }

 private:
  int64_t pitch_;
  Buffer<uint8_t> bytes_;
};

// The part of the image that one thread works on.
class Share {
 public:
  Share(BitImage& image, const Activity& activity, int member, int members)
      : image_(image),
        activity_(activity),
        member_(member),
        members_(members),
        unit_rows_(ceil_div(image.blocks, kUnitBlocks)),
        units_(image.strips * unit_rows_),
        found_in_(ceil_div(units_, members)),
        capacity_(found_in_size() * std::min(kUnitBlocks, image.blocks)),
        masks_(capacity_ * kBlockRows),
        blocks_(capacity_) {}

  void find(Rule rule, uint8_t phase) {
    const Kernels& kernel = kernels();
    int64_t total = 0, local = 0;
    for (int64_t unit = member_; unit < units_; unit += members_, ++local) {
      const int64_t j = unit / unit_rows_, first = unit % unit_rows_ * kUnitBlocks;
      const int64_t last = std::min(first + kUnitBlocks, image_.blocks);
      const Deletions here{masks_.get() + total * kBlockRows, blocks_.get() + total};
      const int64_t n = kernel.find_deletions(rule, image_.strip(j), image_.pitch,
                                              activity_.strip(j), first, last, phase, here);
      found_in_[local] = n;
      total += n;
    }
  }

  // Returns whether there was anything to delete.
  bool apply() {
    int64_t next = 0, local = 0;
    for (int64_t unit = member_; unit < units_; unit += members_, ++local) {
      const int64_t j = unit / unit_rows_;
      for (int64_t end = next + found_in_[local]; next < end; ++next) delete_in(j, next);
    }
    return next != 0;
  }

 private:
  int64_t found_in_size() const { return ceil_div(units_, members_); }

  void delete_in(int64_t j, int64_t entry) {
    const Word* const mask = masks_.get() + entry * kBlockRows;
    const int64_t block = blocks_[entry];
    Word* const words = image_.strip(j) + block * kBlockRows;
    Word any = 0;
    for (int64_t row = 0; row < kBlockRows; ++row) {
      words[row] &= ~mask[row];
      any |= mask[row];
    }
    const Word top = mask[0], bottom = mask[kBlockRows - 1];
    activity_.wake(j, block);
    if (top) activity_.wake(j, block - 1);
    if (bottom) activity_.wake(j, block + 1);
    if (any & 1) wake_beside(j - 1, block, top & 1, bottom & 1);
    if (any >> 63) wake_beside(j + 1, block, top >> 63, bottom >> 63);
  }
  void wake_beside(int64_t j, int64_t block, bool above, bool below) {
    activity_.wake(j, block);
    if (above) activity_.wake(j, block - 1);
    if (below) activity_.wake(j, block + 1);
  }

  BitImage& image_;
  const Activity& activity_;
  const int64_t member_, members_, unit_rows_, units_;
  Buffer<int64_t> found_in_;  // number of entries of each unit of this share
  const int64_t capacity_;
  Buffer<Word> masks_;
  Buffer<int32_t> blocks_;
};

}  // namespace

void thin(BitImage& image, Method method, int64_t max_iterations, int threads) {
  const Rule rules[2] = {method == Method::kZhang ? Rule::kZhangFirst : Rule::kGuoHallFirst,
                         method == Method::kZhang ? Rule::kZhangSecond : Rule::kGuoHallSecond};
  const int members = threads_for(image.rows * image.columns, threads);
  const Activity activity(image.strips, image.blocks);
  std::vector<std::unique_ptr<Share>> shares;
  for (int member = 0; member < members; ++member)
    shares.push_back(std::make_unique<Share>(image, activity, member, members));
  Barrier barrier(members);
  std::atomic<bool> changed[2] = {false, false};  // by parity of the iteration

  run_team(members, [&](int member) {
    for (int64_t iteration = 0; iteration < max_iterations; ++iteration) {
      for (int phase = 0; phase < 2; ++phase) {
        shares[member]->find(rules[phase], uint8_t(1 << phase));
        barrier.wait();
        // Here all have read the other flag, at the end of the previous iteration.
        if (member == 0 && phase == 0) changed[(iteration + 1) % 2] = false;
        if (shares[member]->apply()) changed[iteration % 2] = true;
        barrier.wait();
      }
      if (!changed[iteration % 2]) break;
    }
  });
}

}  // namespace tubeskel::cpu
