"""Overlap of two masks, by pixels and by centrelines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tubeskel._methods import Skeletonizer
from tubeskel.metrics.inputs import Pair, as_pair, count


def dice(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
) -> Any:
    """Return the Dice similarity coefficient, 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    prediction, target : array_like, tensor or cupy.ndarray, shape (*B, *S)
        Masks of bool, integer or float type; nonzero = foreground.
    field_of_view : array_like, tensor or cupy.ndarray, shape (*S) or (*B, *S), optional
        Pixels where it is zero are left out.
    spatial_dims : int, optional
        How many trailing axes are spatial; the others are a batch. Default: all.

    Returns
    -------
    float or ndarray of float64, shape (*B)
        In [0, 1]; 1 where both masks are empty.

    Raises
    ------
    ValueError
        Shapes that differ, NaN, or `spatial_dims` out of range.
    TypeError
        An array that is not bool, integer or float.

    References
    ----------
    .. [1] L. R. Dice, "Measures of the amount of ecologic association between species",
       Ecology 26(3), 1945.

    Examples
    --------
    >>> from tubeskel.metrics import dice
    >>> dice([0, 1, 1, 1], [0, 0, 1, 1])
    0.8
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims)
    return pair.shaped(overlap_scores(pair)["dice"])


def jaccard(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
) -> Any:
    """Return the Jaccard similarity index (intersection over union), TP / (TP + FP + FN).

    Parameters, shapes and errors are those of `dice`; 1 where both masks are empty.

    References
    ----------
    .. [1] P. Jaccard, "The distribution of the flora in the alpine zone",
       New Phytologist 11(2), 1912.

    Examples
    --------
    >>> from tubeskel.metrics import jaccard
    >>> jaccard([0, 1, 1, 1, 1], [0, 0, 0, 1, 1])
    0.5
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims)
    return pair.shaped(overlap_scores(pair)["jaccard"])


def false_negative_rate(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
) -> Any:
    """Return the share of the target's foreground that is missed, FN / (TP + FN).

    Parameters, shapes and errors are those of `dice`; 0 where the target is empty.

    Examples
    --------
    >>> from tubeskel.metrics import false_negative_rate
    >>> false_negative_rate([0, 0, 0, 1], [1, 1, 1, 1])
    0.75
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims)
    return pair.shaped(overlap_scores(pair)["false_negative_rate"])


def false_positive_rate(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
) -> Any:
    """Return the share of the target's background that is claimed, FP / (FP + TN).

    Parameters, shapes and errors are those of `dice`; 0 where the target has no background.

    Examples
    --------
    >>> from tubeskel.metrics import false_positive_rate
    >>> false_positive_rate([0, 0, 1, 1], [0, 0, 0, 0])
    0.5
    >>> false_positive_rate([0, 0, 1, 1], [0, 0, 0, 0], field_of_view=[0, 0, 1, 1])
    1.0
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims)
    return pair.shaped(overlap_scores(pair)["false_positive_rate"])


def cldice(
    prediction: object,
    target: object,
    *,
    field_of_view: object | None = None,
    spatial_dims: int | None = None,
    method: str | Skeletonizer | None = None,
) -> Any:
    """Return the centreline Dice: how far each skeleton lies in the other mask.

    The harmonic mean of the topology precision |S_P & G| / |S_P| and the topology sensitivity
    |S_G & P| / |S_G|, with the skeletons of `tubeskel.skeletonize`.

    Parameters
    ----------
    prediction, target : array_like, tensor or cupy.ndarray, shape (*B, *S)
        Masks of bool, integer or float type; nonzero = foreground. S has 2 or 3 axes.
    field_of_view : array_like, tensor or cupy.ndarray, shape (*S) or (*B, *S), optional
        Both masks are cut to it before they are skeletonised.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; the others are a batch. Default: all.
    method : {"zhang", "lee"} or callable, optional
        What makes the skeletons, as in `tubeskel.skeletonize`.

    Returns
    -------
    float or ndarray of float64, shape (*B)
        In [0, 1]; 1 where both masks are empty, 0 where one is.

    Raises
    ------
    ValueError
        Shapes that differ, NaN, a number of spatial axes other than 2 or 3, or an unknown method.
    TypeError
        An array that is not bool, integer or float.

    Notes
    -----
    3D thinning can delete a small solid whole; the share of a skeleton without voxels counts 0.

    References
    ----------
    .. [1] S. Shit et al., "clDice: a novel topology-preserving loss function for tubular
       structure segmentation", CVPR 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from tubeskel.metrics import cldice
    >>> line = np.zeros((5, 8), bool)
    >>> line[2] = True
    >>> half = line.copy()
    >>> half[2, 4:] = False
    >>> round(cldice(half, line), 3)  # precision 1, sensitivity 1/2
    0.667
    """
    pair = as_pair(prediction, target, field_of_view, spatial_dims, allowed_dims=(2, 3))
    return pair.shaped(centreline_scores(pair, method))


def overlap_scores(pair: Pair) -> dict[str, NDArray[np.float64]]:
    """Return all scores that follow from the four counts of a confusion matrix, each (N,)."""
    predicted, wanted = count(pair.prediction), count(pair.target)
    both = count(pair.prediction & pair.target)
    return {
        "dice": _ratio(2 * both, predicted + wanted, empty=1.0),
        "jaccard": _ratio(both, predicted + wanted - both, empty=1.0),
        "false_negative_rate": _ratio(wanted - both, wanted, empty=0.0),
        "false_positive_rate": _ratio(predicted - both, pair.area - wanted, empty=0.0),
    }


def centreline_scores(pair: Pair, method: str | Skeletonizer | None) -> NDArray[np.float64]:
    """Return clDice, shape (N,)."""
    # on first use: tubeskel may be the module that is importing this one
    from tubeskel import skeletonize

    dims = pair.target.ndim - 1
    predicted = skeletonize(pair.prediction, method=method, spatial_dims=dims)
    wanted = skeletonize(pair.target, method=method, spatial_dims=dims)
    precision = _ratio(count(predicted & pair.target), count(predicted), empty=0.0)
    sensitivity = _ratio(count(wanted & pair.prediction), count(wanted), empty=0.0)
    score = _ratio(2 * precision * sensitivity, precision + sensitivity, empty=0.0)
    score[(count(pair.prediction) == 0) & (count(pair.target) == 0)] = 1.0
    return score


def _ratio(part: NDArray[Any], whole: NDArray[Any], *, empty: float) -> NDArray[np.float64]:
    """Divide, with ``empty`` where there is nothing to count."""
    return np.divide(part, whole, out=np.full(whole.shape, empty), where=whole > 0)
