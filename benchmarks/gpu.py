"""``python -m benchmarks.gpu``: what tubeskel costs on a GPU, beside two floors and our targets.

Every result is first compared with that of the CPU. No command line library is needed here, so that
a machine with a GPU and little else can run it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tubeskel
from benchmarks import cases, device, operations
from benchmarks.cases import LossInput, StepInput, Unavailable
from benchmarks.operations import (
    added_to_step,
    compound_loss_and_gradient,
    loss_differs,
    main_array,
    peers_of,
    soft_cldice_and_gradient,
    srl_loss_and_gradient,
)
from benchmarks.peers import Function, Peer
from benchmarks.report import PeerTime, Report, Row, environment
from benchmarks.tables import format_seconds
from benchmarks.timing import Time

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


def _of_size(operation: operations.Operation, make: Callable[[int], list[Any]], size: int) -> Any:
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


def _pixels_that_differ(cpu: Any, gpu: Any) -> str | None:
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
        _pixels_that_differ,
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
        _pixels_that_differ,
        _in_and_out,
        (GpuCase("64-trees-512", partial(_stack, partial(cases._trees, 512, 64))),),
    ),
    GpuOperation(
        "skeletonize_3d",
        "skeletonize(volumes, spatial_dims=3)",
        lambda volumes: tubeskel.skeletonize(volumes, spatial_dims=3),
        _pixels_that_differ,
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
            _pixels_that_differ,
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
        _pixels_that_differ,
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
        _pixels_that_differ,
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


# ---- the run


def run(
    *,
    command: str = "all",
    dims: int | None = None,
    sizes: Sequence[int] = (),
    quick: bool = False,
    names: Sequence[str] = (),
    peers: Sequence[str] | None = None,
    tell: Callable[[str], None] = lambda message: None,
) -> Report:
    """Time operations on a GPU.

    Parameters
    ----------
    command : str
        Only the operations of this subcommand of ``python -m benchmarks``, or ``"all"``.
    dims : int, optional
        Only operations on images (2) or on volumes (3).
    sizes : sequence of int, optional
        Generated cases of these sizes instead of the usual ones.
    quick : bool
        Only the light cases.
    names : sequence of str, optional
        Operations or cases to restrict the run to.
    peers : sequence of str, optional
        Peers to restrict the run to.
    tell : callable, optional
        Gets a line about what is being done.

    Returns
    -------
    Report
        With the GPU and its floors in the environment.

    Raises
    ------
    Unavailable
        Without a CUDA device.
    ValueError
        A result differs from the CPU's, a name is unknown, or nothing runs on a GPU.
    """
    chosen = [
        (operation, _cases(operation, sizes))
        for operation in OPERATIONS
        if command in ("all", operation.on_cpu.command) and dims in (None, operation.on_cpu.dims)
    ]
    if not chosen:
        raise ValueError(
            f"{command} has no operation on cuda" + f" in {dims} dimensions" * bool(dims)
        )
    known = {name for o, found in chosen for name in (o.name, *(case.name for case in found))}
    if unknown := sorted(set(names) - known):
        raise ValueError(f"unknown operation or case {unknown[0]!r}; choose from {sorted(known)}")
    gpu = device.describe()
    tell("floors")
    floors = device.measure_floors()
    report = Report(1, quick, {**environment(), "gpu": {**gpu, "floors": asdict(floors)}})
    for operation, found in chosen:
        loaded = _peers(operation, peers, quick, report.skipped)
        for case in found:
            wanted = not names or operation.name in names or case.name in names
            if not wanted or (quick and not case.quick):
                continue
            tell(f"{operation.name}: {case.name}")
            try:
                item = case.load()
            except Unavailable as reason:
                report.skipped.append(f"{case.name}: {reason}")
                continue
            report.rows.append(_row(operation, case, item, floors, loaded))
    report.skipped = list(dict.fromkeys(report.skipped))
    return report


def _cases(operation: GpuOperation, sizes: Sequence[int]) -> tuple[GpuCase, ...]:
    if not sizes:
        return operation.cases
    families = cases.FAMILIES[operation.on_cpu.suite]
    return tuple(
        GpuCase(f"{name}-{size}", partial(_of_size, operation.on_cpu, make, size), quick=True)
        for name, make in families.items()
        for size in sizes
    )


def _row(
    operation: GpuOperation, case: GpuCase, item: Any, floors: device.Floors, peers: dict[Any, Any]
) -> Row:
    inputs = [to_gpu(item) for _ in range(device.copies_for(main_array(item).nbytes))]
    expected = operation.ours(item)
    if difference := operation.difference(expected, operation.ours(inputs[0])):
        raise ValueError(f"{operation.name} on {case.name}: {difference} between CPU and GPU")
    calls = [partial(operation.ours, one) for one in inputs]
    ours, called = device.device_time(calls), device.called_time(calls)
    warm = device.device_time(calls[:1])
    arrays = [main_array(one) for one in inputs]
    copy = device.device_time([partial(_copy, array) for array in arrays])
    floor = operation.least_bytes(item) / floors.copy_bandwidth
    found = []
    for peer, function in peers.items():
        if peer.same_result and (difference := operation.difference(expected, function(inputs[0]))):
            raise ValueError(f"{operation.name} on {case.name}: {difference} from {peer.name}")
        kind, theirs = _time_peer(peer, function, inputs)
        ratio = theirs.median / called.median
        name = f"{peer.name}, {kind}"
        found.append(PeerTime(name, peer.version, peer.algorithm, peer.same_result, theirs, ratio))
    return Row(
        operation=operation.name,
        case=case.name,
        listed=True,
        images=1,
        shape=list(main_array(item).shape),
        pixels=int((item if hasattr(item, "numel") else item.target).numel()),
        ours=ours,
        copy=copy,
        peers=found,
        called=called,
        warm=warm,
        floor=floor,
        target=floor / operation.share if operation.share else case.target,
    )


def _copy(array: Any) -> Any:
    return array.detach().clone()


def _peers(
    operation: GpuOperation, names: Sequence[str] | None, quick: bool, missing: list[str]
) -> dict[Peer, Function]:
    """Load the peers on the GPU, and scikit-image on the CPU with copies: what people do today."""
    found: dict[Peer, Function] = {}
    for peer in (*peers_of(operation.name, "cuda"), *peers_of(operation.name, "cpu")):
        on_gpu = "cuda" in peer.devices
        if peer in found or not (on_gpu or peer.name == "scikit-image"):
            continue
        if peer.name not in names if names is not None else quick and not peer.quick:
            continue
        try:
            function = peer.load(1)
        except Unavailable as reason:
            missing.append(f"{peer.name}: {reason}")
        else:
            found[peer] = function if on_gpu else partial(_on_cpu_and_back, function)
    return found


def _on_cpu_and_back(function: Function, masks: Any) -> Any:
    import torch

    results = np.stack([function(mask) for mask in masks.cpu().numpy()])
    return torch.from_numpy(results).to(masks.device)


def _time_peer(peer: Peer, function: Function, inputs: list[Any]) -> tuple[str, Time]:
    if "cuda" in peer.devices:
        return "called", device.called_time([partial(function, one) for one in inputs])
    start = time.perf_counter()
    function(inputs[0])  # ends with a copy, which waits
    return "one core and copies", Time.of([time.perf_counter() - start])


# ---- the table


def table(report: Report) -> str:
    """Return the floors and all rows as Markdown, which reads well as plain text too."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    gpu = report.environment["gpu"]
    floors = device.Floors(**gpu["floors"])
    yield (
        f"{gpu['name']} (compute capability {gpu['capability']}, "
        f"{gpu['multiprocessors']} multiprocessors), CUDA {gpu['cuda']}, PyTorch {gpu['torch']}"
        + ("; quick run, not for quoting" if report.quick else "")
    )
    yield ""
    bandwidth = floors.copy_bandwidth / 1e12
    yield f"- floor of bytes: a copy moves {bandwidth:.2f} TB/s, read and written"
    yield (
        f"- floor of launches: {format_seconds(floors.launch_in_graph)} a kernel in a graph, "
        f"{format_seconds(floors.launch_from_python)} an op called from Python"
    )
    for operation in OPERATIONS:
        rows = [row for row in report.rows if row.operation == operation.name]
        if not rows:
            continue
        yield ""
        yield f"**`{operation.title}`**"
        yield ""
        yield (
            "| case | input | device | target | in cache | called | its bytes | over bytes | copy "
            "| peer |"
        )
        yield "|---|---|--:|--:|--:|--:|--:|--:|--:|---|"
        for row in rows:
            yield _line(row)
    yield ""
    for reason in report.skipped:
        yield f"- not run: {reason}"


def _line(row: Row) -> str:
    assert row.called is not None
    assert row.floor is not None
    peers = [
        f"{peer.name}: {format_seconds(peer.time.median)}, {peer.ratio:.3g}x" for peer in row.peers
    ]
    cells = [
        row.case,
        " x ".join(map(str, row.shape)),
        format_seconds(row.ours.median),
        "" if row.target is None else format_seconds(row.target),
        "" if row.warm is None else format_seconds(row.warm.median),
        format_seconds(row.called.median),
        format_seconds(row.floor),
        f"{row.ours.median / row.floor:.3g}",
        format_seconds(row.copy.median),
        "; ".join(peers),
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 2 where it cannot run, 1 for a result that is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("names", nargs="*", help="operations or cases; all by default")
    parser.add_argument("--quick", action="store_true", help="only light cases, not for quoting")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args(arguments)

    def tell(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    try:
        report = run(quick=options.quick, names=options.names, tell=tell)
    except Unavailable as reason:
        print(f"benchmarks.gpu: {reason}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 1
    print(table(report))
    if options.json is not None:
        report.save(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
