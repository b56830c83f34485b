"""Who else scores topology: clDice by scikit-image's skeletons, Betti numbers by several."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.peer import SKIMAGE, Function, Peer


def _skimage_cldice(morphology: Any, threads: int) -> Function:
    def inside(skeleton: Any, mask: Any) -> float:
        return (skeleton & mask).sum() / max(skeleton.sum(), 1)  # Lee can delete a solid whole

    def cldice(pair: Any) -> float:
        prediction, target = pair
        precision = inside(morphology.skeletonize(prediction), target)
        sensitivity = inside(morphology.skeletonize(target), prediction)
        return float(2 * precision * sensitivity / max(precision + sensitivity, 1e-12))

    return cldice


def _gudhi_betti(gudhi: Any, threads: int) -> Function:
    def betti(mask: Any) -> Any:
        cells = gudhi.CubicalComplex(top_dimensional_cells=np.where(mask, 0.0, 1.0))
        cells.compute_persistence()
        return np.array(cells.persistent_betti_numbers(0, 0)[: mask.ndim])

    return betti


def _cc3d_betti(cc3d: Any, threads: int) -> Function:
    from skimage import measure

    def betti(mask: Any) -> Any:
        flat = mask.ndim == 2
        components = _parts(cc3d, mask, 8 if flat else 26)
        enclosed = _parts(cc3d, ~np.pad(mask, 1), 4 if flat else 6) - 1
        if flat:
            return np.array([components, enclosed])
        euler = measure.euler_number(mask, connectivity=3)
        return np.array([components, components + enclosed - euler, enclosed])

    return betti


def _parts(cc3d: Any, mask: Any, connectivity: int) -> int:
    return int(cc3d.connected_components(mask, connectivity=connectivity, return_N=True)[1])


PEERS = tuple(
    peer
    for dims in ("", "_3d")
    for peer in (
        Peer(
            *("scikit-image", f"cldice{dims}", "skeletonize both, count", *SKIMAGE),
            _skimage_cldice,
            target_least=10,
        ),
        Peer(
            *("gudhi", f"betti_numbers{dims}", "persistence of a cubical complex"),
            *("gudhi", "gudhi", _gudhi_betti),
            quick=not dims,  # minutes on a volume
        ),
        Peer(
            *("cc3d", f"betti_numbers{dims}", "components of mask and background, Euler number"),
            *("cc3d", "connected-components-3d", _cc3d_betti),
        ),
    )
)
