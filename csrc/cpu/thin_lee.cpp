// Lee's thinning without its sequential step.
//
// A sub-iteration has two steps. The first marks candidates, each by the volume as it stands. The
// second, in the published algorithm, walks the candidates in raster order and deletes one if its
// neighbours still form at most one component, deletions so far applied. That order is what makes
// the result well defined, and it seems to forbid parallel work. It does not:
//
// Claim. Guess which candidates go. Then take decisions again, in any order, each by the guess for
// those neighbours that come earlier in raster order, until every decision agrees with the guess.
// That happens, and the guess then is what the walk deletes.
//
// Proof. Say the walk's decisions for the first k candidates are in place. They depend on each
// other only, so they stay, and the next time candidate k + 1 is decided it is decided as in the
// walk, for good. So it ends; and a guess that agrees with all its decisions equals the walk's,
// candidate by candidate, by the same induction.
//
// Hence each thread decides its own part in raster order, where most decisions are right at once
// (that all candidates go is a good first guess), and looks again only at blocks next to a decision
// that changed. Threads take stacks of planes, one by one. A stack looks at a copy of the plane
// before it, which is brought up to date when all threads meet: on tubes that is once or twice.
//
// As in 2D an iteration costs the moving border: a block is active for a border until it is looked
// at, and becomes active for all borders when a voxel in or next to it is deleted.
#include "thin_lee.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "activity.h"
#include "kernels.h"
#include "parallel.h"

namespace tubeskel::cpu {

namespace {

constexpr uint8_t kAllBorders = 0x3f;
// A stack is thick enough that few copies are needed, thin enough to share the work evenly.
constexpr int64_t kStackPlanes = 8;

struct Block {
  int32_t strip, plane, index;
};

// What the threads share.
struct Thinning {
  BitImage& volume;
  const int64_t plane_pitch;  // 0 for a lone plane
  const int64_t thickness, stacks;
  BitImage decided;   // candidates that go, zero elsewhere; a copy of the plane before each stack
  Activity active;    // by border
  Activity doubtful;  // decisions to be taken again

  Thinning(BitImage& volume, int64_t thickness)
      : volume(volume),
        plane_pitch(volume.planes == 1 ? 0 : volume.plane_pitch),
        thickness(thickness),
        stacks(ceil_div(volume.planes, thickness)),
        decided(volume.planes + stacks, volume.rows, volume.columns, true),
        active(volume, kAllBorders, kAllBorders),
        doubtful(volume, 1, 0) {}

  bool ends_stack(const Block& block) const {
    return block.plane % thickness == thickness - 1 && block.plane + 1 < volume.planes;
  }
  Word* voxels(const Block& block) const {
    return volume.strip(block.strip, block.plane) + block.index * kBlockRows;
  }
  Word* decisions(const Block& block) const {
    return decided.strip(block.strip, block.plane + block.plane / thickness + 1) +
           block.index * kBlockRows;
  }
  // What the next stack sees of a block that ends a stack.
  Word* copy_of_decisions(const Block& block) const {
    return decisions(block) + decided.plane_pitch;
  }
  uint8_t& doubt(const Block& block) const {
    return doubtful.line(block.strip, block.plane)[block.index];
  }
};

// Hands out the stacks of a sub-iteration: to each thread those it had before, as they are in its
// cache, and then those that others have not come to yet.
class Dealer {
 public:
  Dealer(int64_t stacks, int members) : stacks_(stacks), members_(members), next_(members) {
    reset();
  }
  void reset() {
    for (int member = 0; member < members_; ++member) next_[member] = first(member);
  }
  template <class Visit>
  void for_each(int member, const Visit& visit) {
    for (int k = 0; k < members_; ++k) {
      const int owner = (member + k) % members_;
      for (int64_t stack; (stack = next_[owner].fetch_add(1)) < first(owner + 1);) visit(stack);
    }
  }

 private:
  int64_t first(int member) const { return stacks_ * member / members_; }

  const int64_t stacks_;
  const int members_;
  std::vector<std::atomic<int64_t>> next_;
};

// What one thread does.
class Share {
 public:
  Share(Thinning& shared, int member)
      : shared_(shared), member_(member), line_blocks_(shared.volume.blocks) {}

  // Finds candidates and decides on them, plane by plane, while all that this reads is in the
  // cache. Returns whether there are any.
  bool sweep(int border, Dealer& dealer) {
    blocks_.clear();
    int64_t expected = -1;
    size_t new_ends = 0;
    dealer.for_each(member_, [&](int64_t stack) {
      if (stack == expected) publish(new_ends);  // to others when all meet
      expected = stack + 1;
      new_ends = changed_ends_.size();
      const int64_t first = stack * shared_.thickness;
      const int64_t last = std::min(first + shared_.thickness, shared_.volume.planes);
      for (int64_t plane = first; plane < last; ++plane) {
        const size_t known = blocks_.size();
        find(plane, border);
        decide(known);
      }
    });
    return !blocks_.empty();
  }

  // Takes the decisions that are in doubt, from a block on, until none is left.
  void decide(size_t first = 0) {
    int64_t rounds = 0;
    for (bool again = first < blocks_.size(); again; ++rounds) {
      again = false;
      for (size_t i = first; i < blocks_.size(); ++i)
        if (shared_.doubt(blocks_[i])) again |= decide(blocks_[i], candidate(i));
    }
    rounds_ += rounds;
    most_rounds_ = std::max(most_rounds_, rounds);
  }

  // Shows the next stacks what changed in the planes before them, from an entry of the list on.
  // Returns whether anything did.
  bool publish(size_t first = 0) {
    bool any = false;
    for (size_t i = first; i < changed_ends_.size(); ++i) {
      const Block& block = changed_ends_[i];
      Word changed[kBlockRows];
      if (!update(shared_.copy_of_decisions(block), shared_.decisions(block), changed)) continue;
      any = true;
      shared_.doubtful.wake(changed, block.strip, block.plane + 1, block.index);
    }
    changed_ends_.resize(first);
    return any;
  }

  // Deletes what was decided. Returns whether there was anything.
  bool apply() {
    bool any = false;
    for (const Block& block : blocks_) {
      Word* const gone = shared_.decisions(block);
      Word* const left = shared_.voxels(block);
      Word some = 0;
      for (int64_t row = 0; row < kBlockRows; ++row) {
        left[row] &= ~gone[row];
        some |= gone[row];
      }
      if (!some) continue;
      any = true;
      for (int64_t p = block.plane - 1; p <= block.plane + 1; ++p)
        shared_.active.wake(gone, block.strip, p, block.index);
      std::fill_n(gone, kBlockRows, Word(0));
      if (shared_.ends_stack(block))
        std::fill_n(shared_.copy_of_decisions(block), kBlockRows, Word(0));
    }
    return any;
  }

  int64_t rounds() const { return rounds_; }
  int64_t most_rounds() const { return most_rounds_; }

 private:
  // Makes `words` equal to `wanted`. Returns whether they were not, and where.
  static bool update(Word* words, const Word* wanted, Word* changed) {
    Word some = 0;
    for (int64_t row = 0; row < kBlockRows; ++row) some |= changed[row] = words[row] ^ wanted[row];
    // Most often there is nothing to do, and words just written are slow to read.
    if (some) std::copy_n(wanted, kBlockRows, words);
    return some != 0;
  }

  // Returns whether the decision changed.
  bool decide(const Block& block, const Word* candidates) {
    const BitImage& volume = shared_.volume;
    const BitImage& decided = shared_.decided;
    Word decision[kBlockRows], changed[kBlockRows];
    shared_.doubt(block) = 0;
    kernels().recheck_lee(shared_.voxels(block), volume.pitch, shared_.plane_pitch,
                          shared_.decisions(block), decided.pitch, decided.plane_pitch, candidates,
                          decision);
    if (!update(shared_.decisions(block), decision, changed)) return false;
    shared_.doubtful.wake(changed, block.strip, block.plane, block.index);
    if (shared_.ends_stack(block))
      changed_ends_.push_back(block);
    else
      shared_.doubtful.wake(changed, block.strip, block.plane + 1, block.index);
    return true;
  }

  void find(int64_t plane, int border) {
    const BitImage& volume = shared_.volume;
    for (int64_t strip = 0; strip < volume.strips; ++strip) {
      const size_t enough = (blocks_.size() + size_t(volume.blocks)) * kBlockRows;
      if (candidates_.size() < enough) candidates_.resize(2 * enough);
      const Deletions here{candidate(blocks_.size()), line_blocks_.get()};
      const int64_t n =
          kernels().find_lee(border, volume.strip(strip, plane), volume.pitch, shared_.plane_pitch,
                             shared_.active.line(strip, plane), volume.blocks, here);
      for (int64_t i = 0; i < n; ++i) {
        const Block block{int32_t(strip), int32_t(plane), line_blocks_[i]};
        // The first guess: all candidates go. All decisions are in doubt.
        std::copy_n(candidate(blocks_.size()), kBlockRows, shared_.decisions(block));
        shared_.doubt(block) = 1;
        if (shared_.ends_stack(block)) changed_ends_.push_back(block);
        blocks_.push_back(block);
      }
    }
  }

  Word* candidate(size_t i) { return candidates_.data() + i * kBlockRows; }

  Thinning& shared_;
  const int member_;
  std::vector<Block> blocks_;     // those with candidates
  std::vector<Word> candidates_;  // of each, eight rows
  std::vector<Block> changed_ends_;
  Buffer<int32_t> line_blocks_;
  int64_t rounds_ = 0, most_rounds_ = 0;
};

}  // namespace

LeeStatistics thin_lee(BitImage& volume, int threads, Interrupt& interrupt) {
  const int borders = volume.planes == 1 ? 4 : 6;
  const int64_t voxels = volume.planes * volume.rows * volume.columns;
  const int wanted = threads_for(voxels, threads);
  Thinning shared(volume, wanted == 1 ? volume.planes : kStackPlanes);
  const int members = int(std::min<int64_t>(wanted, shared.stacks));
  Dealer dealers[2] = {{shared.stacks, members}, {shared.stacks, members}};
  Barrier barrier(members);
  Vote vote(barrier);
  LeeStatistics statistics;

  run_team(members, [&](int member) {
    Share mine(shared, member);
    shared.decided.clear_part(member, members);
    int64_t turn = 0, iterations = 0;
    for (bool changed = true; changed; ++iterations) {
      changed = false;
      for (int border = 0; border < borders; ++border) {
        if (vote.any(interrupt.requested(), turn)) return;
        Dealer& dealer = dealers[border % 2];
        const bool found = vote.any(mine.sweep(border, dealer), turn);
        if (member == 0) dealer.reset();  // all meet before the next but one border
        if (!found) continue;
        while (vote.any(mine.publish(), turn)) {
          mine.decide();
          barrier.wait();
        }
        changed |= vote.any(mine.apply(), turn);
      }
    }
    if (member == 0) statistics = {iterations, mine.rounds(), mine.most_rounds()};
  });
  interrupt.throw_if_requested();
  return statistics;
}

}  // namespace tubeskel::cpu
