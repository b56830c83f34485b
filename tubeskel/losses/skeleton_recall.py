"""The Skeleton Recall Loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .. import _torch_ops
from .._arguments import as_choice, as_flag, as_integer, as_label, as_number
from .._methods import Skeletonizer, as_method
from ._inputs import Flat, as_labels, check_logits, check_tube_options, make_tube


def srl_loss(
    logits: Tensor,
    target: Tensor,
    *,
    tube: Tensor | None = None,
    radius: int = 2,
    method: str | Skeletonizer | None = None,
    activation: str = "softmax",
    classes: str = "present",
    batch: bool = True,
    smooth: float = 0.0,
    ignore_index: int | None = None,
    per_class: bool = False,
) -> Tensor:
    r"""Skeleton Recall Loss: minus the recall of the prediction on the tubed skeleton.

    .. math:: L = -\frac{1}{|K|} \sum_{k \in K}
        \frac{\sum_i s_{ik} y_{ik} + \epsilon}{\sum_i y_{ik} + \epsilon}

    with the probabilities s, the tubed skeleton y and :math:`\epsilon` = `smooth`; eq. 1 of [1]_ by
    default. With ``classes="all", smooth=1e-5`` it gives the numbers of the reference
    implementation of [2]_.

    The denominators do not depend on the prediction, so one pass over the logits gives loss and
    gradient, and only tube pixels are read.

    Parameters
    ----------
    logits : (B, C, *S) Tensor of float32, float64, float16 or bfloat16
        Predictions before the activation, S being the 1 to 3 spatial axes.
    target : (B, *S) or (B, 1, *S) Tensor of bool or int
        Labels 0 .. C-1 and `ignore_index`. For "sigmoid": 0 and 1, or, with more than one channel,
        a mask of 0 and 1 for each, (B, C, *S).
    tube : Tensor of bool or int, optional
        The tubed skeleton of `target`, of a shape that `target` may have. By default it is made
        here, which needs two or three spatial axes; no component of the target is then without.
    radius : int
        Of the tube that is made here, in pixels; at least 0.
    method : {"zhang", "lee"} or callable, optional
        What makes the skeleton, as in `tubeskel.skeletonize`.
    activation : {"softmax", "sigmoid"}
        With "softmax" the first channel is the background and has no tube. With "sigmoid" each
        channel is a class of its own.
    classes : {"present", "all"}
        K: the classes that have tube pixels, or all but the background.
    batch : bool
        Sum over the batch before dividing. Otherwise the loss is the mean of one loss per sample.
    smooth : float
        Added to numerator and denominator; at least 0.
    ignore_index : int, optional
        Pixels of `target` with this label take no part.
    per_class : bool
        Make a tube of each class by itself instead of one of their union.

    Returns
    -------
    () Tensor
        Between -1 (all recalled) and 0; 0 with zero gradient where no class is present. float64
        for float64 logits, else float32.

    Raises
    ------
    TypeError
        If an argument is of a wrong type, or the logits of a wrong dtype.
    ValueError
        For shapes or devices that do not match, a `target` or `tube` of floats or with values out
        of range, or options that do not exist. On CUDA a value out of range stops the device with
        a failed assertion instead, unless ``TUBESKEL_SYNC_CHECKS=1`` is in the environment.

    Notes
    -----
    With respect to the probabilities the gradient is constant, :math:`-y_{ik} / (|K| \sum_i
    y_{ik})` (eq. 2 of [1]_). With respect to the logits it is not: it carries a factor s (1 - s)
    and vanishes on pixels that are confidently missed.

    On the CPU the gradient of the loss itself is made in the forward pass and given away in the
    backward pass. Where that finds the loss scaled, by a weight or a loss scale, or is run once
    more, it makes the gradient anew, scaled before it is rounded: float16 could not hold it
    otherwise. On CUDA, and under `torch.compile`, the scale is known on the device only and nothing
    waits for it: the forward pass makes the loss, the backward pass the gradient, and both read the
    logits of tube pixels. Either way only one tensor of the size of the logits is allocated, beside
    a byte for each pixel.

    References
    ----------
    .. [1] "Reassessing utility of topology based losses for image segmentation",
       arXiv:2508.11374.
    .. [2] Y. Kirchhoff et al., "Skeleton Recall Loss for connectivity conserving and resource
       efficient segmentation of thin tubular structures", ECCV 2024.

    Examples
    --------
    >>> import torch, tubeskel
    >>> target = torch.zeros(1, 16, 16, dtype=torch.long)
    >>> target[:, 6:9, 2:14] = 1
    >>> logits = torch.zeros(1, 2, 16, 16, requires_grad=True)
    >>> loss = tubeskel.srl_loss(logits, target)
    >>> round(loss.item(), 6)
    -0.5
    >>> loss.backward()
    """
    check_logits(logits, activation)
    as_choice("classes", classes, ("present", "all"))
    as_flag("batch", batch)
    smooth = as_number("smooth", smooth, minimum=0)
    ignore_index = as_label("ignore_index", ignore_index)
    softmax = activation == "softmax"
    target = as_labels("target", target, logits, softmax)
    flat = Flat(logits, softmax)
    if tube is None:
        labels, counts = make_tube(target, flat, radius, method, per_class, ignore_index)
    else:
        check_tube_options(radius, method, per_class)
        tube = as_labels("tube", tube, logits, softmax)
        labels, counts = _torch_ops.srl_classes(
            flat.maps(tube), flat.maps(target), ignore_index, flat.num_classes
        )
    return _torch_ops.srl_loss(
        flat.logits,
        labels,
        counts.reshape(flat.num_maps, flat.num_classes),
        softmax,
        classes == "all",
        batch,
        smooth,
    )


class SkeletonRecallLoss(nn.Module):
    """Skeleton Recall Loss as a module; see `srl_loss` for the options and the formula.

    Parameters
    ----------
    radius, method, activation, classes, batch, smooth, ignore_index, per_class
        As in `srl_loss`; checked here.

    Examples
    --------
    >>> import torch, tubeskel
    >>> criterion = tubeskel.SkeletonRecallLoss(radius=2)
    >>> target = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
    >>> round(criterion(torch.zeros(1, 2, 8, 8), target).item(), 6)
    -0.5
    """

    def __init__(
        self,
        *,
        radius: int = 2,
        method: str | Skeletonizer | None = None,
        activation: str = "softmax",
        classes: str = "present",
        batch: bool = True,
        smooth: float = 0.0,
        ignore_index: int | None = None,
        per_class: bool = False,
    ) -> None:
        super().__init__()
        self.radius = as_integer("radius", radius, minimum=0)
        self.method = as_method(method)
        self.activation = as_choice("activation", activation, ("softmax", "sigmoid"))
        self.classes = as_choice("classes", classes, ("present", "all"))
        self.batch = as_flag("batch", batch)
        self.smooth = as_number("smooth", smooth, minimum=0)
        self.ignore_index = as_label("ignore_index", ignore_index)
        self.per_class = as_flag("per_class", per_class)

    def forward(self, logits: Tensor, target: Tensor, tube: Tensor | None = None) -> Tensor:
        """Return `srl_loss` of these logits and this target, with a tube made before if given."""
        return srl_loss(logits, target, tube=tube, **self._options())

    def extra_repr(self) -> str:
        """Return the options for printing."""
        return ", ".join(f"{name}={value!r}" for name, value in self._options().items())

    def _options(self) -> dict[str, Any]:
        return {
            "radius": self.radius,
            "method": self.method,
            "activation": self.activation,
            "classes": self.classes,
            "batch": self.batch,
            "smooth": self.smooth,
            "ignore_index": self.ignore_index,
            "per_class": self.per_class,
        }
