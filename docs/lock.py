"""Prints requirements.lock: the exact versions of what davd needs, as they are installed here.

    python docs/lock.py > requirements.lock

`pip install -r requirements.lock && pip install --no-deps --no-build-isolation .` installs these;
what a platform needs beside them (CUDA for torch on Linux) pip adds.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

EXTRAS = ("data", "train")
HEAD = "# Made by docs/lock.py: the versions that the tests were run with."


def closure(wanted: list[str]) -> dict[str, str]:
    """Versions of packages and of all that they need, as installed."""
    found: dict[str, str] = {}
    while wanted:
        requirement = wanted.pop()
        name, extras = _name(requirement)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform
        plain = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        if plain in found and not extras:
            continue
        found[plain] = package.version.partition("+")[0]
        for other in package.requires or []:
            text, _, marker = other.partition(";")
            of_extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
            if of_extra is None or of_extra[1] in extras:
                wanted.append(text)
    return found


def _name(requirement: str) -> tuple[str, set[str]]:
    match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", requirement)
    assert match is not None, requirement
    return match[1], {extra.strip() for extra in (match[2] or "").split(",")} - {""}


def main() -> int:
    """Print the lock."""
    root = Path(__file__).resolve().parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    wanted += ["setuptools", "wheel", "Cython"]
    lines = [f"{name}=={version}" for name, version in sorted(closure(wanted).items())]
    print("\n".join([HEAD, *(line for line in lines if not _of_cuda(line))]))
    return 0


def _of_cuda(line: str) -> bool:
    return line.startswith(("nvidia-", "cuda-", "triton=="))


if __name__ == "__main__":
    sys.exit(main())
