"""Build of the extension modules, davd.bitstream._core (H.264) and davd.bitstream._hevc.

Everything static is in pyproject.toml. Here is only what it cannot say: each skin is compiled
together with every C file of its core's folders, so that there is no library to find at run time.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# Python is often built with -fwrapv and hands it on: then loops over int become no vectors.
# Functions start on cache lines, or a change anywhere moves the speed of all of them by up to 8 %.
FLAGS = ["-O3", "-std=c11", "-fno-math-errno", "-fno-wrapv", "-fvisibility=hidden", "-pthread"]
FLAGS += ["-falign-functions=64"]
LINKED = ["-pthread"]
if sys.platform == "win32":
    FLAGS, LINKED = ["/O2", "/std:c11"], []
FOLDER = Path("bitstream")


def optimises_across_files() -> bool:
    """Whether compiler and linker can, as a tiny library tells: decoding takes 2 to 4 % less."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "a.c", Path(folder) / "a.so"
        source.write_text("int a(void) { return 1; }\n")
        call = [*compiler, *ACROSS_FILES, "-fPIC", "-shared", str(source), "-o", str(library)]
        try:
            return subprocess.run(call, capture_output=True, check=False).returncode == 0
        except OSError:
            return False


ACROSS_FILES = ["-O3", "-flto=auto"]
if sys.platform == "linux" and optimises_across_files():
    FLAGS, LINKED = [*FLAGS, *ACROSS_FILES], [*LINKED, *ACROSS_FILES]


def extension(name: str, *folders: str) -> Extension:
    """A skin with the C files of some folders, and of the folders in them."""
    core = [path for folder in folders for path in (FOLDER / folder).rglob("*.c")]
    return Extension(
        f"davd.bitstream.{name}",
        [f"bitstream/{name}.pyx", *sorted(map(str, core))],
        include_dirs=[*(f"bitstream/{folder}" for folder in folders), numpy.get_include()],
        depends=sorted(map(str, FOLDER.rglob("*.h"))),
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=FLAGS,
        extra_link_args=LINKED,
    )


setup(
    ext_modules=cythonize(
        [extension("_core", "h264", "coding", "priors"), extension("_hevc", "hevc", "coding")],
        language_level=3,
    )
)
