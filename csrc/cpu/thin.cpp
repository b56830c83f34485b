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

#include "activity.h"
#include "parallel.h"

namespace tubeskel::cpu {

namespace {

constexpr uint8_t kBothPhases = 3;
constexpr int64_t kUnitBlocks = 64;

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
        own_units_(ceil_div(units_, members)),
        found_in_(own_units_),
        capacity_(own_units_ * std::min(kUnitBlocks, image.blocks)),
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
                                              activity_.line(j, 0), first, last, phase, here);
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
  void delete_in(int64_t j, int64_t entry) {
    const Word* const mask = masks_.get() + entry * kBlockRows;
    const int64_t block = blocks_[entry];
    Word* const words = image_.strip(j) + block * kBlockRows;
    for (int64_t row = 0; row < kBlockRows; ++row) words[row] &= ~mask[row];
    activity_.wake(mask, j, 0, block);
  }

  BitImage& image_;
  const Activity& activity_;
  const int64_t member_, members_, unit_rows_, units_, own_units_;
  Buffer<int64_t> found_in_;  // number of entries of each unit of this share
  const int64_t capacity_;
  Buffer<Word> masks_;
  Buffer<int32_t> blocks_;
};

}  // namespace

void thin(BitImage& image, Method method, int64_t max_iterations, int threads,
          Interrupt& interrupt) {
  const Rule rules[2] = {method == Method::kZhang ? Rule::kZhangFirst : Rule::kGuoHallFirst,
                         method == Method::kZhang ? Rule::kZhangSecond : Rule::kGuoHallSecond};
  const int members = threads_for(image.rows * image.columns, threads);
  const Activity activity(image, kBothPhases, kBothPhases);
  std::vector<std::unique_ptr<Share>> shares;
  for (int member = 0; member < members; ++member)
    shares.push_back(std::make_unique<Share>(image, activity, member, members));
  Barrier barrier(members);
  Vote vote(barrier);

  run_team(members, [&](int member) {
    int64_t turn = 0;
    bool changed = true;
    for (int64_t iteration = 0; changed && iteration < max_iterations; ++iteration) {
      if (vote.any(interrupt.requested(), turn)) return;
      changed = false;
      for (int phase = 0; phase < 2; ++phase) {
        shares[member]->find(rules[phase], uint8_t(1 << phase));
        barrier.wait();
        changed |= vote.any(shares[member]->apply(), turn);
      }
    }
  });
  interrupt.throw_if_requested();
}

}  // namespace tubeskel::cpu
