"""Fixtures shared by all tests. Packages under test are imported inside fixtures, so that shape checks apply."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Machines differ in speed: a slow example is no failure. The same examples on every run.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine lacks, with the reason."""
    for item in items:
        if item.get_closest_marker("realdata") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="../shared/data is not here (real text that may not be shipped)"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2026)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return SHARED


@pytest.fixture(scope="session")
def project() -> Path:
    return ROOT
