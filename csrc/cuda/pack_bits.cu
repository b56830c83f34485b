// One bit a pixel, on the device: a warp reads 32 neighbouring bytes and votes them into a word.
// One byte is read and one bit written a pixel, so the floor is 9/8 bytes a
// pixel at memory bandwidth.
#include "pack_bits.h"

#include "launch.h"

namespace tubeskel::cuda {

namespace {

constexpr int kWarpsPerBlock = 8;

// image: [rows, columns]; out: [rows, halves], a half being 32 pixels.
__global__ void pack_bits_kernel(const uint8_t* image, int64_t rows, int64_t columns,
                                 int64_t halves, uint32_t* out) {
  const int lane = threadIdx.x;
  const int64_t step = int64_t(gridDim.x) * kWarpsPerBlock;
  for (int64_t half = int64_t(blockIdx.x) * kWarpsPerBlock + threadIdx.y; half < rows * halves;
       half += step) {
    const int64_t row = half / halves, column = half % halves * kWarp + lane;
    const bool foreground = column < columns && image[row * columns + column] != 0;
    const uint32_t bits = __ballot_sync(kAllLanes, foreground);
    if (lane == 0) out[half] = bits;
  }
}

}  // namespace

void pack_bits(const uint8_t* image, int64_t rows, int64_t columns, uint64_t* out, void* stream) {
  const int64_t halves = (columns + 63) / 64 * 2;
  if (rows * halves == 0) return;
  const int64_t wanted = (rows * halves + kWarpsPerBlock - 1) / kWarpsPerBlock;
  const unsigned blocks = unsigned(wanted < (1 << 20) ? wanted : (1 << 20));
  launch("pack_bits on " + std::to_string(rows) + " x " + std::to_string(columns) + " pixels",
         {dim3(blocks), dim3(kWarp, kWarpsPerBlock)}, stream, pack_bits_kernel, image, rows,
         columns, halves, reinterpret_cast<uint32_t*>(out));
}

}  // namespace tubeskel::cuda
