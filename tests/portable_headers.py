"""Headers of Python and NumPy for another system, made of those of this one: sizes are changed.

    python tests/portable_headers.py x86_64-windows FOLDER

Good enough to compile an extension to an object file with, not to link it.
"""

import re
import shutil
import sys
import sysconfig
from pathlib import Path

import numpy

# What pyconfig.h says differently where long has 32 bits and there is no POSIX.
WINDOWS = {"SIZEOF_LONG": 4, "SIZEOF_WCHAR_T": 2, "SIZEOF_LONG_DOUBLE": 16, "ALIGNOF_LONG": 4}
DROPPED = ("HAVE_", "_GNU_SOURCE", "_POSIX", "_XOPEN", "PTHREAD", "SIZEOF_PID_T", "SIZEOF_UID_T")
KEPT = ("HAVE_STDDEF_H", "HAVE_STDINT_H", "HAVE_SYS_TYPES_H", "HAVE_STDARG_PROTOTYPES")


def for_windows(text: str) -> str:
    """A pyconfig.h of Linux as one of Windows."""
    lines = []
    for line in text.splitlines():
        define = re.match(r"#define (\w+)", line)
        name = define[1] if define else ""
        if name in WINDOWS:
            line = f"#define {name} {WINDOWS[name]}"
        elif name.startswith(DROPPED) and name not in KEPT:
            continue
        lines.append(line)
    return "\n".join(
        [*lines, "#define MS_WINDOWS 1", "#define MS_WIN64 1", "#define NT_THREADS 1", ""]
    )


def main() -> None:
    """Copy the headers and change pyconfig.h."""
    system, target = sys.argv[1], Path(sys.argv[2])
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(sysconfig.get_path("include"), target)
    shutil.copytree(Path(numpy.get_include()) / "numpy", target / "numpy")
    config = target / "pyconfig.h"
    sizes = target / "numpy" / "_numpyconfig.h"
    text = sizes.read_text()
    if "linux" not in system:
        text = text.replace("#define NPY_HAVE_ENDIAN_H 1", "")
    if "windows" in system:
        config.write_text(for_windows(config.read_text()))
        text = re.sub(r"#define NPY_SIZEOF_LONG \d+", "#define NPY_SIZEOF_LONG 4", text)
    sizes.write_text(text)


if __name__ == "__main__":
    main()
