"""Peak extra memory of one call of ours, taken in a fresh process.

The child builds the input, calls the operation once on a small corner (so that libraries are
loaded), resets the process's high-water mark of resident memory, calls, and reads the mark:

    extra = high-water mark - resident before the call - bytes of the result

glibc is told to return every large block to the system, so nothing freed earlier is reused unseen.
Resident memory counts touched pages: reserved and untouched ones cost nothing. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.cases import LossInput, StepInput, find_case
from benchmarks.operations import OPERATIONS, Operation, main_array, set_threads

ROOT = Path(__file__).parents[1]
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Memory:
    """Bytes of the input's main array, of the result, and taken beyond both at the peak."""

    case: str
    input_bytes: int
    result_bytes: int
    extra_bytes: int


def peak_memory(operation: Operation, case: str, threads: int) -> Memory | None:
    """Measure one operation on the largest input of a case; None where there is no /proc."""
    if not CLEAR.exists():
        return None
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", operation.name, case, str(threads)],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return Memory(case, **json.loads(child.stdout))


def _measure(operation: Operation, case: str) -> dict[str, int]:
    inputs = find_case(operation.suite, case).load()
    item = operation.prepare(max(inputs, key=lambda i: _bytes(main_array(i))))
    del inputs
    operation.ours(_corner(item))
    CLEAR.write_text("5")
    before = _status("VmRSS")
    result = operation.ours(item)
    peak = _status("VmHWM")
    produced = _bytes(result[1] if isinstance(result, tuple) else result)
    return {
        "input_bytes": _bytes(main_array(item)),
        "result_bytes": produced,
        "extra_bytes": max(0, peak - before - produced),
    }


def _corner(item: Any) -> Any:
    if not isinstance(item, LossInput | StepInput):
        return item[:64, :64].copy()
    names = [name for name in ("target", "tube") if hasattr(item, name)]
    logits = item.logits[..., :16, :16].detach().clone().requires_grad_()
    labels = {name: getattr(item, name)[..., :16, :16].clone() for name in names}
    return replace(item, logits=logits, **labels)


def _bytes(array: Any) -> int:
    return int(getattr(array, "nbytes", 0))  # a score is a plain number


def _status(field: str) -> int:
    """Read a field of /proc/self/status, which counts in kB."""
    line = next(s for s in STATUS.read_text().splitlines() if s.startswith(field + ":"))
    return int(line.split()[1]) * 1024


def _main() -> None:
    name, case, threads = sys.argv[1:]
    operation = next(o for o in OPERATIONS if o.name == name)
    set_threads(int(threads), operation)
    print(json.dumps(_measure(operation, case)))


if __name__ == "__main__":
    _main()
