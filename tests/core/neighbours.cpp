// Checks the planes of neighbours(), word by word and lane by lane, against single pixels.
#include "core/neighbours.h"

#include <cstdio>
#include <cstring>
#include <random>

namespace core = tubeskel::core;

using Vector = uint64_t __attribute__((vector_size(64)));

// Three rows of three words each; pixel (0, 0) is the first of the middle word.
template <class W>
struct Scene {
  W words[3][3];
  int bits = core::kWordBits<W>;

  bool pixel(int row, int column, int lane) const {
    const W& word = words[row + 1][column < 0 ? 0 : column < bits ? 1 : 2];
    uint64_t values[sizeof(W) / 8 + 1] = {};
    memcpy(values, &word, sizeof(W));
    return values[lane] >> ((column + bits) % bits) & 1;
  }
};

template <class W>
int errors(std::mt19937_64& random) {
  Scene<W> scene;
  for (auto& row : scene.words) {
    for (W& word : row) {
      uint64_t values[sizeof(W) / 8 + 1];
      for (uint64_t& value : values) value = random();
      memcpy(&word, values, sizeof(W));
    }
  }
  const auto row = [&](int r) {
    return core::RowOfWords<W>{scene.words[r][0], scene.words[r][1], scene.words[r][2]};
  };
  const core::Neighbours<W> p = core::neighbours(row(0), row(1), row(2));
  const struct {
    W plane;
    int row, column;
  } all[] = {{p.nw, -1, -1}, {p.n, -1, 0}, {p.ne, -1, 1}, {p.e, 0, 1},
             {p.se, 1, 1},   {p.s, 1, 0},  {p.sw, 1, -1}, {p.w, 0, -1}};
  int wrong = 0;
  for (const auto& neighbour : all) {
    uint64_t values[sizeof(W) / 8 + 1] = {};
    memcpy(values, &neighbour.plane, sizeof(W));
    const int lanes = sizeof(W) < 8 ? 1 : int(sizeof(W) / 8);
    for (int lane = 0; lane < lanes; ++lane)
      for (int i = 0; i < scene.bits; ++i)
        wrong += (values[lane] >> i & 1) != scene.pixel(neighbour.row, i + neighbour.column, lane);
  }
  return wrong;
}

int main() {
  std::mt19937_64 random(1);
  int wrong = 0;
  for (int i = 0; i < 20; ++i)
    wrong += errors<uint32_t>(random) + errors<uint64_t>(random) + errors<Vector>(random);
  std::printf("%d\n", wrong);
}
