// Element types as the CPU's operations and their errors speak of them.
#pragma once

#include "../core/element_type.h"
#include "../core/invalid_value.h"

namespace tubeskel::cpu {

using core::Argument;
using core::ElementType;
using core::Foreground;
using core::InvalidValue;
using core::Kind;

}  // namespace tubeskel::cpu
