from enum import Enum

import numpy as np

class Method(Enum):
    zhang = ...
    guo_hall = ...
    lee = ...

class Footprint(Enum):
    diamond = ...
    box = ...
    ball = ...

UNTIL_STABLE: int
CUDA_ARCHITECTURES: str

def thin(
    images: np.ndarray, method: Method, max_iterations: int, keep_components: bool, threads: int
) -> np.ndarray: ...
def dilate(
    images: np.ndarray,
    footprint: Footprint,
    radius: float,
    spacing: tuple[float, float, float],
    flat: bool,
    threads: int,
) -> np.ndarray: ...
def tubed_skeleton(
    labels: np.ndarray,
    skeletons: Method | np.ndarray,
    keep_components: bool,
    radius: int,
    flat: bool,
    per_class: bool,
    ignore_index: int | None,
    num_classes: int,
    name: str,
    threads: int,
) -> tuple[np.ndarray, np.ndarray | None]: ...
def lee_statistics(volume: np.ndarray, threads: int) -> tuple[int, int, int]: ...
def available_instruction_sets() -> list[str]: ...
def use_instruction_set(name: str) -> None: ...
def instruction_set() -> str: ...
