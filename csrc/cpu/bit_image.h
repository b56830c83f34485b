// A 2D binary image, one bit a pixel, in vertical strips of 64 columns.
//
// Word r of strip j holds pixels (r, 64 j) .. (r, 64 j + 63). The words of a strip lie one after
// the other, so that eight rows of a strip, a *block*, are one cache line and one AVX-512 register:
// the unit of work, of activity and of skipping. A contour in any direction touches few blocks.
// Around the image lie zero words (8 above, 8 below and a strip on either side): reading a
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
  BitImage(int64_t rows, int64_t columns)
      : rows(rows),
        columns(columns),
        strips(ceil_div(columns, kWordColumns)),
        blocks(ceil_div(rows, kBlockRows)),
        pitch(padded_pitch(blocks)),
        words_((strips + 2) * pitch + kBlockRows) {
    clear_padding();
  }

  // First word of a strip; strips -1 and `strips` are background.
  Word* strip(int64_t j) const { return words_.get() + (j + 1) * pitch + kBlockRows; }

  void clear() { std::memset(words_.get(), 0, size_t(size()) * sizeof(Word)); }

  const int64_t rows, columns, strips, blocks;
  const int64_t pitch;  // words from one strip to the next

 private:
  // A pitch of whole pages would map a block of every strip to the same cache set.
  static int64_t padded_pitch(int64_t blocks) {
    const int64_t pitch = (blocks + 1) * kBlockRows;
    return pitch % 512 == 0 ? pitch + kBlockRows : pitch;
  }
  int64_t size() const { return (strips + 2) * pitch + kBlockRows; }

  // Everything but the blocks of the image, which packing fills.
  void clear_padding() {
    const auto zero = [](Word* p, int64_t n) { std::memset(p, 0, size_t(n) * sizeof(Word)); };
    const int64_t used = blocks * kBlockRows;
    zero(words_.get(), pitch + kBlockRows);
    for (int64_t j = 0; j < strips; ++j) zero(strip(j) + used, pitch - used);
    zero(strip(strips), pitch);
  }

  Buffer<Word> words_;
};

}  // namespace tubeskel::cpu
