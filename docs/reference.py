"""Make the reference of the Python interface from its docstrings, and check every link in it.

Run: python docs/reference.py [-o build/reference] [MODULE ...]
"""

import argparse
import os
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bitstream", "data", "restore", "cli")

_KNOWN = (  # warnings that say nothing
    "Cannot determine where",  # members of compiled classes
    "The module specification",  # a module that its package names too
    r"Error parsing type annotation array\[",  # array.array takes no parameters before Python 3.12
)

_TO_PRIVATE = re.compile(r'<a href="[^"#]*#_[^"]*">([^<]*)</a>')  # a base without an entry


def modules() -> list[str]:
    """Names of all modules, those that packages do not name in `__all__` too."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {path.parent if path.stem == "__init__" else path.with_suffix("") for path in paths}
    return ["davd", *sorted(".".join(("davd", *p.relative_to(ROOT).parts)) for p in found)]


class _Links(HTMLParser):
    """Names that a page has, and addresses that it leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.names.add(value)
            if tag == "a" and name == "href" and value:
                self.links.append(value)


def dead_links(folder: Path) -> list[str]:
    """Links of a folder of pages that lead nowhere, as `page: address`."""
    pages = {path.resolve(): _Links(path.read_text("utf-8")) for path in folder.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            name = unquote(parts.fragment)
            if known is None or (name and name not in known.names):
                dead.append(f"{path.relative_to(folder.resolve())}: {link}")
    return dead


def build(output: Path, names: Iterable[str]) -> int:
    """Write the pages; returns how many there are."""
    os.environ["PDOC_ALLOW_EXEC"] = "1"  # hdf5plugin asks uname for the processor
    import pdoc
    import pdoc.render

    pdoc.render.configure(docformat="google", search=True, show_source=True,
                          footer_text="davd, made from its docstrings")  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a module that cannot be read, a name that is not found
        for known in _KNOWN:
            warnings.filterwarnings("ignore", known)
        pdoc.pdoc(*names, output_directory=output)
    pages = list(output.rglob("*.html"))
    for page in pages:
        page.write_text(_TO_PRIVATE.sub(r"\1", page.read_text("utf-8")), "utf-8")
    return len(pages)


def main(argv: Sequence[str] | None = None) -> int:
    """Write and check; returns 1 where a link is dead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/reference"))
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    arguments = parser.parse_args(argv)
    count = build(arguments.output, arguments.modules or modules())
    dead = dead_links(arguments.output)
    print("\n".join([*dead, f"{arguments.output}: {count} pages, {len(dead)} dead links"]))
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main())
