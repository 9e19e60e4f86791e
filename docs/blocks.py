"""Run every command and code block of a Markdown file as written, in order, where one stands.

    python docs/blocks.py README.md

A `sh` block goes to bash, line by line shown; a `python` block to Python; a bare block after a
Python block is what it must print. Stops at the first that fails. Run it in a fresh clone: the
README makes environments and files there and in the folder above.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        kind: `sh`, `python`, or empty for what the block before it prints.
        text: what is inside.
        line: number of its first line in the file.
    """

    kind: str
    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks of a text."""
    return [
        Block(match[1], match[2], markdown.count("\n", 0, match.start()) + 2)
        for match in _FENCE.finditer(markdown)
    ]


def run(block: Block, folder: Path, environment: dict[str, str]) -> str:
    """Run a block in a folder and return what it prints; raises where it fails."""
    command = {
        "sh": ["bash", "-euo", "pipefail", "-c", block.text],
        "python": ["python", "-W", "error", "-c", block.text],
    }[block.kind]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"line {block.line}: status {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


def main() -> None:
    """Run all blocks of a file in the working folder."""
    found = blocks(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path.cwd()
    environment = os.environ | {"PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"}
    printed = ""
    for block in found:
        began = time.monotonic()
        print(f"--- line {block.line} ({block.kind or 'output'})\n{block.text}", end="", flush=True)
        if block.kind:
            printed = run(block, folder, environment)
            print(f"--> {time.monotonic() - began:.1f} s\n{printed[-1500:]}", flush=True)
        elif block.text != printed:
            sys.exit(
                f"line {block.line}: this is said to be printed, but what is printed is\n{printed}"
            )
    print(f"{len(found)} blocks of {sys.argv[1]} ran as written")


if __name__ == "__main__":
    main()
