"""What a wheel holds: every package and data file of the source tree."""

from __future__ import annotations

import sys

import pytest
from setuptools import find_packages

if sys.version_info >= (3, 11):
    import tomllib
else:
    pytest.skip("tomllib is there from Python 3.11 on", allow_module_level=True)


def test_every_package_and_the_folder_of_trainers(repository):
    tools = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = find_packages(str(repository), include=["tubeskel", "tubeskel.*"])
    assert sorted(tools["packages"]) == sorted(found)
    (pattern,) = tools["package-data"]["tubeskel.nnunet"]
    files = [path.name for path in (repository / "tubeskel" / "nnunet").glob(pattern)]
    assert files == ["tubeskel_trainers.py"]
