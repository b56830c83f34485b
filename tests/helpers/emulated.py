"""Builds ``csrc/cuda`` for the CPU, on the emulator of ``tests/cuda_emulator``, and loads it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EMULATOR = REPOSITORY / "tests" / "cuda_emulator"
BUILDS = REPOSITORY / "build" / "cuda_emulator"

ORDERS = ("forward", "reversed", "shuffled")

# Calls of the emulator are no tail calls: where a thread waits is told by their return addresses.
COMMON = "-std=c++17 -O2 -g1 -fPIC -fvisibility=hidden -fno-optimize-sibling-calls -Wall -Wextra"
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"


def sanitized() -> bool:
    """Whether this process can load the build with sanitizers, which must be its first library."""
    return "TUBESKEL_SANITIZED" in os.environ


@dataclass(frozen=True)
class Device:
    """The GPU that is played: `shared` is what a block may have, in bytes."""

    multiprocessors: int = 3
    blocks_per_multiprocessor: int = 2
    shared: int = 99 * 1024
    capability: int = 89


class Library:
    """A loaded library: its functions, and the emulator in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.functions = ctypes.CDLL(str(path))

    def play(self, order: str = "forward", device: Device = Device()) -> None:
        """Run what follows in an order: "forward", "reversed", "shuffled" or "shuffled:seed"."""
        kind, _, seed = order.partition(":")
        self.functions.cuda_emulator_play(
            device.multiprocessors,
            device.blocks_per_multiprocessor,
            ctypes.c_size_t(device.shared),
            device.capability,
            ORDERS.index(kind),
            ctypes.c_uint64(int(seed or 0)),
        )


def escape(path: Path | str) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def build(name: str, sources: list[Path], options: str = "", link: str = "") -> Path:
    """Compile sources and the emulator into a library; only what changed is compiled again."""
    compiler = os.environ.get("CXX", "g++")
    flags = f"{COMMON} {options}"
    if sanitized():
        name += "-sanitized"
        flags += f" {SANITIZERS}"
        link += f" {SANITIZERS}"
    folder = BUILDS / name
    folder.mkdir(parents=True, exist_ok=True)
    rules = [
        f"cxx = {compiler}",
        f"flags = {flags} -I{EMULATOR / 'include'} -I{REPOSITORY / 'csrc'}",
        f"script = {EMULATOR / 'runtime' / 'shared_memory.ld'}",
        "rule compile",
        "  command = $cxx $flags $more -MMD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = $cxx -shared $in -o $out -Wl,-T,$script {link}",
    ]
    objects = []
    for source in [*sources, *sorted((EMULATOR / "runtime").glob("*.cpp"))]:
        objects.append(f"{source.name}.o")
        rules.append(f"build {objects[-1]}: compile {escape(source)}")
        if source.suffix == ".cu":
            rules.append("  more = -x c++ -Wno-unknown-pragmas")
    rules.append(f"build library.so: link {' '.join(objects)} | $script")
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "build.ninja").write_text("\n".join([*rules, ""]))
        command = [sys.executable, "-m", "ninja", "-C", str(folder), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the emulated build of {name} failed\n{done.stdout}{done.stderr}")
    return folder / "library.so"


@functools.cache
def load(namespace: str = "tubeskel_emulated") -> Library:
    """Build and load the CUDA ops as ``torch.ops.<namespace>``."""
    import torch
    from torch.utils.cpp_extension import include_paths, library_paths

    csrc = REPOSITORY / "csrc"
    sources = sorted((csrc / "cuda").glob("*.cu"))
    sources += sorted((csrc / "bindings").glob("torch_ops_cuda*.cpp"))
    sources.append(EMULATOR / "library.cpp")
    includes = " ".join(f"-isystem {path}" for path in include_paths())
    path = build(
        namespace,
        sources,
        f"{includes} -DTUBESKEL_EMULATED={namespace} -DTORCH_TARGET_VERSION=0x020a000000000000",
        " ".join(f"-L{path}" for path in library_paths()) + " -Wl,--no-as-needed -ltorch",
    )
    torch.ops.load_library(str(path))
    return Library(path)


@contextlib.contextmanager
def playing(library: Library, order: str = "forward", **device: int) -> Iterator[None]:
    """Play a device in an order, then the usual one again."""
    library.play(order, Device(**device))
    try:
        yield
    finally:
        library.play()
