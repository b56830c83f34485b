// A binary image or volume, one bit a pixel, in vertical strips of 64 columns.
//
// Word r of plane p of strip j holds pixels (p, r, 64 j) .. (p, r, 64 j + 63). The words of a plane
// of a strip lie one after the other, so that eight rows, a *block*, are one cache line and one
// AVX-512 register: the unit of work, of activity and of skipping. A contour in any direction
// touches few blocks. Around the image lie zero words: eight above and below each plane, a strip on
// either side, and a plane before and behind where `padded_planes` asks for it. So reading a
// neighbour needs no test, and what is outside the image is background.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace tubeskel::cpu {

using Word = uint64_t;
inline constexpr int64_t kWordColumns = 64;
inline constexpr int64_t kBlockRows = 8;
// Blocks whose activity kernels look at together, maybe beyond the end of a line, never into the
// next.
inline constexpr int64_t kBlocksAtOnce = 64;

inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct FreeMemory {
  void operator()(void* p) const { std::free(p); }
};

// Memory for n elements, aligned to cache lines. Pages that are never touched cost nothing.
template <class T>
struct Buffer {
  explicit Buffer(int64_t n) {
    const size_t bytes = size_t(ceil_div(n * int64_t(sizeof(T)), 64) * 64);
    data.reset(static_cast<T*>(std::aligned_alloc(64, bytes ? bytes : 64)));
    if (!data) throw std::bad_alloc();
  }
  T* get() const { return data.get(); }
  T& operator[](int64_t i) const { return data.get()[i]; }
  std::unique_ptr<T[], FreeMemory> data;
};

class BitImage {
 public:
  BitImage(int64_t rows, int64_t columns) : BitImage(1, rows, columns, false) {}

  BitImage(int64_t planes, int64_t rows, int64_t columns, bool padded_planes)
      : planes(planes),
        rows(rows),
        columns(columns),
        strips(ceil_div(columns, kWordColumns)),
        blocks(ceil_div(rows, kBlockRows)),
        plane_pitch((blocks + 1) * kBlockRows),
        pitch(padded((planes + (padded_planes ? 2 : 0)) * plane_pitch)),
        first_(pitch + (padded_planes ? plane_pitch : 0) + kBlockRows),
        size_((strips + 2) * pitch + kBlockRows),
        words_(size_) {
    clear_padding();
  }

  // First word of a plane of a strip. Strips -1 and `strips`, and planes -1 and `planes` where they
  // are padded, are background.
  Word* strip(int64_t j, int64_t p = 0) const {
    return words_.get() + first_ + j * pitch + p * plane_pitch;
  }

  void clear() { clear_part(0, 1); }
  // The share of one of several threads.
  void clear_part(int64_t part, int64_t parts) {
    const int64_t first = size_ * part / parts, last = size_ * (part + 1) / parts;
    std::memset(words_.get() + first, 0, size_t(last - first) * sizeof(Word));
  }

  const int64_t planes, rows, columns, strips, blocks;
  const int64_t plane_pitch, pitch;  // words from one plane, or strip, to the next

 private:
  // A pitch of whole pages would map a block of every strip to the same cache set.
  static int64_t padded(int64_t pitch) { return pitch % 512 == 0 ? pitch + kBlockRows : pitch; }

  // Everything but the blocks of the image, which packing fills.
  void clear_padding() {
    const Word* const end = words_.get() + size_;
    Word* from = words_.get();
    for (int64_t j = 0; j < strips; ++j) {
      for (int64_t p = 0; p < planes; ++p) {
        std::memset(from, 0, size_t(strip(j, p) - from) * sizeof(Word));
        from = strip(j, p) + blocks * kBlockRows;
      }
    }
    std::memset(from, 0, size_t(end - from) * sizeof(Word));
  }

  const int64_t first_, size_;
  Buffer<Word> words_;
};

}  // namespace tubeskel::cpu
