// Prints the largest error of core::exponential(float) in units in the last place over a sample of
// all floats of its range, then its values at the arguments.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "core/srl.h"

namespace core = tubeskel::core;

namespace {

double worst_error(float first, float last) {
  uint32_t from, to;
  memcpy(&from, &first, sizeof from);
  memcpy(&to, &last, sizeof to);
  double worst = 0;
  for (uint32_t bits = from;; bits += 1009) {
    bits = std::min(bits, to);
    float x;
    memcpy(&x, &bits, sizeof x);
    const double exact = std::exp(double(x));
    const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
    worst = std::max(worst, std::fabs(double(core::exponential(x)) - exact) / unit);
    if (bits == to) return worst;
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::printf("%.3f\n", std::max(worst_error(0.0f, 88.0f), worst_error(-0.0f, -87.0f)));
  for (int i = 1; i < count; ++i)
    std::printf("%.9g\n", double(core::exponential(std::strtof(arguments[i], nullptr))));
}
