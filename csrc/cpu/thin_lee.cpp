// Lee's thinning without its sequential step.
//
// A sub-iteration has two steps. The first marks candidates, each by the volume as it stands. The
// second, in the published algorithm, walks the candidates in raster order and deletes one if its
// neighbours still form at most one component, deletions so far applied. That order is what makes
// the result well defined, and it seems to forbid parallel work. It does not:
//
// Claim. Let f take a set D of candidates to those that may go if just D is deleted before each of
// them, that is, among the neighbours that come earlier in raster order. The walk's result is the
// only fixpoint of f, and the sequence D, f(D), f(f(D)), ... reaches it from any start.
//
// Proof. Whether candidate k is in f(D) depends on D only among candidates before k. The walk's
// result W satisfies W = f(W), as it decides k knowing W before k. If D agrees with W on the first
// k candidates then f(D) agrees on the first k + 1. So by induction the n-th iterate agrees with W
// on the first n, and any fixpoint equals W.
//
// Hence all candidates are decided at once, again and again, until nothing changes: 2 or 3 rounds
// on tubes, more where long chains of neighbouring candidates hang on each other. A round only
// looks at blocks next to a decision that changed.
//
// As in 2D an iteration costs the moving border: a block is active for a border until it is looked
// at, and becomes active for all borders when a voxel in or next to it is deleted.
#include "thin_lee.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "activity.h"
#include "kernels.h"
#include "parallel.h"

namespace tubeskel::cpu {

namespace {

constexpr uint8_t kAllBorders = 0x3f;

struct Block {
  int32_t strip, plane, index;
};

// What the threads share.
struct Thinning {
  BitImage& volume;
  BitImage deleted;   // this sub-iteration's decisions, zero elsewhere
  Activity active;    // by border
  Activity doubtful;  // decisions to be taken again

  explicit Thinning(BitImage& volume)
      : volume(volume),
        deleted(volume.planes, volume.rows, volume.columns, true),
        active(volume, kAllBorders, kAllBorders),
        doubtful(volume, 1, 0) {
    deleted.clear();
  }
};

// The planes that one thread works on, and its candidates.
class Share {
 public:
  Share(Thinning& shared, int64_t first_plane, int64_t last_plane)
      : shared_(shared),
        first_(first_plane),
        last_(last_plane),
        capacity_((last_plane - first_plane) * shared.volume.strips * shared.volume.blocks),
        candidates_(capacity_ * kBlockRows),
        decisions_(capacity_ * kBlockRows),
        line_blocks_(shared.volume.blocks) {}

  // Returns whether there are candidates.
  bool find(int border) {
    const BitImage& volume = shared_.volume;
    blocks_.clear();
    for (int64_t p = first_; p < last_; ++p) {
      for (int64_t j = 0; j < volume.strips; ++j) {
        const Deletions here{candidate(blocks_.size()), line_blocks_.get()};
        const int64_t n =
            kernels().find_lee(border, volume.strip(j, p), volume.pitch, volume.plane_pitch,
                               shared_.active.line(j, p), volume.blocks, here);
        for (int64_t i = 0; i < n; ++i)
          blocks_.push_back({int32_t(j), int32_t(p), line_blocks_[i]});
      }
    }
    // The start of the iteration: all candidates go, and every decision is in doubt.
    for (size_t i = 0; i < blocks_.size(); ++i) {
      std::copy_n(candidate(i), kBlockRows, words(shared_.deleted, blocks_[i]));
      *doubt(blocks_[i]) = 1;
    }
    return !blocks_.empty();
  }

  // Takes the decisions that are in doubt.
  void decide() {
    const BitImage& volume = shared_.volume;
    pending_.clear();
    for (size_t i = 0; i < blocks_.size(); ++i) {
      uint8_t* const doubtful = doubt(blocks_[i]);
      if (!*doubtful) continue;
      *doubtful = 0;
      pending_.push_back(i);
      kernels().recheck_lee(words(volume, blocks_[i]), words(shared_.deleted, blocks_[i]),
                            volume.pitch, volume.plane_pitch, candidate(i), decision(i));
    }
  }

  // Publishes them. Returns whether one changed.
  bool publish() {
    bool any = false;
    for (const size_t i : pending_) {
      const Block& block = blocks_[i];
      Word* const published = words(shared_.deleted, block);
      Word changed[kBlockRows], some = 0;
      for (int64_t row = 0; row < kBlockRows; ++row)
        some |= changed[row] = published[row] ^ decision(i)[row];
      if (!some) continue;
      any = true;
      std::copy_n(decision(i), kBlockRows, published);
      // Later in raster order are this plane and the next.
      for (int64_t p = block.plane; p <= block.plane + 1; ++p)
        shared_.doubtful.wake(changed, block.strip, p, block.index);
    }
    return any;
  }

  // Deletes what was decided. Returns whether there was anything.
  bool apply() {
    bool any = false;
    for (const Block& block : blocks_) {
      Word* const gone = words(shared_.deleted, block);
      Word* const left = words(shared_.volume, block);
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
    }
    return any;
  }

 private:
  static Word* words(const BitImage& image, const Block& block) {
    return image.strip(block.strip, block.plane) + block.index * kBlockRows;
  }
  uint8_t* doubt(const Block& block) {
    return shared_.doubtful.line(block.strip, block.plane) + block.index;
  }
  Word* candidate(size_t i) { return candidates_.get() + int64_t(i) * kBlockRows; }
  Word* decision(size_t i) { return decisions_.get() + int64_t(i) * kBlockRows; }

  Thinning& shared_;
  const int64_t first_, last_, capacity_;
  Buffer<Word> candidates_, decisions_;
  Buffer<int32_t> line_blocks_;
  std::vector<Block> blocks_;
  std::vector<size_t> pending_;
};

}  // namespace

LeeStatistics thin_lee(BitImage& volume, int threads, Interrupt& interrupt) {
  const int borders = volume.planes == 1 ? 4 : 6;
  const int64_t voxels = volume.planes * volume.rows * volume.columns;
  const int members = int(std::min<int64_t>(threads_for(voxels, threads), volume.planes));
  Thinning shared(volume);
  std::vector<std::unique_ptr<Share>> shares;
  for (int member = 0; member < members; ++member)
    shares.push_back(std::make_unique<Share>(shared, volume.planes * member / members,
                                             volume.planes * (member + 1) / members));
  Barrier barrier(members);
  Vote vote(barrier);
  LeeStatistics statistics;

  run_team(members, [&](int member) {
    Share& mine = *shares[member];
    int64_t turn = 0, iterations = 0, rounds = 0, most_rounds = 0;
    for (bool changed = true; changed; ++iterations) {
      changed = false;
      for (int border = 0; border < borders; ++border) {
        if (vote.any(interrupt.requested(), turn)) return;
        if (!vote.any(mine.find(border), turn)) continue;
        int64_t here = 0;
        bool unsettled = true;
        for (; unsettled; ++here) {
          mine.decide();
          barrier.wait();
          unsettled = vote.any(mine.publish(), turn);
        }
        rounds += here;
        most_rounds = std::max(most_rounds, here);
        changed |= vote.any(mine.apply(), turn);
      }
    }
    if (member == 0) statistics = {iterations, rounds, most_rounds};
  });
  interrupt.throw_if_requested();
  return statistics;
}

}  // namespace tubeskel::cpu
