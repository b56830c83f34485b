"""The paper's protocol: its configs expand into the jobs, networks and losses that it asks for."""

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import torch

from experiments.batches import BatchStream, Store
from experiments.config import load
from experiments.data import splits
from experiments.losses import ArmLoss
from experiments.networks import build_network, training_outputs
from experiments.run_folder import RunFolder

CONFIGS = sorted(
    (Path(__file__).resolve().parents[2] / "experiments" / "configs").glob("paper_*.yaml")
)
RNG = np.random.default_rng(0)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, array)


def photograph():
    return RNG.integers(0, 200, (40, 48, 3), dtype=np.uint8)


def stripes(*values):
    """Lines of these values, three pixels thick, on a ground of 0."""
    array = np.zeros((40, 48), np.uint8)
    for place, value in enumerate(values):
        array[5 + 10 * place : 8 + 10 * place] = value
    return array


def drive(root):
    for n in range(21, 26):
        save(root / f"training/images/{n}_training.tif", photograph())
        save(root / f"training/1st_manual/{n}_manual1.gif", stripes(255))
        save(root / f"training/mask/{n}_training_mask.gif", np.full((40, 48), 255, np.uint8))


def cracks(root):
    for n in range(5):
        save(root / f"images/{n}.jpg", photograph())
        save(root / f"masks/{n}.png", stripes(255))


def bombr(root):
    for n in range(5):
        part = "test" if n == 4 else "train"
        save(root / f"images/{part}/{n}.jpg", photograph())
        save(root / f"masks/{part}/{n}.png", (stripes(2, 3, 1) + 2) % 4)  # 0, 1, 3 on 2


def acdc(root):
    for n in range(1, 6):
        for frame in ("frame01", "frame12"):
            for ending, array in (
                ("", RNG.integers(0, 300, (6, 40, 48), dtype=np.int16)),
                ("_gt", np.stack([stripes(1, 2, 3)] * 6)),
            ):
                path = root / f"patient{n:03d}/patient{n:03d}_{frame}{ending}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                affine = np.diag([1.5, 1.5, 10, 1])
                nibabel.save(nibabel.Nifti1Image(array.T, affine), path)


WRITERS = {"drive": drive, "cracks": cracks, "bombr": bombr, "acdc": acdc}


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request, tmp_path):
    """A config of the repository, with files in the published layout."""
    found = load(request.param)
    root = tmp_path / "data"
    WRITERS[found.data.name](root)
    data = replace(found.data, root=str(root))
    return replace(found, data=data, out=str(tmp_path / "run"))


def test_the_jobs_are_five_arms_on_five_folds(config):
    folder = RunFolder.create(config)
    assert len(folder.jobs()) == 25
    assert folder.config.baseline == "dice_ce"
    parts = splits(config.data.load(), config.data.folds)
    assert len(parts) == 5
    for part in parts:
        groups = [{s.group or s.id for s in side} for side in (part.train, part.test)]
        assert (len(groups[0]), len(groups[1])) == (4, 1)
        assert groups[0].isdisjoint(groups[1])


def test_the_schedule_is_nnunets(config):
    train = config.train
    assert (train.iterations, train.learning_rate, train.momentum) == (250_000, 0.01, 0.99)
    assert (train.weight_decay, train.foreground) == (3e-5, 0.33)
    assert config.mirror


def test_the_public_arm_keeps_the_weight_of_the_first_of_all_outputs(config):
    sample = config.data.load().samples[0]
    axes = len(config.train.crop)
    spacing = sample.spacing or (1.0,) * axes
    with torch.device("meta"):  # of full size, without its memory
        network = build_network(config.network, config.train.crop, 1, 2, 0, 0, spacing)
    outputs = 1 + network.deep_supr_num
    assert network.deep_supervision
    assert len(network.filters) == {2: 8, 3: 6}[axes]
    public = config.arms["dice_ce_srl_public"]
    assert public.scale == pytest.approx(1 / sum(0.5**i for i in range(outputs)), abs=1e-3)
    assert not public.deep_supervision


def test_every_arm_does_a_step(config):
    """On crops that a CPU can do, with fewer channels."""
    crop = (8, 32, 32) if len(config.train.crop) == 3 else (32, 32)
    settings = replace(config.train, crop=crop, batch_size=2)
    small = replace(config.network, width=2)
    dataset = config.data.load()
    store = Store(dataset.samples, torch.device("cpu"))
    image, target = BatchStream(store, settings, config.augment, 0, 0).batch(0)
    network = build_network(
        small, crop, image.shape[1], len(dataset.classes), 0, 0, tuple(store.spacings[0])
    )
    outputs = training_outputs(network.train(), image, small.head_size)
    assert len(outputs) > 1
    values = []
    for arm in config.arms.values():
        loss = ArmLoss(arm, small.head_weights, config.terms)(outputs, target)
        values.append(loss.item())
        gradients = torch.autograd.grad(loss, list(outputs), retain_graph=True, allow_unused=True)
        used = [gradient is not None for gradient in gradients]
        assert used == [True] + [arm.deep_supervision] * (len(outputs) - 1)
        assert all(g.isfinite().all() for g in gradients if g is not None)
    assert len({round(value, 5) for value in values}) == len(values)
