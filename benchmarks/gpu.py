"""``python -m benchmarks.gpu``: what tubeskel costs on a GPU, beside two floors and our targets.

Every result is first compared with that of the CPU. No command line library is needed here, so that
a machine with a GPU and little else can run it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cases, device
from benchmarks.cases import Unavailable
from benchmarks.gpu_operations import OPERATIONS, GpuCase, GpuOperation, of_size, to_gpu
from benchmarks.operations import main_array, peers_of
from benchmarks.peers import Function, Peer
from benchmarks.report import PeerTime, Report, Row, environment, saving
from benchmarks.tables import format_seconds
from benchmarks.timing import Time

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
    keep: Callable[[Report], None] = lambda report: None,
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
    keep : callable, optional
        Gets the report after each case, as far as it has come.

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
            keep(report)
    report.skipped = list(dict.fromkeys(report.skipped))
    return report


def _cases(operation: GpuOperation, sizes: Sequence[int]) -> tuple[GpuCase, ...]:
    if not sizes:
        return operation.cases
    families = cases.FAMILIES[operation.on_cpu.suite]
    return tuple(
        GpuCase(f"{name}-{size}", partial(of_size, operation.on_cpu, make, size), quick=True)
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
        with saving(options.json) as keep:
            report = run(quick=options.quick, names=options.names, tell=tell, keep=keep)
            keep(report)
    except Unavailable as reason:
        print(f"benchmarks.gpu: {reason}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 1
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
