"""What `import tubeskel` loads, and how the loss is found."""

from __future__ import annotations

import importlib.resources
import re

import pytest

import tubeskel

THIRD_PARTY = """
import sys
def third_party():
    names = {name.partition(".")[0] for name in sys.modules}
    known = set(sys.stdlib_module_names) | set(sys.builtin_module_names) | before
    return sorted(name for name in names - known if not name.startswith("_"))
before = {name.partition(".")[0] for name in sys.modules}
"""


def test_import_loads_numpy_only(python):
    code = THIRD_PARTY + "import tubeskel; print(third_party())"
    assert python(code) == "['numpy', 'tubeskel']\n"


def test_work_on_arrays_and_the_configuration_do_not_load_torch(python):
    code = """
import contextlib, io, sys, numpy, tubeskel
image = numpy.eye(9, dtype=numpy.uint8)
tubeskel.skeletonize(image), tubeskel.thin(image), tubeskel.dilate(image)
tubeskel.tubed_skeleton_and_counts(image, 2)
tubeskel.set_num_threads(2)
with contextlib.redirect_stdout(io.StringIO()):
    tubeskel.show_config()
print([name for name in ("torch", "scipy", "skimage") if name in sys.modules])
"""
    assert python(code) == "[]\n"


def test_arrays_need_no_torch_installed(python):
    code = """
import sys
sys.modules["torch"] = None  # importing it fails
import numpy, tubeskel
print(tubeskel.skeletonize(numpy.eye(3)).sum(), tubeskel.skeletonize([[0, 1]]).sum())
try:
    tubeskel.srl_loss
except ImportError as error:
    print("torch" in str(error))
"""
    assert python(code) == "3 1\nTrue\n"


CALL = "print(f(torch.zeros(1, 2, 4, 4), torch.ones(1, 4, 4, dtype=torch.uint8)).item())"
WAYS = {
    "module, then call": "import tubeskel.srl_loss; f = tubeskel.srl_loss",
    "attribute": "import tubeskel; f = tubeskel.srl_loss",
    "attribute, then module": "import tubeskel; tubeskel.srl_loss; import tubeskel.srl_loss; "
    "f = tubeskel.srl_loss",
    "module as a name": "import tubeskel.srl_loss as f",
    "from the package": "from tubeskel import srl_loss as f",
    "from the module": "from tubeskel.srl_loss import srl_loss as f",
    "both": "import tubeskel.srl_loss; from tubeskel import srl_loss as f",
    "from losses": "import tubeskel.losses; f = tubeskel.losses.srl_loss",
    "losses first": "import tubeskel.losses, tubeskel.srl_loss; f = tubeskel.srl_loss",
    "import_module": "import importlib; f = importlib.import_module('tubeskel.srl_loss')",
    "the class": "from tubeskel.srl_loss import SkeletonRecallLoss; f = SkeletonRecallLoss()",
    "star": "from tubeskel import *; f = srl_loss",
}


@pytest.mark.parametrize("ways", [list(WAYS)[i : i + 1] for i in range(3)] + [list(WAYS)[3:]])
def test_the_loss_is_found_by(python, ways):
    # The first three each in a fresh interpreter, the others one after the other.
    code = "import torch\n" + "".join(f"{WAYS[way]}\n{CALL}\n" for way in ways)
    assert python(code) == "-0.5\n" * len(ways)


def test_the_loss_keeps_its_own_name_and_documentation():
    import tubeskel.losses

    assert tubeskel.srl_loss is tubeskel.losses.srl_loss
    assert tubeskel.srl_loss.__module__ == "tubeskel.losses.skeleton_recall"
    assert "Skeleton Recall Loss" in tubeskel.srl_loss.__doc__


def test_every_public_name_is_there_and_documented():
    assert dir(tubeskel) == sorted(tubeskel.__all__)
    for name in tubeskel.__all__:
        value = getattr(tubeskel, name)
        assert name == "__version__" or value.__doc__


def test_unknown_names():
    with pytest.raises(AttributeError, match=r"tubeskel.*'skeletonise'"):
        tubeskel.skeletonise  # noqa: B018
    assert not hasattr(tubeskel, "__path_of_nothing__")


def test_version():
    from importlib.metadata import version

    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?\w+)?", tubeskel.__version__)
    assert version("tubeskel") == tubeskel.__version__


def test_is_typed():
    assert importlib.resources.files("tubeskel").joinpath("py.typed").is_file()
    assert importlib.resources.files("tubeskel").joinpath("_array.pyi").is_file()


def test_works_with_python_optimised(python):
    code = "import tubeskel; print(tubeskel.thin([[1, 1, 1]] * 3).sum())"
    assert python(code, "-OO") == "1\n"


def test_imports_without_warnings(python):
    assert python("import tubeskel, tubeskel.metrics", "-W", "error::DeprecationWarning") == ""
