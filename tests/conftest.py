"""Fixtures that every test file may use."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # for benchmarks/


def pytest_configure() -> None:
    """Hear Ctrl-C, and let what tests start hear it: a shell's background jobs ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `needs_cuda` tests without a GPU, unless FAIL_WITHOUT_CUDA is set."""
    marked = [item for item in items if item.get_closest_marker("needs_cuda")]
    if not marked or os.environ.get("FAIL_WITHOUT_CUDA"):
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of large test material (DAVD_SHARED, or beside the repository), else a skip."""
    folder = Path(os.environ.get("DAVD_SHARED", ROOT.parent / "shared"))
    if not (folder / "vectors" / "manifest.csv").is_file():
        pytest.skip(f"no test vectors in {folder} (set DAVD_SHARED)")
    return folder


@pytest.fixture(autouse=True)
def _restore_random_state() -> Iterator[None]:
    """A test that seeds a generator does not change what the next one sees."""
    state, np_state = random.getstate(), np.random.get_state()
    yield
    random.setstate(state)
    np.random.set_state(np_state)
