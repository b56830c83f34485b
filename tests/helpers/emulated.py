"""Builds ``csrc/cuda`` for the CPU, on the emulator of ``tests/cuda_emulator``, and loads it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EMULATOR = REPOSITORY / "tests" / "cuda_emulator"
BUILDS = REPOSITORY / "build" / "cuda_emulator"
COMPILER = os.environ.get("CXX", "g++")

# Calls of the emulator are no tail calls: where a thread waits is told by their return addresses.
OPTIONS = "-std=c++17 -g1 -fPIC -fvisibility=hidden -fno-optimize-sibling-calls -Wall -Wextra"
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
# What the compiler inserts for ThreadSanitizer calls the emulator, which looks for races.
ACCESSES = "-fsanitize=thread --param tsan-instrument-func-entry-exit=0"


@dataclass(frozen=True)
class Kind:
    """How to compile: everything, the kernels, and what is linked."""

    common: str
    kernels: str = ""


KINDS = {
    "plain": Kind("-O2"),
    "sanitizers": Kind(f"-O1 {SANITIZERS}"),
    "races": Kind("-O2", kernels=ACCESSES),
    "contracted": Kind("-O2", kernels="-mfma -ffp-contract=fast"),
}
# Of the libraries that this process loads.
KIND = os.environ.get("TUBESKEL_EMULATED", "plain")


def environment(kind: str) -> dict[str, str]:
    """Return the environment of a process that loads libraries of a kind."""
    changed = {"TUBESKEL_EMULATED": kind, "OMP_NUM_THREADS": "1"}
    if kind == "sanitizers":
        # AddressSanitizer comes before all else; Python leaks at its end.
        libraries = [library_of_compiler(name) for name in ("libasan.so", "libstdc++.so.6")]
        changed["LD_PRELOAD"] = " ".join(libraries)
        changed["ASAN_OPTIONS"] = "detect_leaks=0:detect_stack_use_after_return=0"
        changed["UBSAN_OPTIONS"] = "print_stacktrace=1"
    return {**os.environ, **changed}


def library_of_compiler(name: str) -> str:
    command = [*COMPILER.split(), f"-print-file-name={name}"]
    path = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if not Path(path).is_absolute():
        raise RuntimeError(f"{COMPILER} has no {name}")
    return path


# ---- libraries

# Orders to test in; where other faults are looked for, one does.
ORDERS = ["forward", "reversed", "shuffled:1"] if KIND == "plain" else ["shuffled:1"]


@dataclass(frozen=True)
class Device:
    """The GPU that is played; `shared` is what a block may have, in bytes."""

    multiprocessors: int = 3
    blocks_per_multiprocessor: int = 2
    shared: int = 99 * 1024
    capability: int = 89


class Library:
    """A loaded library: its functions, and the emulator in it."""

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))

    def play(self, order: str = "forward", device: Device = Device()) -> None:
        """Run what follows in an order: "forward", "reversed", or "shuffled:1" with a seed."""
        kind, _, seed = order.partition(":")
        self.functions.cuda_emulator_play(
            device.multiprocessors,
            device.blocks_per_multiprocessor,
            ctypes.c_size_t(device.shared),
            device.capability,
            ("forward", "reversed", "shuffled").index(kind),
            ctypes.c_uint64(int(seed or 0)),
        )

    @contextlib.contextmanager
    def playing(self, order: str, **device: int) -> Iterator[None]:
        """Play a device in an order, then the usual one again."""
        self.play(order, Device(**device))
        try:
            yield
        finally:
            self.play()


def build(name: str, sources: list[Path], options: str = "", link: str = "") -> Path:
    """Compile sources and the emulator into a library; only what changed is compiled again."""
    kind = KINDS[KIND]
    folder = BUILDS / KIND
    folder.mkdir(parents=True, exist_ok=True)
    rules = [
        f"cxx = {COMPILER}",
        f"options = {OPTIONS} {kind.common} -I{EMULATOR / 'include'}",
        f"script = {EMULATOR / 'runtime' / 'shared_memory.ld'}",
        "rule compile",
        "  command = $cxx $options $more -MMD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = $cxx $options -shared $in -o $out -Wl,-T,$script {link}",
    ]
    objects = []
    for source in [*sources, *sorted((EMULATOR / "runtime").glob("*.cpp"))]:
        more = options if source in sources else ""
        if source.suffix == ".cu":
            more += f" -x c++ -Wno-unknown-pragmas {kind.kernels}"
        objects.append(f"{source.relative_to(REPOSITORY)}.o".replace("/", "-"))
        rules += [f"build {objects[-1]}: compile {source}", f"  more = {more}"]
    library = folder / f"{name}.so"
    rules.append(f"build {library.name}: link {' '.join(objects)} | $script")
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "build.ninja").write_text("\n".join([*rules, ""]))
        command = [sys.executable, "-m", "ninja", "-C", str(folder), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the emulated build of {name} failed\n{done.stdout}{done.stderr}")
    refuse_host_variables(library)
    return library


def refuse_host_variables(library: Path) -> None:
    """Raise RuntimeError if not all that is taken for shared memory is a variable of a function."""
    lines = subprocess.run(["nm", "-C", library], capture_output=True, text=True).stdout.split("\n")
    symbols = [line.split(maxsplit=2) for line in lines if re.match(r"[0-9a-f]+ ", line)]
    addresses = {name: int(address, 16) for address, _, name in symbols}
    shared = range(addresses["cuda_shared_begin"], addresses["cuda_shared_end"])
    for address, kind, name in symbols:
        plain = name.replace("(anonymous namespace)::", "").replace("cuda_shared_", ")::")
        if kind == "b" and int(address, 16) in shared and (")::" not in plain or "guard" in plain):
            raise RuntimeError(f"csrc/cuda has a variable that is no shared memory: {name}")


def build_ops(changed: str = "", text: str = "") -> Path:
    """Build the library of emulated ops, with another `text` for one file of ``csrc/cuda``."""
    from torch.utils.cpp_extension import include_paths, library_paths

    csrc, name = REPOSITORY / "csrc", "tubeskel_emulated"
    kernels = sorted((csrc / "cuda").glob("*.cu"))
    if changed:
        digest = hashlib.sha256((changed + text).encode()).hexdigest()[:8]
        name += f"-{digest}"
        copy = BUILDS / "changed" / digest
        for room in ("core", "cuda"):
            shutil.copytree(csrc / room, copy / room, dirs_exist_ok=True)
        (copy / "cuda" / changed).write_text(text)
        affected = [k for k in kernels if k.name == changed or f'"{changed}"' in k.read_text()]
        kernels = [copy / "cuda" / k.name if k in affected else k for k in kernels]
    ops = sorted((csrc / "bindings").glob("torch_ops_cuda*.cpp"))
    defines = "-DTUBESKEL_EMULATED=tubeskel_emulated -DTORCH_TARGET_VERSION=0x020a000000000000"
    includes = " ".join(f"-isystem {path}" for path in include_paths())
    libraries = " ".join(f"-L{path}" for path in library_paths())
    return build(
        name,
        [*kernels, *ops, EMULATOR / "library.cpp"],
        f"{defines} {includes}",
        f"{libraries} -Wl,--no-as-needed -ltorch",
    )


@functools.cache
def load() -> Library:
    """Build the CUDA ops and load them as ``torch.ops.tubeskel_emulated``."""
    import torch

    path = Path(os.environ.get("TUBESKEL_EMULATED_LIBRARY") or build_ops())
    torch.ops.load_library(str(path))
    return Library(path)
