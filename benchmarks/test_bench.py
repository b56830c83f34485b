"""The quick cases under pytest-benchmark: ``pytest benchmarks --benchmark-only``."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.cases import SUITES, Case, Unavailable
from benchmarks.operations import OPERATIONS, Operation, set_threads
from benchmarks.peers import Peer
from benchmarks.runner import compare

PAIRS = [
    pytest.param(operation, case, peer, id=f"{operation.name}-{case.name}-{name}")
    for operation in OPERATIONS
    for case in SUITES[operation.suite]
    if case.quick
    for name, peer in [("tubeskel", None), *((p.name, p) for p in operation.peers if p.quick)]
]


@pytest.mark.parametrize(("operation", "case", "peer"), PAIRS)
def test_operation(benchmark: Any, operation: Operation, case: Case, peer: Peer | None) -> None:
    """Time one side on the first input of a case; a peer's result is compared with ours."""
    set_threads(1, operation)
    try:
        item = operation.prepare(case.load()[0])
        function = operation.ours if peer is None else peer.load(threads=1)
    except Unavailable as reason:
        pytest.skip(str(reason))
    benchmark.group = f"{operation.name} on {case.name}"
    result = benchmark.pedantic(function, args=(item,), rounds=5, warmup_rounds=1)
    if peer is not None and peer.same_result:
        compare(operation, peer, case, [operation.ours(item)], [result])
