"""`python -m tubeskel.nnunet` where nnU-Net is not installed."""

from __future__ import annotations

import importlib.util

import pytest

from tubeskel.nnunet import TRAINER_FOLDER
from tubeskel.nnunet.__main__ import main


def test_path_needs_no_nnunet(capsys):
    assert main(["path"]) == 0
    assert capsys.readouterr().out == f"{TRAINER_FOLDER}\n"
    assert [path.name for path in TRAINER_FOLDER.glob("*.py")] == ["tubeskel_trainers.py"]


@pytest.mark.skipif(
    importlib.util.find_spec("nnunetv2") is not None, reason="nnU-Net is installed here"
)
def test_check_without_nnunet(capsys):
    assert main(["check"]) == 1
    assert capsys.readouterr().err == ('nnU-Net is not installed: pip install "tubeskel[nnunet]"\n')
