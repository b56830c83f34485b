"""The float exponential of csrc/core/srl.h."""

from __future__ import annotations

import math

import numpy as np
import pytest

POINTS = ("0", "1", "-1", "87", "-87", "88", "89", "1e30", "inf", "-88", "-1e30", "-inf", "nan")


# With -march=native the compiler may fuse multiplications and additions.
@pytest.fixture(scope="module", params=["-O0", "-O2", "-march=native"])
def printed(request, compiled):
    options = [request.param] if request.param.startswith("-O") else ["-O2", request.param]
    lines = compiled("exponential.cpp", *options, arguments=POINTS).splitlines()
    return float(lines[0]), dict(zip(POINTS, map(float, lines[1:]), strict=True))


def test_within_two_units_in_the_last_place(printed):
    worst, _ = printed
    assert worst <= 2


def test_exact_at_zero(printed):
    assert printed[1]["0"] == 1


def test_clamps_instead_of_overflowing(printed):
    _, values = printed
    assert values["89"] == values["1e30"] == values["inf"] == values["88"]
    assert values["-88"] == values["-1e30"] == values["-inf"] == values["-87"]
    assert math.isclose(values["88"], math.exp(88), rel_tol=1e-6)
    assert np.finfo(np.float32).tiny <= values["-87"] < 2e-38


def test_nan_stays(printed):
    assert math.isnan(printed[1]["nan"])
