"""What each term of a loss asks of a prediction: gradients, their norms, and how they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import _torch_ops
from ._arguments import as_choice, as_flag, as_integer, as_label
from .losses._inputs import Flat, as_labels, check_logits
from .morphology import tubed_skeleton

Term = Callable[[Tensor, Tensor], Tensor]


class Norms(NamedTuple):
    """Euclidean norms of a gradient on and off the tube."""

    on_tube: float
    off_tube: float


@dataclass(frozen=True)
class TermGradient:
    """One term and its gradients, in float64.

    Attributes
    ----------
    value : float
        Of the term.
    logits : (B, C, *S) Tensor
        Gradient with respect to the logits.
    probabilities : (B, K, *S) Tensor
        Gradient with respect to the probabilities of the classes: the K = C - 1 after the
        background of a softmax, all K = C channels of a sigmoid.
    """

    value: float
    logits: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class GradientReport:
    """Gradients of several terms of a loss at one prediction; made by `term_gradients`.

    Attributes
    ----------
    terms : dict of str to TermGradient
        In the order in which they were given.
    tube : (B, 1, *S) or (B, C, *S) Tensor of bool
        Which pixels are on the tube; for a sigmoid, of which channel.
    closed_form : (B, K, *S) Tensor
        The gradient of the Skeleton Recall Loss with respect to the probabilities by eq. 2 of the
        paper, see `recall_gradient`; what autograd finds for that term, whatever the prediction.
    """

    terms: dict[str, TermGradient]
    tube: Tensor
    closed_form: Tensor

    def norms(self, space: str = "logits") -> dict[str, Norms]:
        """Return the norms on and off the tube of each term.

        Parameters
        ----------
        space : {"logits", "probabilities"}
            Which gradients.
        """
        found = {}
        for name, gradient in self._gradients(space).items():
            on = torch.where(self.tube, gradient, 0.0)
            found[name] = Norms(on.norm().item(), (gradient - on).norm().item())
        return found

    def cosines(
        self, space: str = "logits", *, on_tube: bool = False
    ) -> dict[str, dict[str, float]]:
        """Return the cosine of the angle between the gradients of each two terms.

        Parameters
        ----------
        space : {"logits", "probabilities"}
            Which gradients.
        on_tube : bool
            Only of the pixels on the tube.

        Returns
        -------
        dict of str to dict of str to float
            -1 (they work against each other) to 1; NaN where one of the two is zero.
        """
        as_flag("on_tube", on_tube)
        units = {}
        for name, gradient in self._gradients(space).items():
            vector = torch.where(self.tube, gradient, 0.0) if on_tube else gradient
            units[name] = (vector / vector.norm()).flatten()
        return {a: {b: torch.dot(units[a], units[b]).item() for b in units} for a in units}

    def _gradients(self, space: str) -> dict[str, Tensor]:
        as_choice("space", space, ("logits", "probabilities"))
        return {name: getattr(term, space) for name, term in self.terms.items()}


def term_gradients(
    terms: Mapping[str, Term],
    logits: Tensor,
    target: Tensor,
    *,
    tube: Tensor | None = None,
    radius: int = 2,
    activation: str = "softmax",
    ignore_index: int | None = None,
) -> GradientReport:
    r"""Gradient of each term of a loss with respect to logits and probabilities.

    Parameters
    ----------
    terms : mapping of str to callable
        Each ``term(logits, target)`` gives a scalar Tensor; losses as modules are such. They are
        called with float64 logits.
    logits : (B, C, *S) Tensor of float32, float64, float16 or bfloat16
        The prediction before the activation, S being the 2 or 3 spatial axes, or also one if `tube`
        is given.
    target : (B, *S) or (B, 1, *S) Tensor of bool or int
        Labels 0 .. C-1 and `ignore_index`. For "sigmoid": 0 and 1, or, with more than one channel,
        a mask of 0 and 1 for each, (B, C, *S). Terms get it as it is given.
    tube : Tensor of bool or int, optional
        The tubed skeleton of `target`, of a shape that `target` may have; made here by default.
    radius : int
        Of the tube that is made here, in pixels; at least 0.
    activation : {"softmax", "sigmoid"}
        Which turns logits into probabilities in the terms.
    ignore_index : int, optional
        Pixels of `target` with this label are not on the tube.

    Returns
    -------
    GradientReport
        Gradients, with norms and cosines as methods.

    Raises
    ------
    TypeError
        If an argument is of a wrong type, or `terms` holds something that is not callable.
    ValueError
        For no terms, shapes that do not match, options that do not exist, or a term whose value is
        no scalar or does not depend on the logits.

    See Also
    --------
    recall_gradient : the closed form alone.

    Notes
    -----
    The probabilities of a softmax add up to 1, so a derivative by one of them has to say which
    other one gives way. Here the background does: :math:`s_0 = 1 - \sum_k s_k`. With the
    derivatives :math:`g_c` by the logits,

    .. math:: \frac{dL}{ds_k} = \frac{g_k}{s_k} - \frac{g_0}{s_0}, \quad \text{and} \quad
        \frac{dL}{ds} = \frac{g}{s (1 - s)}

    for a sigmoid. For a loss in which the probability of the background does not appear, such as
    the Skeleton Recall Loss, it is the plain partial derivative. Where a probability is 0 in
    float64 its quotient counts as 0.

    References
    ----------
    .. [1] "Reassessing utility of topology based losses for image segmentation",
       arXiv:2508.11374.

    Examples
    --------
    >>> import torch, tubeskel
    >>> target = torch.zeros(1, 16, 16, dtype=torch.long)
    >>> target[:, 6:9, 2:14] = 1
    >>> logits = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> terms = {"ce": torch.nn.CrossEntropyLoss(), "srl": tubeskel.SkeletonRecallLoss()}
    >>> report = tubeskel.gradients.term_gradients(terms, logits, target)
    >>> torch.allclose(report.terms["srl"].probabilities, report.closed_form)
    True
    >>> report.norms()["srl"].off_tube
    0.0
    >>> round(report.cosines()["ce"]["srl"], 2)
    0.29
    """
    if not isinstance(terms, Mapping):
        raise TypeError(f"terms must be a mapping of names to callables, got {terms!r}")
    if not terms:
        raise ValueError("terms must hold at least one term, got none")
    for name, term in terms.items():
        if not callable(term):
            raise TypeError(f"terms must hold callables, got {term!r} for {name!r}")
    check_logits(logits, activation)
    softmax = activation == "softmax"
    labels = as_labels("target", target, logits, softmax)
    as_integer("radius", radius, minimum=0)
    label = as_label("ignore_index", ignore_index)
    if tube is None:
        axes = logits.ndim - 2
        tube = tubed_skeleton(
            labels, radius=radius, spatial_dims=axes, ignore_index=label, keep_components=True
        )
    tube = as_labels("tube", tube, logits, softmax)
    flat = Flat(logits, softmax)  # whose classes are checked here, though not needed
    _torch_ops.srl_classes(flat.maps(tube), flat.maps(labels), label, flat.num_classes)
    tube = tube.long()
    if label is not None:
        tube = tube.masked_fill((labels.long() == label) | (tube == label), 0)

    z = logits.detach().double().contiguous()
    # Of a sigmoid s (1 - s), where 1 - s would be cancelled.
    slope = z.softmax(1) if softmax else z.sigmoid() * (-z).sigmoid()
    z.requires_grad_()
    found = {}
    for name, term in terms.items():
        with torch.enable_grad():
            value = term(z, target)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            got = repr(value)
            if isinstance(value, Tensor):
                got = f"shape {tuple(value.shape)}, requires_grad={value.requires_grad}"
            raise ValueError(
                f"terms must give scalars that depend on the logits, got {got} from {name!r}"
            )
        (gradient,) = torch.autograd.grad(value.reshape(()), z)
        found[name] = TermGradient(
            value.item(), gradient, _by_probabilities(gradient, slope, softmax)
        )
    mask = tube.unsqueeze(1) != 0 if softmax else tube != 0
    closed_form = recall_gradient(tube, logits.shape[1], activation=activation)
    return GradientReport(found, mask, closed_form)


def recall_gradient(
    tube: Tensor, channels: int, *, activation: str = "softmax", batch: bool = True
) -> Tensor:
    r"""Gradient of the Skeleton Recall Loss with respect to the probabilities, in closed form.

    .. math:: \frac{\partial L}{\partial s_{jk}} = - \frac{1}{|K|} \frac{y_{jk}}{\sum_i y_{ik}}

    Eq. 2 of [1]_: the prediction does not appear in it.

    Parameters
    ----------
    tube : Tensor of bool or int
        The tubed skeleton y: (B, *S) of classes for "softmax", (B, C, *S) of 0 and 1 for "sigmoid".
    channels : int
        C, how many channels the prediction has.
    activation : {"softmax", "sigmoid"}
        With "softmax" the first channel is the background and has no tube.
    batch : bool
        Sum over the batch before dividing, else the mean over losses of the samples.

    Returns
    -------
    (B, K, *S) Tensor of float64
        K being C - 1 for "softmax" and C for "sigmoid".

    Raises
    ------
    TypeError, ValueError
        For arguments of other types, or options that do not exist.

    References
    ----------
    .. [1] "Reassessing utility of topology based losses for image segmentation",
       arXiv:2508.11374.

    Examples
    --------
    >>> import torch, tubeskel
    >>> tube = torch.tensor([[[0, 1, 1], [0, 0, 2]]])
    >>> tubeskel.gradients.recall_gradient(tube, 3)[0, :, :, 1:].tolist()
    [[[-0.25, -0.25], [-0.0, -0.0]], [[-0.0, -0.0], [-0.0, -0.5]]]
    """
    if not isinstance(tube, Tensor):
        raise TypeError(f"tube must be a torch.Tensor, got {type(tube).__name__}")
    if tube.dtype not in _torch_ops.LABEL_DTYPES:
        raise TypeError(f"tube must hold integers or bools, got {tube.dtype}")
    as_choice("activation", activation, ("softmax", "sigmoid"))
    as_integer("channels", channels, minimum=2 if activation == "softmax" else 1)
    as_flag("batch", batch)
    if activation == "softmax":
        y = torch.stack([tube.long() == k for k in range(1, channels)], 1).double()
    elif tube.ndim < 2 or tube.shape[1] != channels:
        raise ValueError(
            f"tube must have shape (B, {channels}, *S) for 'sigmoid', got {tuple(tube.shape)}"
        )
    else:
        y = (tube != 0).double()
    total = y.sum((0, *range(2, y.ndim)) if batch else tuple(range(2, y.ndim)), keepdim=True)
    present = (total > 0).sum(1, keepdim=True).clamp(min=1)
    return -y / (total.clamp(min=1) * present * (1 if batch else len(y)))


def _by_probabilities(gradient: Tensor, slope: Tensor, softmax: bool) -> Tensor:
    quotients = _quotient(gradient, slope)
    return quotients[:, 1:] - quotients[:, :1] if softmax else quotients


def _quotient(gradient: Tensor, s: Tensor) -> Tensor:
    return torch.where(s > 0, gradient / s.clamp(min=torch.finfo(s.dtype).tiny), 0.0)
