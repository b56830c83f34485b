"""What is timed on a GPU: operations, their inputs, the bytes they must move, and our targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tubeskel
from benchmarks import cases, operations
from benchmarks.cases import LossInput, StepInput
from benchmarks.operations import (
    added_to_step,
    compound_loss_and_gradient,
    loss_differs,
    soft_cldice_and_gradient,
    srl_loss_and_gradient,
)

SECTOR = 32  # bytes that a GPU reads at least


@dataclass(frozen=True)
class GpuCase:
    """An input and what we mean to need for it on an H200, in seconds."""

    name: str
    load: Callable[[], Any]
    target: float | None = None
    quick: bool = False


@dataclass(frozen=True)
class GpuOperation:
    """One thing that is timed on a GPU.

    Attributes
    ----------
    name, title : str
        Its name in `operations.OPERATIONS`, and the call as shown above its table.
    ours : callable
        The function under test, on one input, of the CPU or of a GPU.
    difference : callable
        From its results on the two: what differs, or None if nothing does.
    least_bytes : callable
        From an input: how many bytes must be read and written at least.
    cases : tuple of GpuCase
        What it works on.
    share : float, optional
        The share of a copy's bandwidth that we mean to reach, which is the target of all cases.
    """

    name: str
    title: str
    ours: Callable[[Any], Any]
    difference: Callable[[Any, Any], str | None]
    least_bytes: Callable[[Any], int]
    cases: tuple[GpuCase, ...]
    share: float | None = None

    @property
    def on_cpu(self) -> operations.Operation:
        """The operation of this name on the CPU."""
        return next(o for o in operations.OPERATIONS if o.name == self.name)


# ---- inputs


def _stack(load: Callable[[], list[NDArray[Any]]], dtype: Any = np.bool_) -> Any:
    """Return the images of a case as one batch, a tensor on the CPU."""
    import torch

    return torch.from_numpy(np.stack(load()).astype(dtype))


def _volumes(number: int, size: int) -> list[NDArray[np.bool_]]:
    return [cases.vessel_tubes(size, seed=seed) for seed in range(number)]


def _first(load: Callable[[], list[Any]]) -> Any:
    return load()[0]


def to_gpu(item: Any) -> Any:
    """Return a copy of an input on the GPU."""
    if isinstance(item, LossInput):
        return LossInput(_leaf_on_gpu(item.logits), item.target.cuda(), item.tube.cuda())
    if isinstance(item, StepInput):
        return replace(
            item,
            network=item.network.cuda(),  # in place: the optimizer holds the same parameters
            images=item.images.cuda(),
            target=item.target.cuda(),
            logits=_leaf_on_gpu(item.logits),
        )
    return item.cuda()


def _leaf_on_gpu(logits: Any) -> Any:
    return logits.detach().cuda().requires_grad_()


def of_size(operation: operations.Operation, make: Callable[[int], list[Any]], size: int) -> Any:
    """Return an input of an operation on the CPU, of a size that a family makes."""
    inputs = [operation.prepare(item) for item in make(size)]
    is_loss = operation.suite in ("losses", "cldice")
    return inputs[0] if is_loss else _stack(lambda: inputs, inputs[0].dtype)


# ---- bytes


def _in_and_out(item: Any) -> int:
    return 2 * int(item.nbytes)


def _loss_bytes(item: LossInput) -> int:
    """Both label maps, the sectors of the logits that hold tube pixels, and the gradient."""
    import torch

    labels = item.target.nbytes + item.tube.nbytes
    samples, channels = item.logits.shape[:2]
    in_sector = SECTOR // item.logits.element_size()
    tube = item.tube.reshape(samples, -1) != 0
    tube = torch.nn.functional.pad(tube, (0, -tube.shape[1] % in_sector))
    touched = int(tube.unflatten(1, (-1, in_sector)).any(2).sum())
    return int(labels + item.logits.nbytes + touched * channels * SECTOR)


def _compound_bytes(item: LossInput) -> int:
    """Labels and logits for the sums, both again for the gradient, and this."""
    labels = item.target.nbytes + item.tube.nbytes
    return int(2 * labels + 3 * item.logits.nbytes)


def _cldice_bytes(item: LossInput) -> int:
    """Labels and logits for the sums, both again for the gradient, and this."""
    return int(2 * item.target.nbytes + 3 * item.logits.nbytes)


def _step_bytes(item: StepInput) -> int:
    """Labels, logits and gradient: the tubes could stay in the cache."""
    return int(item.target.nbytes + 2 * item.logits.nbytes)


# ---- operations


def pixels_that_differ(cpu: Any, gpu: Any) -> str | None:
    """Compare a result on the GPU with that on the CPU, bit by bit."""
    wrong = int((cpu != gpu.cpu()).sum())
    return f"{wrong} of {cpu.numel()} pixels differ" if wrong else None


def _loss_differs(cpu: Any, gpu: Any) -> str | None:
    return loss_differs(tuple(tensor.cpu() for tensor in gpu), cpu)


def _cldice_differs(cpu: Any, gpu: Any) -> str | None:
    """Compare in the mean: where probabilities are almost equal, rounding says which is less."""
    value = (gpu[0].cpu() - cpu[0]).abs().item()
    gradient = ((gpu[1].cpu() - cpu[1]).norm() / cpu[1].norm()).item()
    if value <= 1e-4 and gradient <= 1e-2:
        return None
    return f"an error of {value:.1e} in the loss, {gradient:.1e} in the norm of the gradient"


LOSS_CASES = (
    GpuCase("2x2x64x64", partial(_first, partial(cases._loss_2d, 2, 64)), quick=True),
    GpuCase("12x2x512x512", partial(_first, partial(cases._loss_2d, 12, 512))),
    GpuCase("2x14x96x96x96", partial(_first, partial(cases._loss_3d, 2, 96, 14))),
)

OPERATIONS = (
    GpuOperation(
        "skeletonize",
        'skeletonize(masks, method="zhang", spatial_dims=2)',
        lambda masks: tubeskel.skeletonize(masks, method="zhang", spatial_dims=2),
        pixels_that_differ,
        _in_and_out,
        (
            GpuCase("tree-512", partial(_stack, partial(cases._trees, 512, 4)), quick=True),
            GpuCase("64-trees-512", partial(_stack, partial(cases._trees, 512, 64)), 150e-6),
            GpuCase("horse-1024", partial(_stack, partial(cases._horse, 1024)), 0.5e-3),
            GpuCase("horse-4096", partial(_stack, partial(cases._horse, 4096)), 5e-3),
            GpuCase("hrf", partial(_stack, lambda: _named("hrf")[:1]), 0.5e-3),
        ),
    ),
    GpuOperation(
        "thin",
        "thin(masks, spatial_dims=2)",
        lambda masks: tubeskel.thin(masks, spatial_dims=2),
        pixels_that_differ,
        _in_and_out,
        (GpuCase("64-trees-512", partial(_stack, partial(cases._trees, 512, 64))),),
    ),
    GpuOperation(
        "skeletonize_3d",
        "skeletonize(volumes, spatial_dims=3)",
        lambda volumes: tubeskel.skeletonize(volumes, spatial_dims=3),
        pixels_that_differ,
        _in_and_out,
        (
            GpuCase("tubes-64", partial(_stack, partial(_volumes, 1, 64)), quick=True),
            GpuCase("tubes-256", partial(_stack, partial(_volumes, 1, 256)), 2e-3),
            GpuCase("tubes-512", partial(_stack, partial(_volumes, 1, 512)), 12e-3),
        ),
    ),
    *(
        GpuOperation(
            name,
            f"dilate(masks, radius=2, spatial_dims={dims})",
            partial(tubeskel.dilate, radius=2, spatial_dims=dims),
            pixels_that_differ,
            _in_and_out,
            (GpuCase(case, partial(_stack, load)),),
        )
        for name, dims, case, load in (
            ("dilate", 2, "64-trees-512", partial(cases._trees, 512, 64)),
            ("dilate_3d", 3, "tubes-256", partial(_volumes, 1, 256)),
        )
    ),
    GpuOperation(
        "tubed_skeleton",
        "tubed_skeleton(labels, spatial_dims=2)",
        lambda labels: tubeskel.tubed_skeleton(labels, spatial_dims=2),
        pixels_that_differ,
        _in_and_out,
        (
            GpuCase(
                "12-trees-512", partial(_stack, partial(cases._trees, 512, 12), np.uint8), 100e-6
            ),
        ),
    ),
    GpuOperation(
        "tubed_skeleton_3d",
        "tubed_skeleton(labels, spatial_dims=3)",
        lambda labels: tubeskel.tubed_skeleton(labels, spatial_dims=3),
        pixels_that_differ,
        _in_and_out,
        (GpuCase("2-tubes-128", partial(_stack, partial(_volumes, 2, 128), np.uint8), 1e-3),),
    ),
    GpuOperation(
        "srl_loss",
        "srl_loss(logits, target, tube=tube), forward and backward",
        srl_loss_and_gradient,
        _loss_differs,
        _loss_bytes,
        LOSS_CASES,
    ),
    GpuOperation(
        "dice_ce_srl_loss",
        "dice_ce_srl_loss(logits, target, tube=tube), forward and backward",
        compound_loss_and_gradient,
        _loss_differs,
        _compound_bytes,
        (
            *LOSS_CASES,
            GpuCase("2x14x128x128x128", partial(_first, partial(cases._loss_3d, 2, 128, 14))),
        ),
        share=0.85,
    ),
    GpuOperation(
        "soft_cldice_loss",
        "soft_cldice_loss(logits, target), ten iterations, forward and backward",
        soft_cldice_and_gradient,
        _cldice_differs,
        _cldice_bytes,
        (
            GpuCase("2x2x64x64", partial(_first, partial(cases._loss_2d, 2, 64)), quick=True),
            GpuCase("4x2x256x256", partial(_first, partial(cases._loss_2d, 4, 256))),
            GpuCase("12x2x512x512", partial(_first, partial(cases._loss_2d, 12, 512))),
            GpuCase("1x2x96x96x96", partial(_first, partial(cases._loss_tubes, 1, 96))),
        ),
    ),
    GpuOperation(
        "train_step",
        "srl_loss(logits, target) in a training step of a DynUNet",
        added_to_step,
        _loss_differs,
        _step_bytes,
        tuple(
            GpuCase(case.name, partial(_first, case.load), quick=case.quick) for case in cases.STEPS
        ),
    ),
)


def _named(name: str) -> list[Any]:
    return next(case for case in cases.MASKS if case.name == name).load()
