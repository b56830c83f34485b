"""What all suites share: reproducible property tests, the data folder, the devices."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "helpers"))  # modules that several suites import

from devices import DEVICES  # noqa: E402

hypothesis.settings.register_profile(
    "tubeskel",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("tubeskel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    if importlib.util.find_spec("torch") is None:
        reason = "PyTorch is not installed"
    else:
        import torch

        if torch.cuda.is_available():
            return
        reason = "no CUDA device: torch.cuda.is_available() is False"
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The data sets that lie beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no data sets beside the checkout (../shared/data)")
    return folder


@pytest.fixture(params=DEVICES)
def device(request):
    """Each device in turn. A test makes its tensors there, unless it says where."""
    if request.param == "cpu":
        yield request.param
        return
    import torch

    with torch.device(request.param):
        yield request.param


@pytest.fixture
def sync_checks(monkeypatch):
    """Values that are not allowed are a ValueError on CUDA too."""
    monkeypatch.setenv("TUBESKEL_SYNC_CHECKS", "1")


@pytest.fixture
def threads():
    """`tubeskel.set_num_threads`, undone after the test; tensors' threads are set with it."""
    import torch

    import tubeskel

    before = torch.get_num_threads()

    def use(n: int) -> None:
        torch.set_num_threads(n)
        tubeskel.set_num_threads(n)

    yield use
    torch.set_num_threads(before)
    tubeskel.set_num_threads(None)
