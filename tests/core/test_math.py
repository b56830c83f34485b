"""The float exponential and logarithm of csrc/core/math.h."""

from __future__ import annotations

import math

import numpy as np
import pytest

POINTS = {
    "exp": ["0", "1", "-1", "87", "-87", "88", "89", "1e30", "inf", "-88", "-1e30", "-inf", "nan"],
    "log": ["1", "2", "1.0000001", "1e30", "inf", "nan"],
}


# With -march=native the compiler may fuse multiplications and additions.
@pytest.fixture(scope="module", params=["-O0", "-O2", "-march=native"])
def printed(request, compiled):
    options = [request.param] if request.param.startswith("-O") else ["-O2", request.param]

    def of(function):
        points = POINTS[function]
        lines = compiled("math.cpp", *options, arguments=(function, *points)).splitlines()
        return float(lines[0]), dict(zip(points, map(float, lines[1:]), strict=True))

    return of


@pytest.mark.parametrize("function", POINTS)
def test_within_two_units_in_the_last_place(printed, function):
    worst, _ = printed(function)
    assert worst <= 2


@pytest.mark.parametrize("function", POINTS)
def test_nan_stays(printed, function):
    assert math.isnan(printed(function)[1]["nan"])


def test_the_exponential_clamps_instead_of_overflowing(printed):
    _, values = printed("exp")
    assert values["0"] == 1
    assert values["89"] == values["1e30"] == values["inf"] == values["88"]
    assert values["-88"] == values["-1e30"] == values["-inf"] == values["-87"]
    assert math.isclose(values["88"], math.exp(88), rel_tol=1e-6)
    assert np.finfo(np.float32).tiny <= values["-87"] < 2e-38


def test_the_logarithm_near_one_and_of_infinity(printed):
    _, values = printed("log")
    assert values["1"] == 0
    assert math.isclose(values["1.0000001"], math.log(1 + 2**-23), rel_tol=1e-6)
    assert values["inf"] == math.inf
