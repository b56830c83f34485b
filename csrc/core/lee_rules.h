// When Lee's 3D thinning may delete a voxel, on bit planes: 64 or 512 voxels at a time.
//
// Lee, T.-C., Kashyap, R. L. & Chu, C.-N. (1994). Building skeleton models via 3-D medial
// surface/axis thinning algorithms. CVGIP 56(6), 462-478; as scikit-image 0.26 has it.
//
// The rules ask whether deleting a voxel changes the Euler characteristic and how many 26-connected
// components its 26 neighbours form. Neither needs tables or a flood fill. Look at the surface of
// the voxel's closed cube: 6 faces, 12 edges, 8 vertices. Call such a cell free if none of the
// neighbours that share it is foreground, and let F, E, V be the numbers of free faces, edges and
// vertices.
//
// - The voxel adds to the union of its neighbours' cubes its free cells and its inside. So deleting
//   it changes the Euler characteristic by V - E + F - 1.
//
// - Let A be the part of the surface that is not free. Two neighbours are 26-adjacent just if their
//   cubes meet in a point of the surface, so the components of the neighbours are those of A. On a
//   sphere a closed set with c components and Euler characteristic x has x = c - (m - 1), with m
//   the number of components of the complement (Alexander duality). Here x = 2 - (V - E + F), and
//   the components of the complement are those of the graph with the free faces as nodes and the
//   free edges as links, since a free cell touches free faces only. Hence
//
//     c = 1 + E - V - Q,   Q = F - m = number of links in a spanning forest of that graph.
//
//   This needs a free face, which the rules grant: the border face is background.
#pragma once

#include "neighbours.h"

namespace tubeskel::core {

// Bits of the 27 voxels around a word, n[9 (dp + 1) + 3 (dr + 1) + dc + 1] for plane, row, column.
template <class W>
struct Neighbourhood {
  W n[27];
};

// Index of a face neighbour: r-1, r+1, c+1, c-1, p+1, p-1, the order of scikit-image's
// sub-iterations. A volume of one plane uses the first four only. Opposite ones are 2k and 2k + 1.
TUBESKEL_INLINE constexpr int face_neighbour(int face) {
  constexpr int index[6] = {10, 16, 14, 12, 22, 4};  // local: device code sees no global arrays
  return index[face];
}
inline constexpr int kCentre = 13;

template <class W>
struct FreeCells {
  W face[6];
  W edge[6][6];  // [i][j] with i < j; of opposite faces there is none
  W vertex[8];
};

// Faces are numbered so that `first` is face 0 and its opposite face 1.
TUBESKEL_INLINE constexpr int numbered(int face, int first) {
  return face < 2 ? first ^ face : (first / 2 * 2 + face) % 6;
}

template <class W>
TUBESKEL_INLINE FreeCells<W> free_cells(const Neighbourhood<W>& p, int first) {
  FreeCells<W> cells;
  int at[6];  // the neighbour across each face
  TUBESKEL_UNROLL(6)
  for (int i = 0; i < 6; ++i) {
    at[i] = face_neighbour(numbered(i, first));
    cells.face[i] = ~p.n[at[i]];
  }
  TUBESKEL_UNROLL(6)
  for (int i = 0; i < 6; ++i) {
    TUBESKEL_UNROLL(6)
    for (int j = i + 1; j < 6; ++j) {
      if (i / 2 == j / 2)
        cells.edge[i][j] = W{};
      else
        cells.edge[i][j] = ~(p.n[at[i]] | p.n[at[j]] | p.n[at[i] + at[j] - kCentre]);
    }
  }
  TUBESKEL_UNROLL(8)
  for (int corner = 0; corner < 8; ++corner) {
    const int i = corner & 1, j = 2 + (corner >> 1 & 1), k = 4 + (corner >> 2);
    cells.vertex[corner] = cells.edge[i][j] & cells.edge[i][k] & cells.edge[j][k] &
                           ~p.n[at[i] + at[j] + at[k] - 2 * kCentre];
  }
  return cells;
}

// linked[k]: face k is joined to one of a lower number, through free edges. These are the links of
// a spanning forest. The graph is shrunk from the highest number down, every path through the face
// that leaves becoming a link. Uses up the edges.
template <class W>
TUBESKEL_INLINE void link_faces(W (&edge)[6][6], W (&linked)[6]) {
  TUBESKEL_UNROLL(5)
  for (int k = 5; k > 0; --k) {
    linked[k] = edge[0][k];
    TUBESKEL_UNROLL(5)
    for (int i = 1; i < k; ++i) linked[k] |= edge[i][k];
    TUBESKEL_UNROLL(5)
    for (int i = 0; i < k; ++i) {
      TUBESKEL_UNROLL(5)
      for (int j = i + 1; j < k; ++j) edge[i][j] |= edge[i][k] & edge[j][k];
    }
  }
}

// ---- counting planes

// Adds three planes of the same weight: the sum stays in `a`, the carry is returned.
template <class W>
TUBESKEL_INLINE W add(W& a, const W& b, const W& c) {
  const W carry = (a & b) | (c & (a | b));
  a = a ^ b ^ c;
  return carry;
}

template <class W>
struct Count {
  W bit[4];
};

// How many of thirteen planes are set.
template <class W>
TUBESKEL_INLINE Count<W> count(const W* x) {
  W a = x[0], b = x[3], c = x[6], d = x[9];
  W p = add(a, x[1], x[2]);
  const W q = add(b, x[4], x[5]), r = add(c, x[7], x[8]);
  W s = add(d, x[10], x[11]);
  const W t = add(a, b, c), u = add(a, d, x[12]);
  W v = add(p, q, r);
  const W w = add(p, s, t);
  const W y = p & u;
  const W z = add(v, w, y);
  return {{a, p ^ u, v, z}};
}

// V + (links or faces), and E, each as a count.
template <class W>
TUBESKEL_INLINE void count_cells(const FreeCells<W>& cells, const W* five, Count<W>& left,
                                 Count<W>& edges) {
  W planes[13];
  TUBESKEL_UNROLL(8)
  for (int i = 0; i < 8; ++i) planes[i] = cells.vertex[i];
  TUBESKEL_UNROLL(5)
  for (int i = 0; i < 5; ++i) planes[8 + i] = five[i];
  left = count(planes);
  int n = 0;
  TUBESKEL_UNROLL(6)
  for (int i = 0; i < 6; ++i) {
    TUBESKEL_UNROLL(6)
    for (int j = i + 1; j < 6; ++j)
      if (i / 2 != j / 2) planes[n++] = cells.edge[i][j];
  }
  planes[12] = W{};
  edges = count(planes);
}

// ---- the rules

// More than one of the 26 neighbours is set.
template <class W>
TUBESKEL_INLINE W has_two_neighbours(const Neighbourhood<W>& p) {
  W one = p.n[0], two = W{};
  TUBESKEL_UNROLL(27)
  for (int i = 1; i < 27; ++i) {
    if (i == kCentre) continue;
    two |= one & p.n[i];
    one |= p.n[i];
  }
  return two;
}

// Candidates of a sub-iteration: the neighbour across `border` is background, the voxel is no
// endpoint (exactly one neighbour), its deletion keeps the Euler characteristic, and its neighbours
// form at most one component.
template <class W>
TUBESKEL_INLINE W lee_candidates(const Neighbourhood<W>& p, int border) {
  FreeCells<W> cells = free_cells(p, border);
  // Face 0 is free, so V - E + F - 1 = 0 is V + (other free faces) = E ...
  Count<W> left, edges;
  count_cells(cells, cells.face + 1, left, edges);
  W unchanged = ~(left.bit[0] ^ edges.bit[0]);
  TUBESKEL_UNROLL(3)
  for (int i = 1; i < 4; ++i) unchanged &= ~(left.bit[i] ^ edges.bit[i]);
  // ... and then one component means that the free faces are connected.
  W linked[6];
  link_faces(cells.edge, linked);
  W connected = ~cells.face[1] | linked[1];
  TUBESKEL_UNROLL(4)
  for (int k = 2; k < 6; ++k) connected &= ~cells.face[k] | linked[k];
  return p.n[kCentre] & cells.face[0] & unchanged & connected & has_two_neighbours(p);
}

// The neighbours form at most one component: c <= 1 is V + Q >= E. Some face must be free.
template <class W>
TUBESKEL_INLINE W at_most_one_component(const Neighbourhood<W>& p) {
  FreeCells<W> cells = free_cells(p, 0);
  FreeCells<W> shrunk = cells;
  W linked[6];
  link_faces(shrunk.edge, linked);
  Count<W> left, edges;
  count_cells(cells, linked + 1, left, edges);
  W enough = left.bit[0] | ~edges.bit[0];
  TUBESKEL_UNROLL(3)
  for (int i = 1; i < 4; ++i) {
    const W none = ~edges.bit[i];
    enough = (left.bit[i] & none) | (enough & (left.bit[i] | none));
  }
  return enough;
}

}  // namespace tubeskel::core
