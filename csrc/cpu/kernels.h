// The inner loops that are compiled once for each instruction set, and the choice among them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bit_image.h"
#include "compound.h"
#include "soft_cldice.h"
#include "srl.h"

namespace tubeskel::cpu {

enum class Rule { kZhangFirst, kZhangSecond, kGuoHallFirst, kGuoHallSecond };

// Deletions that a sub-iteration found: for each changed block its eight words.
struct Deletions {
  Word* masks;      // [capacity, 8]
  int32_t* blocks;  // [capacity], index of the block in its strip
};

// What a dilation sees of a row: the words from the row in question to it, and the columns on
// either side of the pixel.
struct Reach {
  int64_t offset, half_width;
};

// Pixels of one image, or of one band of its rows.
struct Pixels {
  const void* data;
  int item_size;  // 1, 2, 4 or 8 bytes
  int64_t rows, columns;
};

struct Kernels {
  const char* name;
  // Bits of up to eight rows into one block of every strip; true if a value was invalid.
  bool (*pack)(const Pixels&, const Foreground&, Word* block, int64_t pitch);
  // One block of every strip into up to eight rows of bytes 0 and 1.
  void (*unpack)(const Word* block, int64_t pitch, int64_t rows, int64_t columns, uint8_t* out);
  // Labels where the bit is set, zero elsewhere, in their own type or as bytes; adds the number of
  // kept pixels of each class to counts[class] if counts is given.
  void (*select)(const Word* block, int64_t pitch, const Pixels& labels, const Foreground&,
                 bool as_bytes, void* out, int64_t* counts);
  // Evaluates the rule on the blocks [first, last) of a strip whose activity has `phase` set, and
  // clears it there. Returns the number of blocks with deletions.
  int64_t (*find_deletions)(Rule, const Word* strip, int64_t pitch, uint8_t* activity,
                            int64_t first, int64_t last, uint8_t phase, Deletions);
  // Candidates of Lee's sub-iteration for a border (an index of core::kFace) in the blocks of a
  // line whose activity has bit `border` set; clears it there. A plane pitch of 0 stands for a lone
  // plane, here and below.
  int64_t (*find_lee)(int border, const Word* line, int64_t pitch, int64_t plane_pitch,
                      uint8_t* activity, int64_t blocks, Deletions);
  // Which candidates of a block may go, those before them in raster order being deleted where the
  // block of another image says.
  void (*recheck_lee)(const Word* block, int64_t pitch, int64_t plane_pitch, const Word* deleted,
                      int64_t deleted_pitch, int64_t deleted_plane_pitch, const Word* candidates,
                      Word* kept);
  // Dilates blocks of every strip, from the first one's on. The n rows in reach are in the order of
  // falling half widths. spare: eight words for each strip and two more.
  void (*dilate)(const Word* block, int64_t pitch, int64_t strips, int64_t blocks,
                 const Reach* reaches, int64_t n, Word* spare, Word* out, int64_t out_pitch);
  // The n <= kTile pixels from `first` on, counted through all maps: writes classes[first ...] and
  // adds to counts[class]. Returns whether a label is invalid.
  bool (*read_tube_tile)(const TubeLabels&, int64_t first, int64_t n, void* classes,
                         int64_t* counts);
  // The part of srl_sum of the n <= kTile pixels of a map from `first` on. weights: [num_classes];
  // scratch: 64 doubles for each channel.
  double (*srl_pixels)(const SrlProblem&, int64_t map, int64_t first, int64_t n,
                       const double* weights, void* grad, void* scratch);
  // The n pixels of a map from `first` on; at most kTile for the sums, which are added to
  // sums[channels, core::kSums]. Returns whether the labels are valid.
  bool (*compound_sums_tile)(const CompoundProblem&, int64_t map, int64_t first, int64_t n,
                             double* sums, void* scratch);
  void (*compound_gradient_tile)(const CompoundProblem&, int64_t map, int64_t first, int64_t n,
                                 const double* derivatives, void* grad, bool past_caches,
                                 void* scratch);
  // Probabilities of the n pixels of a map from `first` on, in memory for the whole map. Returns
  // whether the labels are valid.
  bool (*probabilities_tile)(const CompoundProblem&, int64_t map, int64_t first, int64_t n,
                             void* probabilities, void* scratch);
  // One band of soft clDice: bytes of scratch memory; the four sums of each slice of the map, added
  // to sums[slices, 4]; the band's gradient for the derivatives of the map's sums.
  int64_t (*soft_cldice_scratch)(const SoftCldiceProblem&, const SoftCldiceTask&, bool gradient);
  void (*soft_cldice_sums)(const SoftCldiceProblem&, const SoftCldiceTask&, double* sums,
                           void* scratch);
  void (*soft_cldice_gradient)(const SoftCldiceProblem&, const SoftCldiceTask&,
                               const double* derivatives, void* grad, void* scratch);
};

// The kernels in use: the widest this CPU runs, unless chosen otherwise.
const Kernels& kernels();

std::vector<std::string> available_instruction_sets();
// Throws std::invalid_argument if this CPU or build lacks it.
void use_instruction_set(const std::string& name);

}  // namespace tubeskel::cpu
