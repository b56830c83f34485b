"""Build the two doors of tubeskel over one C++ core.

``tubeskel._array`` is a pybind11 module for NumPy; ``tubeskel._torch`` is a library of torch ops on
the LibTorch Stable ABI, which one build makes loadable by every PyTorch from 2.10 on.

Environment
-----------
TUBESKEL_CUDA : {"auto", "0", "1"}
    Compile the CUDA kernels. "auto" does so where a CUDA toolkit is found, also if PyTorch is
    CPU-only, so that they are compiled on every change; "1" fails without a toolkit.
TUBESKEL_CUDA_ARCHS : str
    Compute capabilities, e.g. "9.0" or "8.0;9.0". All that are supported, and PTX, by default.
"""

import os
import shutil
from pathlib import Path

import pybind11
import torch.utils.cpp_extension as torch_build
from setuptools import Extension, setup

RELEASE_ARCHS = "7.5;8.0;9.0;10.0;12.0"  # code for 8.0 runs on 8.6 and 8.9, and so on
TORCH_TARGET = "0x020a000000000000"  # the Stable ABI of PyTorch 2.10


def find_cuda() -> Path | None:
    """Return the CUDA toolkit to build with, None for a build without CUDA."""
    wanted = os.environ.get("TUBESKEL_CUDA", "auto")
    if wanted not in ("auto", "0", "1"):
        raise SystemExit(f"TUBESKEL_CUDA is {wanted!r}; allowed are 'auto', '0' and '1'")
    if wanted == "0":
        return None
    nvcc = shutil.which("nvcc")
    places = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    places += [str(Path(nvcc).resolve().parent.parent)] if nvcc else []
    for place in [*places, "/usr/local/cuda"]:
        if place and (Path(place) / "include" / "cuda_runtime.h").exists():
            return Path(place)
    if wanted == "1":
        raise SystemExit("TUBESKEL_CUDA is 1, but no CUDA toolkit was found; set CUDA_HOME")
    return None


def code_for(archs: list[str]) -> list[str]:
    """Return nvcc's options for these compute capabilities, and PTX for what is not among them.

    Of the last but one: it serves what lies between the last two (11.0) and what is yet to come.
    """
    numbers = [arch.replace(".", "") for arch in archs]
    options = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    ptx = numbers[-2:][0]
    return [*options, f"-gencode=arch=compute_{ptx},code=compute_{ptx}"]


cuda = find_cuda()
archs = (os.environ.get("TUBESKEL_CUDA_ARCHS") or RELEASE_ARCHS).split(";") if cuda else []
cpu_sources = sorted(str(path) for path in Path("csrc/cpu").glob("*.cpp"))
headers = sorted(str(path) for path in Path("csrc").rglob("*.h"))
# Nobody reads floating-point exception flags; without them compilers vectorise conditionals.
cxx_options = ["-O3", "-std=c++17", "-fvisibility=hidden", "-Wall", "-Wextra", "-fno-trapping-math"]

array_door = Extension(
    "tubeskel._array",
    ["csrc/bindings/array_module.cpp", *cpu_sources],
    depends=headers,
    include_dirs=[pybind11.get_include()],
    define_macros=[("TUBESKEL_CUDA_ARCHS", '"' + ";".join(archs) + '"')],
    extra_compile_args={"cxx": cxx_options},
    language="c++",
)
torch_door = torch_build.CppExtension(
    "tubeskel._torch",
    [*sorted(str(path) for path in Path("csrc/bindings").glob("*_ops.cpp")), *cpu_sources],
    depends=headers,
    define_macros=[("TORCH_TARGET_VERSION", TORCH_TARGET)],
    extra_compile_args={"cxx": [*cxx_options, "-Wno-unused-parameter"]},
    # Only symbols of the Stable ABI are used, so libtorch itself is all there is to link.
    extra_link_args=["-Wl,--no-as-needed", "-ltorch"],
    py_limited_api=True,
)
if cuda:
    torch_build.CUDA_HOME = str(cuda)  # None there where PyTorch is CPU-only
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", ";".join(archs))
    for pattern in ("cuda/*.cu", "bindings/torch_ops_cuda*.cpp"):
        torch_door.sources += sorted(str(path) for path in Path("csrc").glob(pattern))
    torch_door.include_dirs.append(str(cuda / "include"))
    torch_door.library_dirs += [str(cuda / "lib64"), str(cuda / "lib")]
    torch_door.libraries += ["cudart_static", "dl", "rt", "pthread"]
    torch_door.extra_compile_args["nvcc"] = ["-O3", "-std=c++17", *code_for(archs)]

setup(
    ext_modules=[array_door, torch_door],
    cmdclass={"build_ext": torch_build.BuildExtension.with_options(use_ninja=True)},
)
