// What the ops on the CPU ask of tensors and of the caller's settings.
#pragma once

#include "tensors.h"

namespace tubeskel::bindings {

// torch's setting, capped by tubeskel's
int threads();

}  // namespace tubeskel::bindings
