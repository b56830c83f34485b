"""The circuits of csrc/core/deletion_rules.h on all 256 neighbourhoods."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.morphology import skeletonize, thin
from skimage.morphology._skeletonize import G123_LUT, G123P_LUT

# 1 deletes in the first sub-iteration, 2 in the second, 3 in both; bit i of the position stands for
# neighbour i of ZHANG_ORDER. scikit-image keeps its table to itself: that this is the one is shown
# below, by thinning with it.
ZHANG = [
    int(digit)
    for digit in "0001001300311013000000002020303300000000300000000000000020003022"
    "0000000000000000000000000000000020000000200020003000000030003020"
    "0031001300000001000000000000000131000000000000002000000000000000"
    "2313001300000001000000000000000023010001000000003301000022002000"
]
ZHANG_ORDER = ("nw", "n", "ne", "e", "se", "s", "sw", "w")
GUO_HALL_ORDER = ("e", "ne", "n", "nw", "w", "sw", "s", "se")
OFFSETS = {
    "nw": (-1, -1), "n": (-1, 0), "ne": (-1, 1), "e": (0, 1),
    "se": (1, 1), "s": (1, 0), "sw": (1, -1), "w": (0, -1),
}  # fmt: skip
TABLES = {
    "zhang_first": (ZHANG_ORDER, np.isin(ZHANG, (1, 3))),
    "zhang_second": (ZHANG_ORDER, np.isin(ZHANG, (2, 3))),
    "guo_hall_first": (GUO_HALL_ORDER, G123_LUT.astype(bool)),
    "guo_hall_second": (GUO_HALL_ORDER, G123P_LUT.astype(bool)),
}


@pytest.fixture(scope="module")
def circuits(compiled):
    lines = (line.split() for line in compiled("deletion_rules.cpp", "-O1").splitlines())
    return {(name, word): digits for name, word, digits in lines}


@pytest.mark.parametrize("word", ["32", "64", "vector"])
@pytest.mark.parametrize("rule", TABLES)
def test_circuit_equals_the_table_of_scikit_image(circuits, rule, word):
    order, table = TABLES[rule]
    expected = []
    for index in range(256):
        present = {name for bit, name in enumerate(ZHANG_ORDER) if index >> bit & 1}
        expected.append(table[sum(1 << bit for bit, name in enumerate(order) if name in present)])
    assert [int(digit) for digit in circuits[rule, word]] == list(map(int, expected))


def sub_iteration(image: np.ndarray, order: tuple[str, ...], table: np.ndarray) -> np.ndarray:
    """Delete, all at once, what the table says; pixels outside are background."""
    padded = np.pad(image, 1)
    index = np.zeros(image.shape, dtype=int)
    rows, columns = image.shape
    for bit, name in enumerate(order):
        dy, dx = OFFSETS[name]
        index |= padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns].astype(int) << bit
    return image & ~table[index]


def thin_by_tables(image: np.ndarray, first: str, second: str) -> np.ndarray:
    while True:
        after = sub_iteration(sub_iteration(image, *TABLES[first]), *TABLES[second])
        if np.array_equal(after, image):
            return after
        image = after


def all_images_of_4_by_4() -> np.ndarray:
    """Every 4 x 4 image once, with background between them."""
    bits = (np.arange(1 << 16)[:, None] >> np.arange(16) & 1).astype(bool)
    tiles = np.pad(bits.reshape(256, 256, 4, 4), [(0, 0), (0, 0), (1, 1), (1, 1)])
    return tiles.transpose(0, 2, 1, 3).reshape(256 * 6, 256 * 6)


@pytest.mark.parametrize("image", ["exhaustive", 0.5, 0.8, 0.95])
def test_the_tables_are_those_scikit_image_thins_with(image):
    if image == "exhaustive":
        image = all_images_of_4_by_4()
    else:
        image = np.random.default_rng(1).random((150, 130)) < image
    assert np.array_equal(thin_by_tables(image, "zhang_first", "zhang_second"), skeletonize(image))
    assert np.array_equal(thin_by_tables(image, "guo_hall_first", "guo_hall_second"), thin(image))


def test_planes_hold_the_neighbours_of_each_pixel(compiled):
    assert compiled("neighbours.cpp", "-O1") == "0\n"
