"""Calls every op on CUDA tensors, small and awkward ones, and compares with the CPU.

Not a test by itself: compute-sanitizer runs it. Tensors are made on the CPU and copied, so that
hardly any kernels but tubeskel's are launched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import tubeskel
from tubeskel import _torch_ops  # loads the ops

pack_bits = _torch_ops._ops.pack_bits


def compare(name: str, cpu: torch.Tensor, gpu: torch.Tensor) -> None:
    if cpu.is_floating_point():
        torch.testing.assert_close(gpu.cpu(), cpu, rtol=1e-4, atol=1e-6)
    elif not torch.equal(gpu.cpu(), cpu):
        raise SystemExit(f"{name} on {tuple(cpu.shape)}: the GPU's result differs from the CPU's")


def masks(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Thick shapes with noise."""
    generator = torch.Generator().manual_seed(sum(shape))
    noise = torch.rand(shape, generator=generator)
    return (torch.nn.functional.avg_pool1d(noise.flatten(1), 9, 1, 4).view(shape) > 0.45).to(dtype)


def morphology() -> None:
    shapes = [(2, 1, 1), (3, 33, 65), (1, 70, 129), (2, 200, 300)]
    for shape in shapes:
        for dtype in (torch.bool, torch.uint8, torch.int64, torch.float32):
            image = masks(shape, dtype)
            compare("pack_bits", pack_bits(image), pack_bits(image.cuda()))
            compare("pack_bits", pack_bits(image[1:]), pack_bits(image.cuda()[1:]))
        for function in (
            lambda x: tubeskel.skeletonize(x, method="zhang", spatial_dims=2),
            lambda x: tubeskel.skeletonize(x, method="lee", spatial_dims=2),
            lambda x: tubeskel.thin(x, spatial_dims=2),
            lambda x: tubeskel.thin(x, 2, spatial_dims=2),
            lambda x: tubeskel.dilate(x, radius=2, footprint="diamond", spatial_dims=2),
            lambda x: tubeskel.dilate(x, radius=2, footprint="box", spatial_dims=2),
            lambda x: tubeskel.dilate(x, radius=3, footprint="ball", spatial_dims=2),
            lambda x: tubeskel.tubed_skeleton(x, spatial_dims=2),
            lambda x: tubeskel.tubed_skeleton(x, per_class=True, ignore_index=1, spatial_dims=2),
            lambda x: tubeskel.tubed_skeleton(x, keep_components=True, spatial_dims=2),
        ):
            image = masks(shape, torch.uint8) * 2
            image[:, ::2] //= 2  # classes 1 and 2
            compare("morphology", function(image), function(image.cuda()))
    for shape in [(1, 2, 3, 4), (2, 9, 10, 35), (1, 20, 40, 70)]:
        for function in (
            lambda x: tubeskel.skeletonize(x, spatial_dims=3),
            lambda x: tubeskel.dilate(x, radius=2, footprint="ball", spatial_dims=3),
            lambda x: tubeskel.dilate(x, radius=19, footprint="box", spatial_dims=3),  # in parts
            lambda x: tubeskel.tubed_skeleton(x, keep_components=True, spatial_dims=3),
            lambda x: counts(x, 2),
            lambda x: counts(x, 3000),  # too many for a block
        ):
            image = masks(shape, torch.int16)
            compare("morphology", function(image), function(image.cuda()))
    for shape in [(1, 300, 1900), (12, 60, 800)]:  # too large for a block by Lee's method
        image = masks(shape, torch.uint8)
        compare("lee", lee(image), lee(image.cuda()))


def lee(image: torch.Tensor) -> torch.Tensor:
    return tubeskel.skeletonize(image, method="lee", keep_components=True, spatial_dims=3)


def counts(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    return tubeskel.tubed_skeleton_and_counts(labels, num_classes, spatial_dims=3)[1]


def losses() -> None:
    for pixels in (1, 77, 4112):
        for channels in (2, 3, 14, 300):
            for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
                if channels == 300 and pixels > 77:
                    continue
                logits = torch.randn(2, channels, pixels).to(dtype)
                tube = torch.randint(0, channels, (2, pixels)) * (torch.rand(2, pixels) < 0.4)
                loss("softmax", logits, tube, tube)
        logits, tube = torch.randn(2, 3, pixels), torch.randint(0, 2, (2, 3, pixels))
        loss("sigmoid", logits, tube.short(), tube)


def loss(activation: str, logits: torch.Tensor, tube: torch.Tensor, target: torch.Tensor) -> None:
    labels = {"tube": tube, "target": target}
    both(tubeskel.srl_loss, logits, labels, activation=activation, smooth=1.0)
    for options in (
        {"recall": "tversky", "ignore_index": 1, "alpha": 2.0},
        {"recall": "log", "batch": False, "label_smoothing": 0.1, "recall_smooth": 1.0},
    ):
        both(tubeskel.dice_ce_srl_loss, logits, labels, activation=activation, **options)


def soft_cldice() -> None:
    for shape in [(1, 1), (1, 70), (33, 65), (1, 2, 3), (9, 10, 35)]:
        for channels in (2, 3):
            logits = torch.randn(2, channels, *shape, dtype=torch.float64)
            labels = {"target": torch.randint(0, channels, (2, *shape), dtype=torch.int16)}
            for options in ({"iterations": 4}, {"include_background": True, "ignore_index": 1}):
                both(tubeskel.soft_cldice_loss, logits, labels, **options)
            labels = {"target": torch.randint(0, 2, logits.shape, dtype=torch.uint8)}
            both(tubeskel.soft_cldice_loss, logits, labels, activation="sigmoid", iterations=1)


def both(
    function: Callable[..., torch.Tensor],
    logits: torch.Tensor,
    labels: dict[str, torch.Tensor],
    **options: Any,
) -> None:
    """Compare value and gradient of a loss."""
    found = []
    for device in ("cpu", "cuda"):
        z = logits.to(device).requires_grad_()
        on_device = {name: tensor.to(device) for name, tensor in labels.items()}
        value = function(z, **on_device, **options)
        found.append((value.detach(), torch.autograd.grad(value, z)[0].float().cpu()))
    compare(f"{function.__name__}, {options}", found[0][0].float(), found[1][0].float())
    tolerance = 1e-5 if logits.dtype in (torch.float32, torch.float64) else 1e-2
    largest = found[0][1].abs().max().item()
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0, atol=tolerance * largest + 1e-7)


if __name__ == "__main__":
    torch.manual_seed(0)
    morphology()
    losses()
    soft_cldice()
    torch.cuda.synchronize()
    print("every op was called")
