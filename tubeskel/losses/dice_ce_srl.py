"""Dice + cross-entropy + skeleton recall in one pass over the logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from .._arguments import as_choice, as_flag, as_number
from .._methods import Skeletonizer
from ._dice_ce import check_dice_ce_options, compound
from ._inputs import Flat, as_labels, check_logits, check_tube_options, make_tube
from ._scheduled import ScheduledLoss

RECALLS = ("linear", "log", "cross_entropy", "tversky")


def dice_ce_srl_loss(
    logits: Tensor,
    target: Tensor,
    *,
    tube: Tensor | None = None,
    alpha: float = 1.0,
    weight_dice: float = 1.0,
    weight_ce: float = 1.0,
    recall: str = "linear",
    fp_weight: float = 0.5,
    activation: str = "softmax",
    batch: bool = True,
    include_background: bool = False,
    classes: str = "present",
    dice_smooth: float = 1e-5,
    recall_smooth: float = 0.0,
    class_weights: Tensor | Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    radius: int = 2,
    method: str | Skeletonizer | None = None,
    per_class: bool = False,
    distributed: bool = True,
    return_terms: bool = False,
) -> Any:
    r"""Dice + cross-entropy + Skeleton Recall Loss.

    .. math:: L = w_{dice} L_{dice} + w_{ce} L_{ce} + \alpha L_{recall}

    with nnU-Net's soft Dice (as its ``MemoryEfficientSoftDiceLoss``), PyTorch's cross-entropy, and
    the recall on the tubed skeleton, of which `recall` chooses the form. All are functions of a few
    sums over the pixels of each class: one pass over the logits makes these, a second one, in the
    backward pass, the gradient. Nothing else of the size of the logits is kept or written.

    Parameters
    ----------
    logits : (B, C, *S) Tensor of float32, float64, float16 or bfloat16
        Predictions before the activation, S being the 1 to 3 spatial axes.
    target : (B, *S) or (B, 1, *S) Tensor of bool or int
        Labels 0 .. C-1 and `ignore_index`. For "sigmoid": 0 and 1, or, with more than one channel,
        a mask of 0 and 1 for each, (B, C, *S). Soft labels are not taken.
    tube : Tensor of bool or int, optional
        The tubed skeleton of `target`, of a shape that `target` may have. By default it is made
        here, which needs two or three spatial axes; no component of the target is then without.
    alpha, weight_dice, weight_ce : float
        Weights of the terms, at least 0. A term without weight leaves the loss alone whatever its
        value is, and with ``alpha=0`` no tube is made, unless for `return_terms`.
    recall : {"linear", "log", "cross_entropy", "tversky"}
        Form of the recall term, see Notes. "linear" is the Skeleton Recall Loss, `srl_loss`.
    fp_weight : float
        Weight of false positives in "tversky", at least 0.
    activation : {"softmax", "sigmoid"}
        With "softmax" the first channel is the background. With "sigmoid" each channel is a class
        of its own, as nnU-Net's regions are, and the cross-entropy the binary one.
    batch : bool
        Dice and recall over the batch as a whole (nnU-Net's ``batch_dice``). Otherwise they are the
        mean over the samples. The cross-entropy is a mean over all pixels either way.
    include_background : bool
        Whether Dice counts the background of a softmax; recall never does.
    classes : {"present", "all"}
        The classes that recall is averaged over: those that have tube pixels, or all but the
        background. Dice is averaged over all.
    dice_smooth, recall_smooth : float
        Added to numerators and denominators; at least 0.
    class_weights : (C,) Tensor or sequence of float, optional
        Of the cross-entropy: the argument ``weight`` of PyTorch's ``cross_entropy``, and for
        "sigmoid" that of ``binary_cross_entropy_with_logits``, one for each channel. Those on
        another device than the logits are copied, which a CUDA device is waited for.
    label_smoothing : float
        Of the cross-entropy, 0 to 1, as in PyTorch; with "sigmoid" between the two labels.
    ignore_index : int, optional
        Pixels of `target` with this label take no part in any term.
    radius, method, per_class
        Of the tube that is made here, as in `srl_loss`.
    distributed : bool
        With ``batch=True`` in an initialised process group of more than one process, take the loss
        of the joined batch: all terms' sums are added up over the processes, so all of them have to
        call. The gradient follows nnU-Net's convention, see Notes.
    return_terms : bool
        Also return the terms.

    Returns
    -------
    loss : () Tensor
        float64 for float64 logits, else float32.
    terms : dict of str to () Tensor
        If `return_terms`: "dice", -1 (best) to 0, "ce" and "recall", without their weights and
        without gradient.

    Raises
    ------
    TypeError
        If an argument is of a wrong type, or the logits of a wrong dtype.
    ValueError
        For shapes or devices that do not match, a `target` or `tube` of floats or with values out
        of range, or options that do not exist. On CUDA a value out of range is a failed assertion
        instead, see `srl_loss`.

    See Also
    --------
    srl_loss : the "linear" recall alone, which reads the tube's pixels only.

    Notes
    -----
    With s the probability of class k, y its tube, t the target, K the classes considered, f the
    `fp_weight` and no smoothing, the recall term is the mean over K of what follows. Behind it
    stands \|K\| times the derivative with respect to s on a pixel of the tube.

    - "linear": :math:`-\sum s y / \sum y`; :math:`-1 / \sum y`.
    - "log": :math:`-\log (\sum s y / \sum y)`; :math:`-1 / \sum s y`.
    - "cross_entropy": :math:`-\sum y \log s / \sum y`; :math:`-1 / (s \sum y)`.
    - "tversky": :math:`-A / D` with :math:`A = \sum s y` and
      :math:`D = \sum y + f \sum s [t \ne k]`; :math:`-1 / D`, and :math:`f A / D^2` on
      pixels whose target is another class. ``fp_weight=0`` makes it "linear".

    With respect to the logit of class k each is to be multiplied by s (1 - s). So the gradient of
    "linear" vanishes on pixels that are confidently missed, s near 0; "log" divides it by the
    recall, which helps where most of a class is missed; that of "cross_entropy",
    :math:`-(1 - s) / \sum y`, does not vanish.

    With smoothing e, all sums over s y and y have it added, but for "cross_entropy", where only the
    denominator has. "log" takes recalls below 1e-30 for that.

    An absent class has a Dice of 1 if nothing of it is predicted, as in nnU-Net. Where all pixels
    are ignored, cross-entropy and recall are 0.

    The gradient is scaled, by weights and loss scales, before it is rounded to the logits' dtype.
    Sums are taken in float32 over at most 4096 pixels and in float64 beyond, in a fixed order: the
    result is bitwise the same for any number of threads, and on every CUDA device. These two
    differ by the order of summation, up to 4e-6 of a sum in float32.

    In a process group of W processes each gets the gradient of the joined batch's loss with respect
    to its own logits, times W: `DistributedDataParallel` averages over processes, which then gives
    the gradient of the joined batch. nnU-Net's gathering of Dice sums does the same, but leaves the
    cross-entropy to each process; here both are those of the joined batch.

    References
    ----------
    .. [1] F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical
       image segmentation", Nature Methods 18, 2021.
    .. [2] Y. Kirchhoff et al., "Skeleton Recall Loss for connectivity conserving and resource
       efficient segmentation of thin tubular structures", ECCV 2024.
    .. [3] S. S. M. Salehi et al., "Tversky loss function for image segmentation using 3D fully
       convolutional deep networks", MLMI 2017.

    Examples
    --------
    >>> import torch, tubeskel
    >>> target = torch.zeros(1, 16, 16, dtype=torch.long)
    >>> target[:, 6:9, 2:14] = 1
    >>> logits = torch.zeros(1, 2, 16, 16, requires_grad=True)
    >>> loss, terms = tubeskel.dice_ce_srl_loss(logits, target, return_terms=True)
    >>> {name: round(term.item(), 4) for name, term in terms.items()}
    {'dice': -0.2195, 'ce': 0.6931, 'recall': -0.5}
    >>> loss.backward()
    """
    check_logits(logits, activation)
    options = _check_options(
        weight_dice=weight_dice,
        weight_ce=weight_ce,
        recall=recall,
        fp_weight=fp_weight,
        activation=activation,
        batch=batch,
        include_background=include_background,
        classes=classes,
        dice_smooth=dice_smooth,
        recall_smooth=recall_smooth,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        radius=radius,
        method=method,
        per_class=per_class,
        distributed=distributed,
    )
    alpha = as_number("alpha", alpha, minimum=0)
    as_flag("return_terms", return_terms)
    softmax = activation == "softmax"
    target = as_labels("target", target, logits, softmax)
    flat = Flat(logits, softmax)
    labels = None
    if tube is not None:
        labels = flat.maps(as_labels("tube", tube, logits, softmax))
    elif alpha != 0 or return_terms:
        labels, _ = make_tube(target, flat, radius, method, per_class, options["ignore_index"])
    loss, terms = compound(logits, flat, target, labels, alpha, options)
    return (loss, terms) if return_terms else loss


class DiceCESkeletonRecallLoss(ScheduledLoss):
    """Dice + cross-entropy + Skeleton Recall Loss as a module; see `dice_ce_srl_loss`.

    Parameters
    ----------
    alpha : float or callable
        Weight of the recall term: a number, or a function of the progress of training, from 0 at
        its start to 1 at its end, which `set_progress` tells the module.
    weight_dice, weight_ce, recall, fp_weight, activation, batch, include_background, classes, \
    dice_smooth, recall_smooth, class_weights, label_smoothing, ignore_index, radius, method, \
    per_class, distributed
        As in `dice_ce_srl_loss`; checked here. The class weights move with the module, or
        to the device of the logits at the first call.

    Examples
    --------
    The recall term comes in over the first half of the training:

    >>> import torch, tubeskel
    >>> criterion = tubeskel.DiceCESkeletonRecallLoss(alpha=lambda progress: min(1, 2 * progress))
    >>> logits, target = torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.uint8)
    >>> for epoch in range(3):
    ...     criterion.set_progress(epoch / 3)
    ...     print(round(criterion(logits, target).item(), 4))
    0.0265
    -0.3069
    -0.4735
    """

    def __init__(
        self,
        *,
        alpha: float | Callable[[float], float] = 1.0,
        weight_dice: float = 1.0,
        weight_ce: float = 1.0,
        recall: str = "linear",
        fp_weight: float = 0.5,
        activation: str = "softmax",
        batch: bool = True,
        include_background: bool = False,
        classes: str = "present",
        dice_smooth: float = 1e-5,
        recall_smooth: float = 0.0,
        class_weights: Tensor | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        radius: int = 2,
        method: str | Skeletonizer | None = None,
        per_class: bool = False,
        distributed: bool = True,
    ) -> None:
        options = _check_options(
            weight_dice=weight_dice,
            weight_ce=weight_ce,
            recall=recall,
            fp_weight=fp_weight,
            activation=activation,
            batch=batch,
            include_background=include_background,
            classes=classes,
            dice_smooth=dice_smooth,
            recall_smooth=recall_smooth,
            class_weights=class_weights,
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            radius=radius,
            method=method,
            per_class=per_class,
            distributed=distributed,
        )
        super().__init__(alpha, options)

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        tube: Tensor | None = None,
        *,
        alpha: float | None = None,
        return_terms: bool = False,
    ) -> Any:
        """Return `dice_ce_srl_loss`, with a tube made before and another `alpha` if given."""
        return dice_ce_srl_loss(
            logits,
            target,
            tube=tube,
            alpha=self.current_alpha() if alpha is None else alpha,
            class_weights=self.weights_for(logits),
            return_terms=return_terms,
            **self.options,
        )


def _check_options(**options: Any) -> dict[str, Any]:
    """Return the options that function and module share, as the types that they are of."""
    options = check_dice_ce_options(**options)
    for name in ("fp_weight", "recall_smooth"):
        options[name] = as_number(name, options[name], minimum=0)
    as_choice("recall", options["recall"], RECALLS)
    as_choice("classes", options["classes"], ("present", "all"))
    check_tube_options(options["radius"], options["method"], options["per_class"])
    return options
