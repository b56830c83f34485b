"""Compile the kernels for every architecture of a release and tell what they use.

Prints registers (by architecture) and static shared memory of each kernel, and fails if one keeps
variables in memory: spilled registers, or an array that is indexed in a loop that is not unrolled.
Only what changed since the last call is compiled again.

    python csrc/cuda/resources.py [file.cu ...]
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "build" / "cuda_resources"
OPTIONS = ["-O3", "-std=c++17", "-Xptxas=-v"]


@dataclass
class Use:
    """What a kernel uses on one architecture; sizes are in bytes."""

    registers: int
    shared: int
    stack: int


def release_archs() -> list[str]:
    """Return the architectures that setup.py builds a release for, such as "9.0"."""
    found = re.search(r'RELEASE_ARCHS = "(.*)"', (REPOSITORY / "setup.py").read_text())
    assert found
    return found[1].split(";")


def compile_for(nvcc: str, source: Path, arch: str) -> str:
    """Return what ptxas tells about the kernels of a file."""
    headers = sorted(REPOSITORY.glob("csrc/c*/*.h"))
    content = b"".join(path.read_bytes() for path in [source, Path(__file__), *headers])
    version = subprocess.run([nvcc, "--version"], capture_output=True).stdout
    digest = hashlib.sha256(content + version).hexdigest()[:16]
    known = RESULTS / f"{source.stem}-{arch}-{digest}.txt"
    if known.exists():
        return known.read_text()
    cubin = RESULTS / f"{known.name}.cubin"
    architecture = f"-arch=sm_{arch.replace('.', '')}"
    done = subprocess.run(
        [nvcc, "-cubin", architecture, *OPTIONS, str(source), "-o", str(cubin)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    cubin.unlink(missing_ok=True)
    if done.returncode:
        raise SystemExit(f"{source.name} does not compile for {arch}\n{done.stdout}")
    for old in RESULTS.glob(f"{source.stem}-{arch}-*.txt"):
        old.unlink()
    known.write_text(done.stdout)
    return done.stdout


def plain(mangled: list[str]) -> list[str]:
    """Return names of kernels without namespaces and parameters."""
    command = ["c++filt", "--no-params", *mangled]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\(anonymous namespace\)::|tubeskel::|cuda::|core::", "", text).splitlines()


def kernels(told: str) -> dict[str, Use]:
    """Read what ptxas told, by the kernels' names."""

    def number(pattern: str, text: str) -> int:
        match = re.search(pattern, text)
        return int(match[1]) if match else 0

    parts = told.split("Compiling entry function '")[1:]
    uses = [
        Use(
            registers=number(r"Used (\d+) registers", part),
            shared=number(r"(\d+) bytes smem", part),
            stack=number(r"(\d+) bytes stack frame", part),
        )
        for part in parts
    ]
    names = plain([part.split("'")[0] for part in parts]) if parts else []
    return dict(zip(names, uses, strict=True))


def main(names: list[str]) -> int:
    """Compile, print the table, return the exit status."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        print("the kernels were not compiled for all architectures: nvcc is not on the path")
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    sources = [Path(name) for name in names] or sorted(REPOSITORY.glob("csrc/cuda/*.cu"))
    archs = release_archs()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = {
            (source, arch): pool.submit(compile_for, nvcc, source, arch)
            for source, arch in itertools.product(sources, archs)
        }
        used = {key: kernels(future.result()) for key, future in told.items()}

    width = max(len(name) for uses in used.values() for name in uses)
    in_memory = []
    print(f"{'':{width}}  shared   registers on")
    print(f"{'':{width}}   bytes ", "".join(f"{arch:>6}" for arch in archs))
    for source in sources:
        print(source.name)
        for name in used[source, archs[0]]:
            uses = [used[source, arch][name] for arch in archs]
            print(
                f"{name:{width}} {max(use.shared for use in uses):7} ",
                "".join(f"{use.registers:6}" for use in uses),
            )
            in_memory += [
                f"{name} keeps {use.stack} bytes in memory on {arch}"
                for arch, use in zip(archs, uses, strict=True)
                if use.stack
            ]
    print("\n".join(["", *in_memory] if in_memory else ["all variables are in registers"]))
    return 1 if in_memory else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
