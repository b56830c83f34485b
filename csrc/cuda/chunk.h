// Sixteen bytes of an array: what a thread reads or writes at once.
#pragma once

#include <cstdint>

#include "launch.h"

namespace tubeskel::cuda {

inline constexpr int kChunkBytes = 16;

// The words in which items of some size are worked on, several at a time.
template <int kBytes>
struct WordOf {
  using Type = uint32_t;
};
template <>
struct WordOf<8> {
  using Type = uint64_t;
};

template <int kBytes>
struct Chunk {
  using U = typename WordOf<kBytes>::Type;
  static constexpr int kItems = kChunkBytes / kBytes;
  static constexpr int kWords = kChunkBytes / int(sizeof(U));
  static constexpr int kItemsPerWord = kItems / kWords;
  U words[kWords];

  // `from` is a multiple of 16 bytes.
  static __device__ __forceinline__ Chunk load(const void* from) {
    const uint4 raw = __ldg(static_cast<const uint4*>(from));
    return of(raw);
  }
  __device__ __forceinline__ void store(void* to) const { *static_cast<uint4*>(to) = raw(); }

  __device__ __forceinline__ U item(int i) const {
    return words[i / kItemsPerWord] >> (8 * kBytes * (i % kItemsPerWord)) & kItem;
  }
  // The item must be zero before.
  __device__ __forceinline__ void set(int i, U value) {
    words[i / kItemsPerWord] |= (value & kItem) << (8 * kBytes * (i % kItemsPerWord));
  }

 private:
  static constexpr U kItem = U(~0ull >> (64 - 8 * kBytes));

  static __device__ __forceinline__ Chunk of(const uint4& raw) {
    Chunk chunk;
    if constexpr (kWords == 4) {
      chunk.words[0] = raw.x;
      chunk.words[1] = raw.y;
      chunk.words[2] = raw.z;
      chunk.words[3] = raw.w;
    } else {
      chunk.words[0] = U(raw.y) << 32 | raw.x;
      chunk.words[1] = U(raw.w) << 32 | raw.z;
    }
    return chunk;
  }
  __device__ __forceinline__ uint4 raw() const {
    if constexpr (kWords == 4)
      return make_uint4(words[0], words[1], words[2], words[3]);
    else
      return make_uint4(uint32_t(words[0]), uint32_t(words[0] >> 32), uint32_t(words[1]),
                        uint32_t(words[1] >> 32));
  }
};

// An unsigned integer of some bytes.
template <int kBytes>
struct Item {
  using Type = uint32_t;
};
template <>
struct Item<1> {
  using Type = uint8_t;
};
template <>
struct Item<2> {
  using Type = uint16_t;
};
template <>
struct Item<8> {
  using Type = uint64_t;
};

// work(std::integral_constant<int, bytes>()) for items of 1, 2, 4 or 8 bytes.
template <class Work>
void for_item_size(int bytes, const Work& work) {
  switch (bytes) {
    case 1:
      return work(std::integral_constant<int, 1>());
    case 2:
      return work(std::integral_constant<int, 2>());
    case 4:
      return work(std::integral_constant<int, 4>());
    default:
      return work(std::integral_constant<int, 8>());
  }
}

}  // namespace tubeskel::cuda
