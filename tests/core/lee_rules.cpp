// Lee's rules on bit planes against an independent statement: the Euler characteristic of the union
// of the neighbours' cubes, counted cell by cell, and a flood fill over the 26 neighbours.
#include "../../csrc/core/lee_rules.h"

#include <cstdio>
#include <cstdlib>
#include <random>

using namespace tubeskel::core;
using Word = uint64_t;

static int components(uint32_t set) {
  int count = 0;
  for (; set; ++count) {
    uint32_t reached = set & -set, before;
    do {
      before = reached;
      for (int i = 0; i < 27; ++i)
        for (int j = 0; j < 27; ++j)
          if (before >> i & 1 && set >> j & 1 && std::abs(i / 9 - j / 9) <= 1 &&
              std::abs(i / 3 % 3 - j / 3 % 3) <= 1 && std::abs(i % 3 - j % 3) <= 1)
            reached |= 1u << j;
    } while (reached != before);
    set &= ~reached;
  }
  return count;
}

// The cells of the complex lie on a 7 x 7 x 7 grid, odd coordinates being inside a voxel.
static int euler(uint32_t set) {
  bool cell[7][7][7] = {};
  for (int i = 0; i < 27; ++i)
    for (int k = 0; k < 27; ++k)
      if (set >> i & 1)
        cell[2 * (i / 9) + k / 9][2 * (i / 3 % 3) + k / 3 % 3][2 * (i % 3) + k % 3] = true;
  int sum = 0;
  for (int p = 0; p < 7; ++p)
    for (int r = 0; r < 7; ++r)
      for (int c = 0; c < 7; ++c)
        if (cell[p][r][c]) sum += (p % 2 + r % 2 + c % 2) % 2 ? -1 : 1;
  return sum;
}

int main() {
  std::mt19937_64 random(1);
  long wrong = 0, candidates = 0;
  for (int round = 0; round < 2000; ++round) {
    Neighbourhood<Word> p;
    for (Word& word : p.n) {  // densities from 1/16 to 15/16
      word = random();
      for (int k = round % 7; k < 3; ++k) word &= random();
      for (int k = 3; k < round % 7; ++k) word |= random();
    }
    const Word at_most_one = at_most_one_component(p);
    Word marked[6];
    for (int border = 0; border < 6; ++border) marked[border] = lee_candidates(p, border);
    for (int bit = 0; bit < 64; ++bit) {
      uint32_t all = 0;
      for (int i = 0; i < 27; ++i) all |= uint32_t(p.n[i] >> bit & 1) << i;
      const uint32_t others = all & ~(1u << kCentre);
      const bool simple = components(others) <= 1;
      const bool same_euler = euler(others) == euler(others | 1u << kCentre);
      bool free_face = false;
      for (int face = 0; face < 6; ++face) free_face |= !(all >> face_neighbour(face) & 1);
      if (free_face) wrong += simple != bool(at_most_one >> bit & 1);
      for (int border = 0; border < 6; ++border) {
        const bool expected = all >> kCentre & 1 && !(all >> face_neighbour(border) & 1) &&
                              __builtin_popcount(others) != 1 && same_euler && simple;
        candidates += expected;
        wrong += expected != bool(marked[border] >> bit & 1);
      }
    }
  }
  std::printf("%ld wrong, %ld candidates\n", wrong, candidates);
  return wrong != 0 || candidates < 1000;
}
