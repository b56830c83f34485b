// Prints each deletion rule as 256 digits, for each of the word types in use. Bit i of the position
// is neighbour i of nw, n, ne, e, se, s, sw, w. Each word holds as many neighbourhoods as it can.
#include "core/deletion_rules.h"

#include <cstdio>
#include <cstring>

namespace core = tubeskel::core;

using Vector = uint64_t __attribute__((vector_size(32)));

template <class W, class Rule>
void print(const char* name, const char* word, const Rule& rule) {
  constexpr int kBits = int(8 * sizeof(W));
  std::printf("%s %s ", name, word);
  for (int first = 0; first < 256; first += kBits) {
    uint8_t planes[8][sizeof(W)] = {};
    for (int i = 0; i < kBits; ++i)
      for (int plane = 0; plane < 8; ++plane)
        planes[plane][i / 8] |= uint8_t(((first + i) >> plane & 1) << (i % 8));
    core::Neighbours<W> p;
    W* const members[8] = {&p.nw, &p.n, &p.ne, &p.e, &p.se, &p.s, &p.sw, &p.w};
    for (int plane = 0; plane < 8; ++plane) memcpy(members[plane], planes[plane], sizeof(W));
    const W deleted = rule(p);
    uint8_t bytes[sizeof(W)];
    memcpy(bytes, &deleted, sizeof(W));
    for (int i = 0; i < kBits; ++i) std::putchar('0' + (bytes[i / 8] >> (i % 8) & 1));
  }
  std::putchar('\n');
}

template <class W>
void print_all(const char* word) {
  using P = const core::Neighbours<W>&;
  print<W>("zhang_first", word, [](P p) { return core::zhang_first(p); });
  print<W>("zhang_second", word, [](P p) { return core::zhang_second(p); });
  print<W>("guo_hall_first", word, [](P p) { return core::guo_hall_first(p); });
  print<W>("guo_hall_second", word, [](P p) { return core::guo_hall_second(p); });
}

int main() {
  print_all<uint32_t>("32");
  print_all<uint64_t>("64");
  print_all<Vector>("vector");
}
