// Bit planes of the eight neighbours of a word of pixels.
//
// A word holds consecutive pixels of one row, bit i being column i of the word. The plane of the
// western neighbours is then the word shifted up by one bit, the freed bit coming from the word to
// the west; the eastern plane the other way round. W is any unsigned integer, or a vector of them
// whose lanes are rows.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define TUBESKEL_INLINE __host__ __device__ __forceinline__
#else
#define TUBESKEL_INLINE inline __attribute__((always_inline))
#endif

// Unrolls the loop that follows, of at most n turns: its arrays then live in registers.
#define TUBESKEL_PRAGMA(text) _Pragma(#text)
#if defined(__CUDA_ARCH__)
#define TUBESKEL_UNROLL(n) TUBESKEL_PRAGMA(unroll n)
#elif defined(__CUDACC__)  // the host's side of a CUDA file runs no rules
#define TUBESKEL_UNROLL(n)
#else
#define TUBESKEL_UNROLL(n) TUBESKEL_PRAGMA(GCC unroll n)
#endif

namespace tubeskel::core {

template <class W>
struct Neighbours {
  W nw, n, ne, e, se, s, sw, w;
};

// Number of pixels in a word, for scalar words and for vectors of 64-bit words.
template <class W>
inline constexpr int kWordBits = sizeof(W) < 8 ? int(8 * sizeof(W)) : 64;

template <class W>
TUBESKEL_INLINE W west_plane(const W& word, const W& west_word) {
  return (word << 1) | (west_word >> (kWordBits<W> - 1));
}

template <class W>
TUBESKEL_INLINE W east_plane(const W& word, const W& east_word) {
  return (word >> 1) | (east_word << (kWordBits<W> - 1));
}

// Three words of a row, the middle one being the word in question.
template <class W>
struct RowOfWords {
  W west, centre, east;
};

template <class W>
TUBESKEL_INLINE Neighbours<W> neighbours(const RowOfWords<W>& north, const RowOfWords<W>& here,
                                         const RowOfWords<W>& south) {
  Neighbours<W> p;
  p.nw = west_plane(north.centre, north.west);
  p.n = north.centre;
  p.ne = east_plane(north.centre, north.east);
  p.w = west_plane(here.centre, here.west);
  p.e = east_plane(here.centre, here.east);
  p.sw = west_plane(south.centre, south.west);
  p.s = south.centre;
  p.se = east_plane(south.centre, south.east);
  return p;
}

}  // namespace tubeskel::core
