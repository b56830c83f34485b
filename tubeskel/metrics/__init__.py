"""Scores of a segmentation: overlap, centrelines, topology.

All take two masks of the same shape, NumPy arrays or torch tensors, nonzero = foreground. With
``spatial_dims`` the leading axes are a batch and a score has the batch's shape; without it all
axes are spatial and a score is a plain number. Pooled scores come from one call on stacked images
without ``spatial_dims``. Scores are NumPy whatever the input; torch is never imported here.

Where a ratio has nothing to count, its value is a definition:

=====================  ===========  =========================
score                  both empty   one of the two empty
=====================  ===========  =========================
dice, jaccard, cldice  1            0
false_negative_rate    0            target 0, prediction 1
false_positive_rate    0            0/0 (no negatives) is 0
=====================  ===========  =========================
"""

from tubeskel.metrics.overlap import (
    cldice,
    dice,
    false_negative_rate,
    false_positive_rate,
    jaccard,
)
from tubeskel.metrics.per_class import evaluate
from tubeskel.metrics.topology import betti_errors, betti_numbers, euler_error, euler_number

__all__ = [
    "betti_errors",
    "betti_numbers",
    "cldice",
    "dice",
    "euler_error",
    "euler_number",
    "evaluate",
    "false_negative_rate",
    "false_positive_rate",
    "jaccard",
]
