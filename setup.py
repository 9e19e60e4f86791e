"""Build of the one extension module, davd.bitstream._core.

Everything static is in pyproject.toml. Here is only what it cannot say: the C core is every C file
in the folders of bitstream/, compiled into the skin with it, so that there is no library to find
at run time.
"""

import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

core = sorted(str(p) for p in Path("bitstream").glob("*/**/*.c"))
flags = ["/O2", "/std:c11"] if sys.platform == "win32" else ["-O3", "-std=c11", "-fno-math-errno"]
extension = Extension(
    "davd.bitstream._core",
    ["bitstream/_core.pyx", *core],
    include_dirs=["bitstream/h264", "bitstream/priors", numpy.get_include()],
    depends=sorted(str(p) for p in Path("bitstream").rglob("*.h")),
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    extra_compile_args=flags,
)
setup(ext_modules=cythonize([extension], language_level=3))
