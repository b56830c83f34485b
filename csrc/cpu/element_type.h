// Element types as the CPU's operations and their errors speak of them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "../core/element_type.h"

namespace tubeskel::cpu {

using core::ElementType;
using core::Foreground;
using core::Kind;

// A value that an operation does not take: NaN, or a label out of range. `what()` is the value.
struct InvalidValue : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

std::string to_string(ElementType type, const void* data, int64_t index);

}  // namespace tubeskel::cpu
