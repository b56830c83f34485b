// Deletion rules of the 2D thinning methods as boolean circuits on bit planes.
// Written by synthesise_rules.py, which holds the tables; tests/core checks all 256 neighbourhoods.
//
// Zhang, T. Y. & Suen, C. Y. (1984). A fast parallel algorithm for thinning digital patterns.
// Communications of the ACM 27(3), 236-239; with the table of scikit-image 0.26.
// Guo, Z. & Hall, R. W. (1989). Parallel thinning with two-subiteration algorithms.
// Communications of the ACM 32(3), 359-373.
#pragma once

#include "neighbours.h"

namespace tubeskel::core {

// 17 three-input functions; true where the rule deletes a foreground pixel.
template <class W>
TUBESKEL_INLINE W zhang_first(const Neighbours<W>& p) {
  const W g0 = p.se ^ (p.ne | (p.sw | p.se));
  const W g1 = p.e ^ (p.e | (p.w & p.nw));
  const W g2 = g1 ^ (p.nw | (g0 | g1));
  const W g3 = p.n ^ (p.nw & (p.sw & p.n));
  const W g4 = p.s & (g3 | g2);
  const W g5 = ~(p.s | (p.nw & p.sw));
  const W g6 = g5 ^ (p.ne & (p.e & g5));
  const W g7 = p.nw & p.ne;
  const W g8 = p.n ^ (g7 | (g6 | p.n));
  const W g9 = p.sw ^ ~(p.ne & (p.sw ^ p.e));
  const W g10 = g9 ^ (p.s | (g9 | ~p.sw));
  const W g11 = ~(p.e | (p.nw | p.ne));
  const W g12 = p.w ^ (p.sw | (g11 | p.w));
  const W g13 = g12 ^ ((g12 ^ g10) | ~p.se);
  const W g14 = g13 ^ (g13 & (g4 | g8));
  const W g15 = g7 ^ (g7 | p.e);
  return g14 ^ (p.w & (g15 & g14));
}

// 18 three-input functions; true where the rule deletes a foreground pixel.
template <class W>
TUBESKEL_INLINE W zhang_second(const Neighbours<W>& p) {
  const W g0 = ~(p.n | p.s);
  const W g1 = g0 ^ (p.nw | (g0 | ~p.ne));
  const W g2 = ~(g1 | p.se);
  const W g3 = p.w & (p.e | g0);
  const W g4 = ~(p.nw | (p.w | p.e));
  const W g5 = g4 ^ (p.ne | (g4 | ~p.nw));
  const W g6 = g5 ^ (g5 & (g2 | g3));
  const W g7 = p.n & (p.s | (p.nw ^ p.n));
  const W g8 = p.nw ^ (p.w & (p.nw ^ g7));
  const W g9 = p.s ^ (p.se | (p.s | ~p.w));
  const W g10 = p.sw & (g9 | g8);
  const W g11 = p.s ^ (p.se & (p.ne & p.s));
  const W g12 = g11 ^ (p.e | (g11 | ~p.se));
  const W g13 = p.ne & (p.nw | (p.e ^ p.ne));
  const W g14 = g12 ^ (p.n | (g13 ^ g12));
  const W g15 = p.se ^ (p.se | (p.w & p.e));
  const W g16 = ~(g10 | (g14 | g15));
  return g16 & (p.sw | g6);
}

// 10 three-input functions; true where the rule deletes a foreground pixel.
template <class W>
TUBESKEL_INLINE W guo_hall_first(const Neighbours<W>& p) {
  const W g0 = p.ne ^ (p.ne | (p.nw & p.sw));
  const W g1 = p.se ^ (p.n | (g0 | p.se));
  const W g2 = g1 ^ (p.ne | (g1 | ~p.s));
  const W g3 = p.sw ^ (p.sw | (p.ne & p.nw));
  const W g4 = p.s ^ (p.s | g3);
  const W g5 = p.e ^ (p.w | (g4 | p.e));
  const W g6 = p.nw ^ (p.sw | (p.e | p.nw));
  const W g7 = p.se & (p.w | g6);
  const W g8 = p.n ^ (p.n | g7);
  return g2 ^ (g8 | (g5 | g2));
}

// 10 three-input functions; true where the rule deletes a foreground pixel.
template <class W>
TUBESKEL_INLINE W guo_hall_second(const Neighbours<W>& p) {
  const W g0 = p.nw ^ (p.nw | (p.ne & p.se));
  const W g1 = p.sw ^ (p.n | (g0 | p.sw));
  const W g2 = g1 ^ (p.nw | (g1 | ~p.s));
  const W g3 = ~(p.ne | p.w);
  const W g4 = p.n ^ (p.n | (p.se & g3));
  const W g5 = p.e ^ (p.se | (g3 | p.e));
  const W g6 = g5 ^ (p.sw & (g4 & g5));
  const W g7 = p.w | (p.e ^ (p.e | p.ne));
  const W g8 = g7 & (p.s | (p.nw ^ g7));
  return ~(g2 | (g6 | g8));
}

}  // namespace tubeskel::core
