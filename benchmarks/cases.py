"""What the operations work on: one definition for the command line and the pytest suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trees import diagonal_bars, tubes_3d, vessel_tree, vessel_tubes

DATA = Path(__file__).parents[2] / "shared" / "data"


class Unavailable(Exception):
    """A case or a peer that this machine lacks; its text says what is missing."""


@dataclass(frozen=True)
class Case:
    """Inputs that are worked on one after the other and timed as one.

    ``listed`` cases enter the geometric means, the others have targets of their own; ``quick`` ones
    also run under ``--quick``, then on their first input only.
    """

    name: str
    load: Callable[[], list[Any]]
    listed: bool = True
    quick: bool = True


def _masks_on_disk(
    pattern: str,
    number: int | None = None,
    *,
    read: Callable[[Path], NDArray[Any]],
    to_mask: Callable[[NDArray[Any]], NDArray[np.bool_]] = lambda labels: labels > 0,
) -> list[NDArray[np.bool_]]:
    """Read the first ``number`` masks that match, or all, below ../shared/data."""
    paths = sorted(DATA.glob(pattern))[:number]
    if not paths:
        raise Unavailable(f"no ../shared/data/{pattern}")
    try:
        return [np.ascontiguousarray(to_mask(read(path))) for path in paths]
    except ImportError as error:
        raise Unavailable(f"{error.name} is not installed") from None


def _image(path: Path) -> NDArray[Any]:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def _stack(path: Path) -> NDArray[Any]:
    from PIL import Image, ImageSequence

    with Image.open(path) as pages:
        return np.stack([np.asarray(page) for page in ImageSequence.Iterator(pages)])


def _nifti(path: Path) -> NDArray[Any]:
    from nibabel.nifti1 import Nifti1Image

    # x varies fastest in the file: transposed it is the (D, H, W) that training code works on
    return np.asarray(Nifti1Image.from_filename(path).dataobj).T


def _horse(size: int) -> list[NDArray[np.bool_]]:
    """Return scikit-image's horse, enlarged by nearest neighbours: one thick shape."""
    try:
        from skimage import data, transform
    except ImportError:
        raise Unavailable("scikit-image is not installed") from None
    return [transform.resize(~data.horse(), (size, size), order=0, anti_aliasing=False)]


def _random(size: int, share: float) -> list[NDArray[np.bool_]]:
    return [np.random.default_rng(0).random((size, size)) < share]


def _trees(size: int, number: int = 1) -> list[NDArray[np.bool_]]:
    return [vessel_tree(size, seed=seed) for seed in range(number)]


def _tubes(size: int) -> list[NDArray[np.bool_]]:
    return [vessel_tubes(size)]


def _blobs(size: int, dims: int, sigma: float) -> list[NDArray[np.bool_]]:
    """Return smoothed noise cut at its mean: half of it foreground, many pixels thick."""
    from scipy import ndimage

    noise = np.random.default_rng(0).random((size,) * dims)
    return [ndimage.gaussian_filter(noise, sigma) > 0.5]


def _noise(size: int) -> list[NDArray[np.bool_]]:
    return [np.random.default_rng(0).random((size,) * 3) < 0.5]


def _bars(size: int, dims: int) -> list[NDArray[np.bool_]]:
    """Return four long bars across each side: the border moves everywhere, along no axis."""
    return [diagonal_bars(size, dims, width=max(1, size // 8), number=4)]


def _solid(size: int, dims: int) -> list[NDArray[np.bool_]]:
    """Return a square or cube that fills most of the image: as many iterations as can be."""
    margin = size // 16
    return [np.pad(np.ones((size - 2 * margin,) * dims, bool), margin)]


MASKS = (
    Case("tree-512", partial(_trees, 512, 4), listed=False),
    Case("tree-2048", partial(_trees, 2048), listed=False, quick=False),
    Case("tree-8192", partial(_trees, 8192), listed=False, quick=False),
    Case("topomortar", partial(_masks_on_disk, "TopoMortar/test/accurate/*.png", 10, read=_image)),
    Case(
        "uav75",
        partial(
            _masks_on_disk,
            "UAV75/test_lab/*.png",
            10,
            read=_image,
            to_mask=lambda labels: labels[..., 0] == 255,
        ),
    ),
    Case("hrf", partial(_masks_on_disk, "HRF/*/1st_manual/*.png", 2, read=_image), quick=False),
    Case("horse-1024", partial(_horse, 1024)),
    Case("horse-4096", partial(_horse, 4096), quick=False),
    Case("random-0.5", partial(_random, 512, 0.5)),
    Case("random-0.7", partial(_random, 512, 0.7)),
    Case("random-0.9", partial(_random, 512, 0.9)),
    Case("blobs-512", partial(_blobs, 512, 2, 8), listed=False),
    Case("bars-512", partial(_bars, 512, 2), listed=False),
    Case("square-512", partial(_solid, 512, 2), listed=False),
)

VOLUMES = (
    Case("vesselnn", partial(_masks_on_disk, "vesselNN/labels/*.tif", read=_stack)),
    Case("topcow", partial(_masks_on_disk, "TopCoW_roi_labels/*.nii.gz", read=_nifti)),
    Case("tubes-64", partial(_tubes, 64), listed=False),
    Case("tubes-256", partial(_tubes, 256), quick=False),
    Case("tubes-512", partial(_tubes, 512), listed=False, quick=False),
    Case("blobs-128", partial(_blobs, 128, 3, 5), listed=False),
    Case("noise-64", partial(_noise, 64), listed=False),
    Case("noise-128", partial(_noise, 128), listed=False, quick=False),
    Case("bars-64", partial(_bars, 64, 3), listed=False),
    Case("cube-64", partial(_solid, 64, 3), listed=False),
)


@dataclass(frozen=True)
class LossInput:
    """What a loss sees in one training step.

    ``logits`` (B, C, *S) float32 with requires_grad, ``target`` and ``tube`` (B, *S) int16, as
    nnU-Net's data loader has them, or int64.
    """

    logits: Any
    target: Any
    tube: Any


def _loss_input(target: NDArray[Any], tube: NDArray[Any], classes: int) -> list[Any]:
    try:
        import torch
    except ImportError:
        raise Unavailable("torch is not installed") from None
    shape = (len(target), classes, *target.shape[1:])
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    return [LossInput(logits, torch.from_numpy(target), torch.from_numpy(tube))]


def _loss_2d(batch: int, size: int, dtype: type = np.int16) -> list[Any]:
    import tubeskel

    target: NDArray[Any] = np.stack([vessel_tree(size, seed=seed) for seed in range(batch)]).astype(
        dtype
    )
    return _loss_input(target, tubeskel.tubed_skeleton(target, spatial_dims=2), 2)


def _loss_3d(batch: int, size: int, classes: int) -> list[Any]:
    def tubes(radius: int) -> NDArray[np.int16]:
        volumes = [tubes_3d((size,) * 3, classes, radius=radius, seed=s) for s in range(batch)]
        return np.stack(volumes).astype(np.int16)

    target, tube = tubes(4), tubes(2)
    return _loss_input(target, np.where(tube == target, tube, np.int16(0)), classes)


def _loss_tubes(batch: int, size: int) -> list[Any]:
    """Return two classes in 3D: capillaries, with their tubes."""
    import tubeskel

    target: NDArray[Any] = np.stack([vessel_tubes(size, seed=seed) for seed in range(batch)])
    target = target.astype(np.int16)
    return _loss_input(target, tubeskel.tubed_skeleton(target, spatial_dims=3), 2)


LOSSES = (
    Case("12x2x512x512", partial(_loss_2d, 12, 512)),
    Case("2x14x96x96x96", partial(_loss_3d, 2, 96, 14)),
    Case("2x14x128x128x128", partial(_loss_3d, 2, 128, 14), quick=False),
    Case("12x2x512x512-int64", partial(_loss_2d, 12, 512, np.int64), listed=False, quick=False),
    Case("2x2x64x64", partial(_loss_2d, 2, 64), listed=False),
)


CLDICE = (
    Case("4x2x256x256", partial(_loss_2d, 4, 256)),
    Case("1x2x96x96x96", partial(_loss_tubes, 1, 96)),
    Case("2x2x64x64", partial(_loss_2d, 2, 64), listed=False),
)


@dataclass(frozen=True)
class StepInput:
    """A training step: a network, its optimizer, a batch, and logits like the network's.

    ``images`` (B, 1, *S) and ``logits`` (B, C, *S) float32, the latter with requires_grad;
    ``target`` (B, *S) int16.
    """

    network: Any
    optimizer: Any
    images: Any
    target: Any
    logits: Any


def _step(make: Callable[[], list[LossInput]], filters: tuple[int, ...]) -> list[Any]:
    """Return a step of MONAI's DynUNet, set up as nnU-Net's plain U-Net, on the input of a loss."""
    try:
        import torch
        from monai.networks.nets import DynUNet
    except ImportError as error:
        raise Unavailable(f"{error.name} is not installed") from None
    (item,) = make()
    stages = len(filters)
    torch.manual_seed(0)
    network = DynUNet(
        spatial_dims=item.target.ndim - 1,
        in_channels=1,
        out_channels=item.logits.shape[1],
        kernel_size=[3] * stages,
        strides=[1] + [2] * (stages - 1),
        upsample_kernel_size=[2] * (stages - 1),
        filters=filters,
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.99, nesterov=True)
    images = item.target[:, None] + torch.randn((len(item.target), 1, *item.target.shape[1:]))
    return [StepInput(network, optimizer, images, item.target, item.logits)]


PLAIN_2D = (32, 64, 128, 256, 512, 512, 512, 512)
PLAIN_3D = (32, 64, 128, 256, 320)

STEPS = (
    Case("2d-4x64x64", partial(_step, partial(_loss_2d, 4, 64), (8, 16, 32)), listed=False),
    Case("2d-12x512x512", partial(_step, partial(_loss_2d, 12, 512), PLAIN_2D), quick=False),
    Case("3d-2x96x96x96", partial(_step, partial(_loss_tubes, 2, 96), PLAIN_3D), quick=False),
)

SUITES = {
    "masks": MASKS,
    "volumes": VOLUMES,
    "losses": LOSSES,
    "cldice": CLDICE,
    "steps": STEPS,
}

# what can be generated in any size, which --sizes asks for
FAMILIES: dict[str, dict[str, Callable[[int], list[Any]]]] = {
    "masks": {
        "tree": _trees,
        "horse": _horse,
        "random-0.5": partial(_random, share=0.5),
        "blobs": partial(_blobs, dims=2, sigma=8),
        "bars": partial(_bars, dims=2),
        "square": partial(_solid, dims=2),
    },
    "volumes": {
        "tubes": _tubes,
        "noise": _noise,
        "blobs": partial(_blobs, dims=3, sigma=5),
        "bars": partial(_bars, dims=3),
        "cube": partial(_solid, dims=3),
    },
    "losses": {"2d-batch": partial(_loss_2d, 12), "3d-batch": partial(_loss_tubes, 2)},
    "cldice": {"2d-batch": partial(_loss_2d, 4), "3d-batch": partial(_loss_tubes, 1)},
    "steps": {},
}


def cases_of(suite: str, sizes: Sequence[int] = ()) -> tuple[Case, ...]:
    """Return the cases of a suite; with sizes, its families at these sizes instead."""
    if not sizes:
        return SUITES[suite]
    return tuple(
        Case(f"{name}-{size}", partial(make, size), listed=False)
        for name, make in FAMILIES[suite].items()
        for size in sizes
    )


def find_case(suite: str, name: str) -> Case:
    """Return a case of a suite by name, also one of a family at any size."""
    size = name.rpartition("-")[2]
    sized = cases_of(suite, (int(size),)) if size.isdecimal() else ()
    return next(case for case in (*SUITES[suite], *sized) if case.name == name)
