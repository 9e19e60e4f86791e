"""What installs davd: dependencies, the lock, the Dockerfile."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "ENTRYPOINT", "CMD", "ENV", "ARG", "USER"}


def versions() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name: version for name, version in pairs}


def specifiers() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *extras["data"], *extras["train"]]


@pytest.mark.parametrize("wanted", specifiers())
def test_the_lock_has_a_version_that_is_allowed(wanted: str) -> None:
    packaging = pytest.importorskip("packaging.requirements")
    requirement = packaging.Requirement(wanted)
    name = re.sub(r"[-_.]+", "-", requirement.name).lower()
    assert requirement.specifier.contains(versions()[name]), "run: make lock"


def test_the_lock_is_exact_and_without_cuda() -> None:
    assert all(re.fullmatch(r"[0-9][0-9A-Za-z.]*", version) for version in versions().values())
    assert not any(name.startswith(("nvidia", "cuda")) for name in versions())


def test_the_main_install_has_what_the_main_job_wants() -> None:
    names = {re.match(r"[\w-]+", text)[0] for text in PROJECT["dependencies"]}  # type: ignore[index]
    assert {"opencv-python-headless", "torch", "av", "h5py", "tqdm", "dask"} <= names


def test_the_dockerfile_is_one() -> None:
    """Instructions that there are, continued lines that go on, files that exist."""
    text = (ROOT / "Dockerfile").read_text()
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", text))
    lines = [line for line in joined.splitlines() if line.strip()]
    assert [line.split()[0] for line in lines][0] == "FROM"
    assert {line.split()[0] for line in lines} <= INSTRUCTIONS
    assert "-r requirements.lock" in joined and 'ENTRYPOINT ["davd"]' in joined
    base = re.search(r"python:(\d)\.(\d+)", joined)
    assert base and (int(base[1]), int(base[2])) >= (3, 11)
    assert ".venv" in (ROOT / ".dockerignore").read_text().split()
