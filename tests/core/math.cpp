// Prints the largest error of a function of core/math.h on floats, "exp" or "log", in units in the
// last place over a sample of its range, then its values at the arguments.
#include "core/math.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace core = tubeskel::core;

namespace {

template <class Function, class Exact>
double worst_error(float first, float last, const Function& function, const Exact& exact) {
  const uint32_t to = core::bits_as<uint32_t>(last);
  double worst = 0;
  for (uint32_t bits = core::bits_as<uint32_t>(first);; bits += 1009) {
    bits = std::min(bits, to);
    const float x = core::bits_as<float>(bits);
    const double expected = exact(double(x));
    const double unit = std::ldexp(1.0, std::ilogb(std::max(expected, 1e-37)) - 23);
    worst = std::max(worst, std::fabs(double(function(x)) - expected) / unit);
    if (bits == to) return worst;
  }
}

float exponential(float x) {
  return core::exponential(x);
}
float logarithm(float x) {
  return core::logarithm(x);
}

}  // namespace

int main(int count, char** arguments) {
  const bool exp = std::string(arguments[1]) == "exp";
  const auto exact_exp = [](double x) { return std::exp(x); };
  const auto exact_log = [](double x) { return std::log(x); };
  std::printf("%.3f\n", exp ? std::max(worst_error(0.0f, 88.0f, exponential, exact_exp),
                                       worst_error(-0.0f, -87.0f, exponential, exact_exp))
                            : worst_error(1.0f, 3e38f, logarithm, exact_log));
  for (int i = 2; i < count; ++i) {
    const float x = std::strtof(arguments[i], nullptr);
    std::printf("%.9g\n", double(exp ? exponential(x) : logarithm(x)));
  }
}
