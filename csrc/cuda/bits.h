// Binary images on the device, one bit a pixel.
//
// Word w of a row holds pixels 32 w .. 32 w + 31, bit i being pixel 32 w + i; bits beyond the last
// column are zero. Rows follow each other without padding, so what lies outside an image is a test
// away, not a word away.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace tubeskel::cuda {

using Word = uint32_t;
inline constexpr int64_t kWordColumns = 32;

// a / b for a >= 0 and b > 0; a division of 64 bits is many times dearer on a GPU.
__device__ inline int64_t quotient(int64_t a, int64_t b) {
  return ((a | b) >> 32) == 0 ? int64_t(uint32_t(a) / uint32_t(b)) : a / b;
}

// A batch of images of one shape; one plane if they are 2D.
struct Shape {
  int64_t images, planes, rows, columns;

  __host__ __device__ int64_t words() const {  // in a row
    return (columns + kWordColumns - 1) / kWordColumns;
  }
  __host__ __device__ int64_t words_of_image() const { return planes * rows * words(); }
  __host__ __device__ int64_t pixels_of_image() const { return planes * rows * columns; }
  // Of all images: what a buffer of bits must hold.
  __host__ __device__ int64_t total_words() const { return images * words_of_image(); }
  __host__ __device__ int64_t total_pixels() const { return images * pixels_of_image(); }
};

}  // namespace tubeskel::cuda
