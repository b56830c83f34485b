// The inner loops, written once on GCC vectors. Each of kernels_*.cpp includes this file under its
// own target and namespace. The rules must come in here, after the target is set: the compiler
// splits vectors that a function's target lacks before it inlines that function.

#include "../core/deletion_rules.h"
#include "../core/lee_rules.h"

namespace tubeskel::cpu::TUBESKEL_TARGET {

#define KERNEL inline __attribute__((always_inline))

// Lanes are consecutive rows of a strip.
using Rows = Word __attribute__((vector_size(TUBESKEL_VECTOR_BYTES)));
constexpr int kLanes = sizeof(Rows) / sizeof(Word);
constexpr int kVectors = kBlockRows / kLanes;

KERNEL Rows load(const Word* p) {
  Rows v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
KERNEL void store(Word* p, const Rows& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

KERNEL core::RowOfWords<Rows> row_of_words(const Word* p, int64_t pitch) {
  return {load(p - pitch), load(p), load(p + pitch)};
}

// Bit i of the result says whether byte i of 64 is not zero.
KERNEL Word nonzero_bits(const uint8_t* bytes) {
#if defined(__x86_64__) && TUBESKEL_VECTOR_BYTES == 64
  const __m512i all = _mm512_loadu_si512(bytes);
  return _mm512_test_epi8_mask(all, all);
#elif defined(__x86_64__) && TUBESKEL_VECTOR_BYTES == 32
  const auto zeros = [](const uint8_t* p) {
    const __m256i part = _mm256_loadu_si256((const __m256i*)p);
    return Word(uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(part, __m256i{}))));
  };
  return ~(zeros(bytes) | zeros(bytes + 32) << 32);
#elif defined(__x86_64__)
  Word zeros = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i part = _mm_loadu_si128((const __m128i*)(bytes + 16 * i));
    zeros |= Word(_mm_movemask_epi8(_mm_cmpeq_epi8(part, __m128i{}))) << (16 * i);
  }
  return ~zeros;
#else
  Word word = 0;
  for (int i = 0; i < 8; ++i) {
    Word eight;
    __builtin_memcpy(&eight, bytes + 8 * i, 8);
    constexpr Word kLow = 0x7f7f7f7f7f7f7f7full;
    eight = (((eight & kLow) + kLow) | eight) >> 7 & 0x0101010101010101ull;
    // The product gathers eight bits, one a byte, in its top byte.
    word |= (eight * 0x0102040810204080ull >> 56) << (8 * i);
  }
  return word;
#endif
}

// ---- thinning

KERNEL bool is_zero(const Rows& v) {
#if defined(__x86_64__) && TUBESKEL_VECTOR_BYTES == 64
  return _mm512_test_epi64_mask(__m512i(v), __m512i(v)) == 0;
#else
  Word some = 0;
  for (int lane = 0; lane < kLanes; ++lane) some |= v[lane];
  return some == 0;
#endif
}

// Calls deletions(p) on the vectors of each block [first, last) of a line whose activity has
// `phase` set, and clears it there. Returns the number of blocks with deletions.
template <class DeletionsOf>
KERNEL int64_t find(const DeletionsOf& deletions, const Word* line, uint8_t* activity,
                    int64_t first, int64_t last, uint8_t phase, const Deletions& found) {
  int64_t n = 0;
  for (int64_t from = first; from < last; from += kBlocksAtOnce) {
    uint8_t is_active[kBlocksAtOnce];
    for (int i = 0; i < kBlocksAtOnce; ++i) is_active[i] = activity[from + i] & phase;
    Word active = nonzero_bits(is_active);
    if (last - from < kBlocksAtOnce) active &= (Word(1) << (last - from)) - 1;
    for (; active; active &= active - 1) {
      const int64_t block = from + __builtin_ctzll(active);
      activity[block] &= uint8_t(~phase);
      Word* const mask = found.masks + n * kBlockRows;
      Rows any = {};
      for (int v = 0; v < kVectors; ++v) {
        const Rows deleted = deletions(line + block * kBlockRows + v * kLanes);
        store(mask + v * kLanes, deleted);
        any |= deleted;
      }
      found.blocks[n] = int32_t(block);
      n += !is_zero(any);
    }
  }
  return n;
}

int64_t find_deletions(Rule rule, const Word* strip, int64_t pitch, uint8_t* activity,
                       int64_t first, int64_t last, uint8_t phase, Deletions found) {
  const auto with = [&](const auto& deletes) {
    const auto deletions = [&](const Word* p) {
      return load(p) & deletes(core::neighbours(row_of_words(p - 1, pitch), row_of_words(p, pitch),
                                                row_of_words(p + 1, pitch)));
    };
    return find(deletions, strip, activity, first, last, phase, found);
  };
  switch (rule) {
    case Rule::kZhangFirst:
      return with([](const auto& p) { return core::zhang_first(p); });
    case Rule::kZhangSecond:
      return with([](const auto& p) { return core::zhang_second(p); });
    case Rule::kGuoHallFirst:
      return with([](const auto& p) { return core::guo_hall_first(p); });
    default:
      return with([](const auto& p) { return core::guo_hall_second(p); });
  }
}

// The planes of nine rows of three words, row i being read by row(i): the three of a volume's plane
// before, of its own, and of the plane behind. A lone plane has background before and behind it,
// which takes half of the operations out of the rules.
template <bool kLone, class Row>
KERNEL core::Neighbourhood<Rows> neighbourhood(const Row& row) {
  core::Neighbourhood<Rows> around = {};
#pragma GCC unroll 9
  for (int i = 0; i < 9; ++i) {
    if (kLone && i / 3 != 1) continue;
    const core::RowOfWords<Rows> words = row(i);
    around.n[3 * i] = core::west_plane(words.centre, words.west);
    around.n[3 * i + 1] = words.centre;
    around.n[3 * i + 2] = core::east_plane(words.centre, words.east);
  }
  return around;
}

template <int kBorder, bool kLone>
KERNEL int64_t find_lee_at(const Word* line, int64_t pitch, int64_t plane_pitch, uint8_t* activity,
                           int64_t blocks, const Deletions& found) {
  const auto candidates = [&](const Word* p) {
    const Rows here = load(p);
    if (is_zero(here)) return here;
    const auto row = [&](int i) {
      return row_of_words(p + (i / 3 - 1) * plane_pitch + i % 3 - 1, pitch);
    };
    return core::lee_candidates(neighbourhood<kLone>(row), kBorder);
  };
  return find(candidates, line, activity, 0, blocks, uint8_t(1 << kBorder), found);
}

template <bool kLone>
KERNEL int64_t find_lee_in(int border, const Word* line, int64_t pitch, int64_t plane_pitch,
                           uint8_t* activity, int64_t blocks, const Deletions& found) {
  const auto at = [&](auto number) {
    return find_lee_at<number, kLone>(line, pitch, plane_pitch, activity, blocks, found);
  };
  switch (border) {
    case 0:
      return at(std::integral_constant<int, 0>());
    case 1:
      return at(std::integral_constant<int, 1>());
    case 2:
      return at(std::integral_constant<int, 2>());
    case 3:
      return at(std::integral_constant<int, 3>());
    case 4:
      return at(std::integral_constant<int, 4>());
    default:
      return at(std::integral_constant<int, 5>());
  }
}

int64_t find_lee(int border, const Word* line, int64_t pitch, int64_t plane_pitch,
                 uint8_t* activity, int64_t blocks, Deletions found) {
  return plane_pitch ? find_lee_in<false>(border, line, pitch, plane_pitch, activity, blocks, found)
                     : find_lee_in<true>(border, line, pitch, 0, activity, blocks, found);
}

template <bool kLone>
KERNEL void recheck_lee_in(const Word* block, int64_t pitch, int64_t plane_pitch,
                           const Word* deleted, int64_t deleted_pitch, int64_t deleted_plane_pitch,
                           const Word* candidates, Word* kept) {
  for (int v = 0; v < kVectors; ++v) {
    const Word* const p = block + v * kLanes;
    const Word* const d = deleted + v * kLanes;
    Rows east;
    const auto row = [&](int i) {
      const core::RowOfWords<Rows> all =
          row_of_words(p + (i / 3 - 1) * plane_pitch + i % 3 - 1, pitch);
      if (i == 4) east = core::east_plane(all.centre, all.east);
      if (i > 4) return all;
      // Rows that come earlier in raster order, and the western part of this one.
      const core::RowOfWords<Rows> gone =
          row_of_words(d + (i / 3 - 1) * deleted_plane_pitch + i % 3 - 1, deleted_pitch);
      return core::RowOfWords<Rows>{all.west & ~gone.west, all.centre & ~gone.centre,
                                    all.east & ~gone.east};
    };
    core::Neighbourhood<Rows> around = neighbourhood<kLone>(row);
    around.n[14] = east;
    store(kept + v * kLanes, load(candidates + v * kLanes) & core::at_most_one_component(around));
  }
}

void recheck_lee(const Word* block, int64_t pitch, int64_t plane_pitch, const Word* deleted,
                 int64_t deleted_pitch, int64_t deleted_plane_pitch, const Word* candidates,
                 Word* kept) {
  if (plane_pitch)
    recheck_lee_in<false>(block, pitch, plane_pitch, deleted, deleted_pitch, deleted_plane_pitch,
                          candidates, kept);
  else
    recheck_lee_in<true>(block, pitch, 0, deleted, deleted_pitch, 0, candidates, kept);
}

// ---- packing

// Foreground bits of 64 pixels.
template <class T>
KERNEL Word foreground_bits(const T* pixels, const Foreground& foreground, bool& invalid) {
  uint8_t flags[64];
  const T magnitude = T(foreground.magnitude), largest = T(foreground.largest);
  const T ignored = T(foreground.ignored), wanted = T(foreground.wanted);
  if (foreground.one_class) {
    for (int i = 0; i < 64; ++i) flags[i] = pixels[i] == wanted;
    return nonzero_bits(flags);
  }
  if (largest == T(~T(0))) {
    for (int i = 0; i < 64; ++i) flags[i] = T(pixels[i] & magnitude) != 0 && pixels[i] != ignored;
    return nonzero_bits(flags);
  }
  uint8_t bad[64];
  for (int i = 0; i < 64; ++i) {
    const T value = T(pixels[i] & magnitude);
    const bool told = pixels[i] != ignored;
    flags[i] = (value != 0) & told;
    bad[i] = (value > largest) & told;
  }
  invalid |= nonzero_bits(bad) != 0;
  return nonzero_bits(flags);
}

constexpr std::integral_constant<int64_t, 64> kFullWord;

// Calls visit(strip, row, pixels, n) for each run of n = 64 pixels of up to eight rows, or what is
// left of a row. Who writes meanwhile takes its arguments by value: what is read through a
// reference might change with each word written.
template <class T, class Visit>
KERNEL void for_each_word(const Pixels& pixels, const Visit& visit) {
  const T* data = static_cast<const T*>(pixels.data);
  const int64_t full = pixels.columns / 64, rest = pixels.columns % 64;
  for (int64_t row = 0; row < pixels.rows; ++row) {
    for (int64_t strip = 0; strip < full; ++strip) visit(strip, row, data + 64 * strip, kFullWord);
    if (rest) visit(full, row, data + 64 * full, rest);
    data += pixels.columns;
  }
}

// The bits that `bits_of` finds for 64 pixels, for n of them.
template <class T, class BitsOf>
KERNEL Word bits_of_run(const T* pixels, int64_t n, const BitsOf& bits_of) {
  if (n == 64) return bits_of(pixels);
  T padded[64] = {};
  __builtin_memcpy(padded, pixels, size_t(n) * sizeof(T));
  const Word inside = (Word(1) << n) - 1;
  return bits_of(padded) & inside;
}

template <class T>
KERNEL Word foreground_bits(const T* pixels, int64_t n, const Foreground& foreground,
                            bool& invalid) {
  return bits_of_run(pixels, n,
                     [&](const T* p) { return foreground_bits(p, foreground, invalid); });
}

template <class T>
bool pack_as(const Pixels pixels, const Foreground foreground, Word* block, int64_t pitch) {
  const auto pack_by = [&](const auto& bits_of) {
    for_each_word<T>(pixels, [&](int64_t strip, int64_t row, const T* p, int64_t n) {
      block[strip * pitch + row] = bits_of_run(p, n, bits_of);
    });
  };
  constexpr T kAll = T(~T(0));
  const bool plain = T(foreground.magnitude) == kAll && T(foreground.largest) == kAll &&
                     foreground.ignored == 0 && !foreground.one_class;
  bool invalid = false;
  if (sizeof(T) == 1 && plain)
    pack_by([](const T* p) { return nonzero_bits(reinterpret_cast<const uint8_t*>(p)); });
  else
    pack_by([&](const T* p) { return foreground_bits(p, foreground, invalid); });
  for (int64_t strip = 0; strip * 64 < pixels.columns; ++strip)
    for (int64_t row = pixels.rows; row < kBlockRows; ++row) block[strip * pitch + row] = 0;
  return invalid;
}

bool pack(const Pixels& pixels, const Foreground& foreground, Word* block, int64_t pitch) {
  switch (pixels.item_size) {
    case 1:
      return pack_as<uint8_t>(pixels, foreground, block, pitch);
    case 2:
      return pack_as<uint16_t>(pixels, foreground, block, pitch);
    case 4:
      return pack_as<uint32_t>(pixels, foreground, block, pitch);
    default:
      return pack_as<uint64_t>(pixels, foreground, block, pitch);
  }
}

// ---- unpacking

// Bytes 0 or 1 from 64 bits.
KERNEL void bytes_of_bits(Word bits, uint8_t* out) {
#if defined(__x86_64__) && TUBESKEL_VECTOR_BYTES == 64
  _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(bits, 1));
#else
  for (int i = 0; i < 8; ++i) {
    // Copy a byte of bits to eight bytes, keep bit k in byte k, and turn nonzero into one.
    Word eight = (bits >> (8 * i) & 0xff) * 0x0101010101010101ull & 0x8040201008040201ull;
    eight = (eight + 0x7f7f7f7f7f7f7f7full) >> 7 & 0x0101010101010101ull;
    __builtin_memcpy(out + 8 * i, &eight, 8);
  }
#endif
}

void unpack(const Word* block, int64_t pitch, int64_t rows, int64_t columns, uint8_t* out) {
  const int64_t full = columns / 64, rest = columns % 64;
  for (int64_t row = 0; row < rows; ++row, ++block) {
    for (int64_t strip = 0; strip < full; ++strip, out += 64)
      bytes_of_bits(block[strip * pitch], out);
    if (rest == 0) continue;
    uint8_t bytes[64];
    bytes_of_bits(block[full * pitch], bytes);
    __builtin_memcpy(out, bytes, size_t(rest));
    out += rest;
  }
}

// Adds the pixels of each class among the set bits. One round for each distinct label present.
template <class T>
KERNEL void count_classes(Word bits, const T* labels, int64_t n, int64_t* counts) {
  while (bits) {
    const T label = labels[__builtin_ctzll(bits)];
    Foreground same;
    same.one_class = true;
    same.wanted = label;
    bool invalid = false;
    const Word of_class = foreground_bits(labels, n, same, invalid) & bits;
    counts[label] += __builtin_popcountll(of_class);
    bits &= ~of_class;
  }
}

template <class T, class Out>
void select_as(const Word* block, int64_t pitch, const Pixels labels, const Foreground foreground,
               Out* out, int64_t* counts) {
  const T* const data = static_cast<const T*>(labels.data);
  for_each_word<T>(labels, [&](int64_t strip, int64_t row, const T* p, int64_t n) {
    Out* const to = out + (p - data);
    Word bits = block[strip * pitch + row];
    if (bits == 0) {
      __builtin_memset(to, 0, size_t(n) * sizeof(Out));
      return;
    }
    bool invalid = false;
    bits &= foreground_bits(p, n, foreground, invalid);
    uint8_t keep[64];
    bytes_of_bits(bits, keep);
    const auto copy = [&](auto size) {
      for (int64_t i = 0; i < size; ++i) to[i] = keep[i] ? Out(p[i]) : Out(0);
    };
    if (n == 64)
      copy(std::integral_constant<int64_t, 64>());
    else
      copy(n);
    if (counts) count_classes(bits, p, n, counts);
  });
}

void select(const Word* block, int64_t pitch, const Pixels& labels, const Foreground& foreground,
            bool as_bytes, void* out, int64_t* counts) {
  const auto as = [&](auto zero) {
    using T = decltype(zero);
    if (as_bytes)
      select_as<T>(block, pitch, labels, foreground, static_cast<uint8_t*>(out), counts);
    else
      select_as<T>(block, pitch, labels, foreground, static_cast<T*>(out), counts);
  };
  switch (labels.item_size) {
    case 1:
      return as(uint8_t());
    case 2:
      return as(uint16_t());
    case 4:
      return as(uint32_t());
    default:
      return as(uint64_t());
  }
}

// ---- dilation

void dilate(const Word* line, int64_t pitch, int64_t strips, int64_t blocks, const Reach* reaches,
            int64_t n, Word* spare, Word* out, int64_t out_pitch) {
  for (int64_t at = 0; at < blocks * kBlockRows; at += kLanes) {
    Word* const sums = spare + kLanes;  // of every strip; background on either side
    store(spare, Rows{});
    store(sums + strips * kLanes, Rows{});
    int64_t first = 0, last = 0;
    for (int64_t width = reaches[0].half_width; width >= 0; --width, first = last) {
      while (last < n && reaches[last].half_width == width) ++last;
      Word* const to = width ? sums : out + at;
      const int64_t to_pitch = width ? kLanes : out_pitch;
      Rows west = {};
      for (int64_t strip = 0; strip < strips; ++strip) {
        Rows sum = {};
        for (int64_t i = first; i < last; ++i)
          sum |= load(line + strip * pitch + at + reaches[i].offset);
        if (first > 0) {
          const Rows here = load(sums + strip * kLanes), east = load(sums + (strip + 1) * kLanes);
          sum |= here | core::west_plane(here, west) | core::east_plane(here, east);
          west = here;
        }
        store(to + strip * to_pitch, sum);
      }
    }
  }
}

#undef KERNEL

}  // namespace tubeskel::cpu::TUBESKEL_TARGET
