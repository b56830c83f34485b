"""The examples of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tubeskel

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(tubeskel.__path__, "tubeskel.")
    if info.name.rpartition(".")[2]
    not in {"__main__", "_array", "_cupy_door", "_torch", "srl_loss", "trainers"}
)


@pytest.mark.parametrize("name", ["tubeskel", *MODULES])
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize(
    "name",
    [n for n in tubeskel.__all__ if n not in {"__version__", "gradients", "losses", "metrics"}],
)
def test_every_public_function_has_an_example_unless_trivial(name):
    examples = doctest.DocTestFinder(recurse=False).find(getattr(tubeskel, name))
    assert any(test.examples for test in examples) or name == "get_num_threads"
