"""What is done, by us, and how two results of it are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tubeskel
import tubeskel.metrics
from benchmarks.cases import LossInput, StepInput
from benchmarks.peers import PEERS, Peer


@dataclass(frozen=True)
class Operation:
    """One thing that is timed.

    Attributes
    ----------
    name, command, suite : str
        Its name, the subcommand that runs it, and the key of its cases in `cases.SUITES`.
    title : str
        The call, as shown above its table.
    ours : callable
        The function under test, on one input.
    difference : callable
        From our result and a peer's: what differs, or None if nothing does.
    prepare : callable
        From an input of the suite to an input of this operation.
    dims : int, optional
        How many dimensions its cases have; None if that differs.
    share_of : str, optional
        The peer that stands for a whole of which the other sides are what is added.
    """

    name: str
    command: str
    suite: str
    title: str
    ours: Callable[[Any], Any]
    difference: Callable[[Any, Any], str | None]
    prepare: Callable[[Any], Any] = lambda item: item
    dims: int | None = None
    share_of: str | None = None

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Every peer of this operation on the CPU."""
        return peers_of(self.name, "cpu")


def peers_of(operation: str, device: str) -> tuple[Peer, ...]:
    """Return the peers of an operation that take their input from a device."""
    return tuple(p for p in PEERS if p.operation == operation and device in p.devices)


def set_threads(threads: int, operation: Operation) -> None:
    """Give our side, and torch where it takes part, this many threads."""
    tubeskel.set_num_threads(threads)
    if operation.suite in ("losses", "cldice", "steps"):
        import torch

        torch.set_num_threads(threads)


def main_array(item: Any) -> Any:
    """Return the array that an operation cannot avoid reading: the mask, or the logits."""
    return item.logits.detach() if isinstance(item, LossInput | StepInput) else item


def copier(item: Any) -> Callable[[], Any]:
    """Return a function that copies the main array once: the floor under every time."""
    array = main_array(item)
    if isinstance(array, np.ndarray):
        buffer = np.empty_like(array)
        return lambda: np.copyto(buffer, array)
    copy = array.clone()
    return lambda: copy.copy_(array)


def pixels(item: Any) -> int:
    """Return how many pixels or voxels an input has."""
    return int(item.target.numel() if isinstance(item, LossInput | StepInput) else item.size)


def _with_prediction(mask: Any) -> Any:
    """Return a prediction, the mask moved by a pixel with gaps in it, and the mask."""
    prediction = np.roll(mask, 1, axis=-1)
    prediction[..., ::32] = False
    return np.stack([prediction, mask])


def _numbers_that_differ(ours: Any, theirs: Any) -> str | None:
    if np.allclose(ours, theirs, rtol=1e-12, atol=0):
        return None
    return f"{theirs} instead of {ours}"


def _pixels_that_differ(ours: Any, theirs: Any) -> str | None:
    if ours.shape == theirs.shape and np.array_equal(ours, theirs):
        return None
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} instead of {theirs.shape}"
    return f"{np.count_nonzero(ours != theirs)} of {ours.size} pixels differ"


def loss_differs(ours: tuple[Any, Any], theirs: tuple[Any, Any]) -> str | None:
    """Return what differs between two pairs of loss and gradient."""
    # float32 sums in another order: relative to the value, and to the largest gradient
    value = (ours[0] - theirs[0]).abs().item() / max(theirs[0].abs().item(), 1e-12)
    scale = max(theirs[1].abs().max().item(), 1e-30)
    gradient = (ours[1] - theirs[1]).abs().max().item() / scale
    if max(value, gradient) <= 1e-4:
        return None
    return f"relative error {value:.1e} of the loss, {gradient:.1e} of the gradient"


def srl_loss_and_gradient(case: LossInput) -> tuple[Any, Any]:
    """Return the loss and its gradient, on the device of the input."""
    import torch

    loss = tubeskel.srl_loss(case.logits, case.target, tube=case.tube)
    (gradient,) = torch.autograd.grad(loss, case.logits)
    return loss.detach(), gradient


def compound_loss_and_gradient(case: LossInput) -> tuple[Any, Any]:
    """Return the loss of all three terms and its gradient."""
    import torch

    loss = tubeskel.dice_ce_srl_loss(case.logits, case.target, tube=case.tube)
    (gradient,) = torch.autograd.grad(loss, case.logits)
    return loss.detach(), gradient


def soft_cldice_and_gradient(case: LossInput) -> tuple[Any, Any]:
    """Return the soft clDice loss at ten iterations and its gradient."""
    import torch

    loss = tubeskel.soft_cldice_loss(case.logits, case.target, iterations=10)
    (gradient,) = torch.autograd.grad(loss, case.logits)
    return loss.detach(), gradient


def added_to_step(case: StepInput) -> tuple[Any, Any]:
    """Return loss and gradient, the tubes made on the way: what a step has more to do."""
    import torch

    loss = tubeskel.srl_loss(case.logits, case.target)
    (gradient,) = torch.autograd.grad(loss, case.logits)
    return loss.detach(), gradient


# suffix of the name, suite, what a mask is called, and dims of an operation on both
KINDS = (("", "masks", "mask", 2), ("_3d", "volumes", "volume", 3))

OPERATIONS = (
    Operation(
        "skeletonize",
        "thin",
        "masks",
        'skeletonize(mask, method="zhang")',
        lambda mask: tubeskel.skeletonize(mask, method="zhang"),
        _pixels_that_differ,
        dims=2,
    ),
    Operation(
        "skeletonize_lee",
        "thin",
        "masks",
        'skeletonize(mask, method="lee")',
        lambda mask: tubeskel.skeletonize(mask, method="lee"),
        _pixels_that_differ,
        dims=2,
    ),
    Operation("thin", "thin", "masks", "thin(mask)", tubeskel.thin, _pixels_that_differ, dims=2),
    Operation(
        "skeletonize_3d",
        "thin",
        "volumes",
        "skeletonize(volume)",
        tubeskel.skeletonize,
        _pixels_that_differ,
        dims=3,
    ),
    *(
        Operation(
            f"dilate{suffix}",
            "dilate",
            suite,
            f"dilate({name}, radius=2)",
            lambda mask: tubeskel.dilate(mask, radius=2),
            _pixels_that_differ,
            dims=dims,
        )
        for suffix, suite, name, dims in KINDS
    ),
    Operation(
        "tubed_skeleton",
        "tube",
        "masks",
        "tubed_skeleton(labels)",
        tubeskel.tubed_skeleton,
        _pixels_that_differ,
        prepare=lambda mask: mask.astype(np.uint8),
        dims=2,
    ),
    Operation(
        "tubed_skeleton_3d",
        "tube",
        "volumes",
        "tubed_skeleton(labels), 3D",
        tubeskel.tubed_skeleton,
        _pixels_that_differ,
        prepare=lambda volume: volume.astype(np.uint8),
        dims=3,
    ),
    Operation(
        "srl_loss",
        "loss",
        "losses",
        "srl_loss(logits, target, tube=tube), forward and backward",
        srl_loss_and_gradient,
        loss_differs,
    ),
    Operation(
        "dice_ce_srl_loss",
        "loss",
        "losses",
        "dice_ce_srl_loss(logits, target, tube=tube), forward and backward",
        compound_loss_and_gradient,
        loss_differs,
    ),
    Operation(
        "soft_cldice_loss",
        "loss",
        "cldice",
        "soft_cldice_loss(logits, target), ten iterations, forward and backward",
        soft_cldice_and_gradient,
        loss_differs,
    ),
    *(
        operation
        for suffix, suite, name, dims in KINDS
        for operation in (
            Operation(
                f"cldice{suffix}",
                "metrics",
                suite,
                f"metrics.cldice(prediction, {name})",
                lambda pair: tubeskel.metrics.cldice(*pair),
                _numbers_that_differ,
                prepare=_with_prediction,
                dims=dims,
            ),
            Operation(
                f"betti_numbers{suffix}",
                "metrics",
                suite,
                f"metrics.betti_numbers({name})",
                tubeskel.metrics.betti_numbers,
                _numbers_that_differ,
                dims=dims,
            ),
        )
    ),
    Operation(
        "train_step",
        "train-step",
        "steps",
        "srl_loss(logits, target) in a training step of a DynUNet",
        added_to_step,
        loss_differs,
        share_of="step",
    ),
)

COMMANDS = tuple(dict.fromkeys(operation.command for operation in OPERATIONS))
