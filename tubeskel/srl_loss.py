"""Makes ``import tubeskel.srl_loss`` and the call ``tubeskel.srl_loss(...)`` both work.

The loss lives in `tubeskel.losses`. This module puts the function in its own place, so that the
attribute of the package that the import sets is the function itself.
"""

import sys

from .losses import SkeletonRecallLoss, srl_loss

srl_loss.srl_loss = srl_loss  # type: ignore[attr-defined]  # from tubeskel.srl_loss import srl_loss
srl_loss.SkeletonRecallLoss = SkeletonRecallLoss  # type: ignore[attr-defined]
srl_loss.__spec__ = __spec__  # type: ignore[attr-defined]
sys.modules[__name__] = srl_loss  # type: ignore[assignment]
