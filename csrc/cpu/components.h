// Connected components on bit images, for the few places that must not lose one.
#pragma once

#include "bit_image.h"

namespace tubeskel::cpu {

// Thinning in 3D may delete a small component whole. Sets one voxel of each 26-connected component
// of `mask` (8-connected in 2D) that has none in `skeleton`. Leaves `mask` empty.
void restore_lost_components(BitImage& mask, BitImage& skeleton);

}  // namespace tubeskel::cpu
