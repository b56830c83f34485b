"""Thinning, dilation and tubed skeletons of binary images and label maps.

An array is whatever NumPy can read, a tensor on the CPU or a CUDA device, or a CuPy array. On a
device the work is queued on the current stream, and the host does not wait for it. So values that
are not allowed, such as NaN, cannot be refused there: they stop the device with a failed assertion.
With ``TUBESKEL_SYNC_CHECKS=1`` in the environment the host waits, and raises as it does elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ._arguments import as_choice, as_flag, as_integer, as_label, as_number, spatial_axes
from ._methods import Skeletonizer, method_for

_FOOTPRINTS = ("diamond", "box", "ball")


def _door_of(image: Any) -> ModuleType:
    """Return the door for this kind of input: tensors, CuPy arrays, or what NumPy can read."""
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(image, torch.Tensor):
        from . import _torch_ops

        return _torch_ops
    if cupy is not None and isinstance(image, cupy.ndarray):
        from . import _cupy_door

        return _cupy_door
    from . import _array_door

    return _array_door


def skeletonize(
    image: Any,
    *,
    method: str | Skeletonizer | None = None,
    spatial_dims: int | None = None,
    keep_components: bool = False,
) -> Any:
    """Compute the skeleton of a binary image or volume by thinning.

    Bit for bit the result of `skimage.morphology.skeletonize` (0.26). Its table for Zhang's method
    differs from the textbook's in 31 of 512 entries and thereby keeps every 8-connected component.

    Parameters
    ----------
    image : (..., M, N) or (..., P, M, N) array_like, tensor or cupy.ndarray of bool, int or float
        Nonzero is foreground. NaN is refused. What lies outside the image is background. Voxels
        count as cubes: thinning knows no spacing.
    method : {"zhang", "lee"} or callable, optional
        "zhang" [1]_ for 2D, the default there; "lee" [2]_ for 2D and 3D, the default in 3D. Or a
        function that makes the skeleton of a mask; see Notes.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; leading axes are a batch of images that are thinned
        independently. By default all axes are spatial.
    keep_components : bool
        Keep at least one voxel of every 26-connected component (8-connected in 2D). Lee's method
        deletes some small solid ones whole, a 2 x 2 x 2 cube for one; Zhang's deletes none.

    Returns
    -------
    ndarray, torch.Tensor or cupy.ndarray of bool
        The skeleton, of the shape of `image`: an array for an array (or list), a tensor for a
        tensor, a CuPy array for a CuPy array.

    Raises
    ------
    TypeError
        For complex, object or string images, or ones that are no array; for a function that
        returns no array of bools or integers.
    ValueError
        For an unknown method, "zhang" in 3D, a wrong number of axes, or NaN; for a function that
        returns another shape, or pixels outside the mask.

    See Also
    --------
    thin : thinning by the rules of Guo and Hall.
    tubed_skeleton : the skeleton widened to a tube.

    Notes
    -----
    A function for `method`, `skimage.morphology.medial_axis` or `tubeskel.thin` for example, is
    called for each image of the batch (in `tubed_skeleton` with ``per_class=True``, for each of
    its classes) that has foreground. It is given the mask and returns the skeleton, both NumPy
    arrays of one 2D or 3D shape, also where the images are tensors. The mask is of bool and a copy;
    the skeleton is of bool or integers, nonzero within the mask only. Its exceptions pass through.
    `torch.compile` breaks its graph at such a function.

    References
    ----------
    .. [1] T. Y. Zhang and C. Y. Suen, "A fast parallel algorithm for thinning digital patterns",
       Communications of the ACM 27(3), 236-239, 1984.
    .. [2] T.-C. Lee, R. L. Kashyap and C.-N. Chu, "Building skeleton models via 3-D medial
       surface/axis thinning algorithms", CVGIP 56(6), 462-478, 1994.

    Examples
    --------
    >>> import numpy as np, tubeskel
    >>> bar = np.zeros((5, 9), dtype=bool)
    >>> bar[1:4, 1:8] = True
    >>> tubeskel.skeletonize(bar).astype(int)
    array([[0, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 1, 0, 0],
           [0, 1, 1, 1, 1, 1, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    """
    door = _door_of(image)
    image = door.prepare("image", image)
    axes = spatial_axes("image", image.ndim, spatial_dims)
    as_flag("keep_components", keep_components)
    rules = method_for(method, axes)
    if isinstance(rules, str):
        return door.thin(image, axes, rules, door.UNTIL_STABLE, keep_components)
    tube, _ = door.tubed_skeleton(image, axes, rules, keep_components, 0, False, None, 0, "image")
    return tube != 0


def thin(image: Any, max_num_iter: float | None = None, *, spatial_dims: int | None = None) -> Any:
    """Thin a binary image by the rules of Guo and Hall [1]_.

    Bit for bit the result of `skimage.morphology.thin` (0.26).

    Parameters
    ----------
    image : (..., M, N) array_like, tensor or cupy.ndarray of bool, int or float
        Nonzero is foreground. NaN is refused.
    max_num_iter : int, optional
        Number of iterations after which to stop, each of two sub-iterations. None, 0 and infinity
        mean until nothing changes, as in scikit-image.
    spatial_dims : {2}, optional
        Says that leading axes are a batch; by default the image must be 2D.

    Returns
    -------
    (..., M, N) ndarray, torch.Tensor or cupy.ndarray of bool
        The thinned image, of the kind of `image`.

    Raises
    ------
    TypeError
        For images of another dtype, or a `max_num_iter` that is no integer.
    ValueError
        For an image that is not 2D, NaN, or a negative `max_num_iter`.

    See Also
    --------
    skeletonize : thinning by the rules of Zhang and Suen.

    References
    ----------
    .. [1] Z. Guo and R. W. Hall, "Parallel thinning with two-subiteration algorithms",
       Communications of the ACM 32(3), 359-373, 1989.

    Examples
    --------
    >>> import numpy as np, tubeskel
    >>> square = np.ones((5, 5), dtype=bool)
    >>> int(tubeskel.thin(square).sum()), int(tubeskel.thin(square, max_num_iter=1).sum())
    (1, 9)
    """
    door = _door_of(image)
    image = door.prepare("image", image)
    if spatial_axes("image", image.ndim, spatial_dims) != 2:
        raise ValueError(f"image must be 2D, got {image.ndim}D; for a batch say spatial_dims=2")
    iterations = door.UNTIL_STABLE
    if max_num_iter is not None and max_num_iter != np.inf:
        wanted = as_integer("max_num_iter", max_num_iter, minimum=0)
        iterations = min(wanted or iterations, iterations)
    return door.thin(image, 2, "guo_hall", iterations, False)


def dilate(
    image: Any,
    *,
    radius: float = 1,
    footprint: str = "diamond",
    spacing: Sequence[float] | None = None,
    spatial_dims: int | None = None,
) -> Any:
    """Dilate a binary image or volume.

    The result equals that of `skimage.morphology.dilation` with the footprint of this radius.

    Parameters
    ----------
    image : (..., M, N) or (..., P, M, N) array_like, tensor or cupy.ndarray of bool, int or float
        Nonzero is foreground. NaN is refused.
    radius : int, or float with `spacing`
        In pixels, or in the unit of `spacing`; at least 0. With 0 the image is only made boolean.
    footprint : {"diamond", "box", "ball"}
        Pixels within `radius` of the centre in the L1 ("diamond"), maximum ("box") or Euclidean
        ("ball") norm. A diamond of radius r is r passes of the cross.
    spacing : sequence of float, optional
        Distance of neighbouring pixels along each spatial axis, for anisotropic images; "ball"
        only.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; leading axes are a batch. By default all are spatial.

    Returns
    -------
    ndarray, torch.Tensor or cupy.ndarray of bool
        The dilated image, of shape and kind of `image`.

    Raises
    ------
    TypeError
        For images of another dtype, or a radius or spacing that is no number.
    ValueError
        For a wrong number of axes, NaN, a negative radius, an unknown footprint, a spacing that
        does not fit the axes or is not positive, or one with another footprint than "ball".

    Examples
    --------
    >>> import numpy as np, tubeskel
    >>> dot = np.zeros((5, 5), dtype=bool)
    >>> dot[2, 2] = True
    >>> tubeskel.dilate(dot, radius=2).astype(int)
    array([[0, 0, 1, 0, 0],
           [0, 1, 1, 1, 0],
           [1, 1, 1, 1, 1],
           [0, 1, 1, 1, 0],
           [0, 0, 1, 0, 0]])
    """
    door = _door_of(image)
    image = door.prepare("image", image)
    axes = spatial_axes("image", image.ndim, spatial_dims)
    as_choice("footprint", footprint, _FOOTPRINTS)
    steps = [1.0] * axes
    if spacing is None:
        radius = as_integer("radius", radius, minimum=0)
    else:
        if footprint != "ball":
            raise ValueError(f"spacing goes with footprint 'ball' only, got {footprint!r}")
        radius = as_number("radius", radius, minimum=0)
        steps = [as_number("spacing", step, above=0) for step in spacing]
        if len(steps) != axes:
            raise ValueError(f"spacing must have {axes} values, got {len(steps)}")
    reach = min(radius, sum(n * step for n, step in zip(image.shape[-axes:], steps, strict=True)))
    return door.dilate(image, axes, footprint, float(reach), (1.0, *steps)[-3:])


def tubed_skeleton(
    labels: Any,
    *,
    radius: int = 2,
    method: str | Skeletonizer | None = None,
    per_class: bool = False,
    ignore_index: int | None = None,
    keep_components: bool = False,
    spatial_dims: int | None = None,
) -> Any:
    """Widen the skeleton of the foreground to a tube that carries the labels.

    By default as the reference implementation of the Skeleton Recall Loss [1]_ does: the union of
    all classes is thinned, the skeleton dilated by a diamond (radius 2 is two passes of
    scikit-image's default dilation), and the result multiplied by the labels. So the tube is
    clipped to the mask and keeps the class of each pixel.

    Parameters
    ----------
    labels : (..., M, N) or (..., P, M, N) array_like, tensor or cupy.ndarray of bool, int or float
        A mask or label map; 0 is background.
    radius : int
        Of the tube, in pixels, at least 0.
    method : {"zhang", "lee"} or callable, optional
        As in `skeletonize`.
    per_class : bool
        Thin each class by itself. On nested classes the union loses the inner ones: of a ring
        around a disc only the skeleton of the filled disc is left.
    ignore_index : int, optional
        A label that is background here, and 0 in the tube.
    keep_components : bool
        As in `skeletonize`: no object leaves the tube.
    spatial_dims : {2, 3}, optional
        How many trailing axes are spatial; leading axes are a batch. By default all are spatial.

    Returns
    -------
    ndarray, torch.Tensor or cupy.ndarray
        The labels on the tube, 0 elsewhere; shape, dtype and kind of `labels`.

    Raises
    ------
    TypeError
        For labels of another dtype, options of a wrong type.
    ValueError
        For a wrong number of axes, NaN, a negative radius or an unknown method.

    See Also
    --------
    tubed_skeleton_and_counts : also counts the tube's pixels of each class.

    Notes
    -----
    With `per_class`, the classes of labels on a CUDA device are looked up before they are thinned,
    and the host waits for that; not so for labels of one byte, nor in `tubed_skeleton_and_counts`,
    which is told how many there are.

    References
    ----------
    .. [1] Y. Kirchhoff et al., "Skeleton Recall Loss for connectivity conserving and resource
       efficient segmentation of thin tubular structures", ECCV 2024.

    Examples
    --------
    >>> import numpy as np, tubeskel
    >>> labels = np.zeros((7, 9), dtype=np.uint8)
    >>> labels[:, 1:4], labels[:, 4:8] = 1, 2
    >>> tubeskel.tubed_skeleton(labels, radius=1)[3]
    array([0, 0, 1, 1, 2, 2, 0, 0, 0], dtype=uint8)
    """
    tube, _ = _tube(
        labels, radius, method, per_class, ignore_index, keep_components, spatial_dims, 0, "labels"
    )
    return tube


def tubed_skeleton_and_counts(
    labels: Any,
    num_classes: int,
    *,
    radius: int = 2,
    method: str | Skeletonizer | None = None,
    per_class: bool = False,
    ignore_index: int | None = None,
    keep_components: bool = False,
    spatial_dims: int | None = None,
) -> tuple[Any, Any]:
    """Return `tubed_skeleton` and how many of its pixels each class has.

    The counts are the denominators of the Skeleton Recall Loss and come with the same pass.

    Parameters
    ----------
    labels : (..., M, N) or (..., P, M, N) array_like, tensor or cupy.ndarray of bool or int
        Values 0 .. `num_classes` - 1, and `ignore_index`.
    num_classes : int
        Number of classes, background included; at least 2.
    radius, method, per_class, ignore_index, keep_components, spatial_dims
        As in `tubed_skeleton`.

    Returns
    -------
    tube : ndarray, torch.Tensor or cupy.ndarray
        As from `tubed_skeleton`.
    counts : (..., num_classes) ndarray, torch.Tensor or cupy.ndarray of int64
        Tube pixels of each class; 0 for the background.

    Raises
    ------
    TypeError, ValueError
        As `tubed_skeleton`; ValueError also for a label out of range.

    Examples
    --------
    >>> import numpy as np, tubeskel
    >>> line = np.eye(6, dtype=np.int64)
    >>> tube, counts = tubeskel.tubed_skeleton_and_counts(line, 2)
    >>> counts
    array([0, 6])
    """
    num_classes = as_integer("num_classes", num_classes, minimum=2)
    return _tube(
        labels,
        radius,
        method,
        per_class,
        ignore_index,
        keep_components,
        spatial_dims,
        num_classes,
        "labels",
    )


def _tube(
    labels: Any,
    radius: int,
    method: str | Skeletonizer | None,
    per_class: bool,
    ignore_index: int | None,
    keep_components: bool,
    spatial_dims: int | None,
    num_classes: int,
    name: str,
    **options: bool,
) -> tuple[Any, Any]:
    """Check the arguments and make the tube; `name` is what errors call the labels."""
    door = _door_of(labels)
    labels = door.prepare(name, labels)
    axes = spatial_axes(name, labels.ndim, spatial_dims)
    if num_classes and door.is_float(labels):
        raise TypeError(f"{name} must hold integers or bools, got {labels.dtype}")
    rules = method_for(method, axes)
    # A radius that reaches everywhere from anywhere is as good as any larger one.
    radius = min(as_integer("radius", radius, minimum=0), sum(labels.shape[-axes:]))
    ignore_index = as_label("ignore_index", ignore_index)
    return door.tubed_skeleton(
        labels,
        axes,
        rules,
        as_flag("keep_components", keep_components),
        radius,
        as_flag("per_class", per_class),
        ignore_index,
        num_classes,
        name,
        **options,
    )
