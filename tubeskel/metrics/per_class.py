"""All scores of a label map, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubeskel._methods import Skeletonizer
from tubeskel.metrics.inputs import (
    Pair,
    as_integer,
    as_labels,
    as_region,
    check_same_shape,
    check_spatial_dims,
    count,
    fold,
    restrict,
)
from tubeskel.metrics.overlap import centreline_scores, overlap_scores
from tubeskel.metrics.topology import topology_errors

Scores = dict[int, dict[str, float]]


def evaluate(
    prediction: object,
    target: object,
    *,
    num_classes: int,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
    method: str | Skeletonizer | None = None,
) -> Any:
    """Score a predicted label map against its target, every foreground class by itself.

    Parameters
    ----------
    prediction, target : array_like, tensor or cupy.ndarray of integers, shape (*B, *S)
        Label maps with values in 0..num_classes-1; 0 is background. S has 2 or 3 axes.
    num_classes : int
        Number of classes with background, at least 2.
    field_of_view : array_like, tensor or cupy.ndarray, shape (*S) or (*B, *S), optional
        Pixels where it is zero are left out of the overlap scores and are background to the
        skeletons and the topology.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; the others are a batch. Default: all, one image.
    method : {"zhang", "lee"} or callable, optional
        What makes the skeletons of clDice, as in `tubeskel.skeletonize`.

    Returns
    -------
    dict of int to dict of str to float, or a list of these
        For each class 1..num_classes-1: ``dice``, ``jaccard``, ``cldice``,
        ``false_negative_rate``, ``false_positive_rate``, ``betti_0_error``, ``betti_1_error``
        (3D: ``betti_2_error``), ``euler_error``, and ``target_empty`` and ``prediction_empty``
        (1.0 if that mask has no pixel, else 0.0), since scores of empty masks are definitions.
        With leading axes, even of length 1: a list with one dict an image, in C order.

    Raises
    ------
    ValueError
        Shapes that differ, a label out of range, `num_classes` below 2, a number of spatial axes
        other than 2 or 3, or an unknown method.
    TypeError
        Labels that are not integers.

    Examples
    --------
    >>> import numpy as np
    >>> from tubeskel.metrics import evaluate
    >>> target = np.zeros((8, 8), np.uint8)
    >>> target[2:6, 1:7] = 1
    >>> prediction = target.copy()
    >>> prediction[2:6, 3] = 0
    >>> scores = evaluate(prediction, target, num_classes=2)[1]
    >>> round(scores["dice"], 3), scores["betti_0_error"]
    (0.909, 1.0)
    """
    num_classes = as_integer(num_classes, "num_classes")
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    predicted = as_labels(prediction, "prediction", num_classes)
    wanted = as_labels(target, "target", num_classes)
    check_same_shape(predicted, wanted)
    dims = check_spatial_dims(wanted, spatial_dims, (2, 3))
    batch = wanted.shape[: wanted.ndim - dims]
    region = as_region(field_of_view, wanted.shape, dims)
    predicted, wanted = fold(predicted, dims), fold(wanted, dims)

    images: list[Scores] = [{} for _ in wanted]
    for index in range(1, num_classes):
        pair = restrict(predicted == index, wanted == index, region, batch)
        columns = _class_scores(pair, method)
        for i, scores in enumerate(images):
            scores[index] = {name: float(values[i]) for name, values in columns.items()}
    return images if batch else images[0]


def _class_scores(pair: Pair, method: str | Skeletonizer | None) -> dict[str, NDArray[Any]]:
    """Return every score of one class, each (N,)."""
    overlap = overlap_scores(pair)
    betti, euler = topology_errors(pair)
    return {
        "dice": overlap["dice"],
        "jaccard": overlap["jaccard"],
        "cldice": centreline_scores(pair, method),
        "false_negative_rate": overlap["false_negative_rate"],
        "false_positive_rate": overlap["false_positive_rate"],
        **{f"betti_{k}_error": betti[:, k] for k in range(betti.shape[1])},
        "euler_error": euler,
        "target_empty": np.equal(count(pair.target), 0),
        "prediction_empty": np.equal(count(pair.prediction), 0),
    }
