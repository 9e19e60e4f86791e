#!/usr/bin/env bash
# Cross-compiles the C core and the extension's C, and runs the core's tests for another processor:
#
#     tests/portable.sh PYTHON CLIP
#
# PYTHON has Cython, NumPy and ziglang (a C compiler for every target in one wheel); CLIP is a video.
# Tools that are missing are named, and what needs them is skipped.
set -euo pipefail
python=$1 clip=$2 out=build/portable
includes=(-Ibitstream/coding -Ibitstream/h264 -Ibitstream/hevc -Ibitstream/priors)
flags=(-std=c11 -O2 -Wall -Wextra -Werror "${includes[@]}")
core=(bitstream/*/*.c bitstream/*/*/*.c)

"$python" -c "import ziglang" 2>/dev/null || {
    echo "skipped: no ziglang in $python (pip install ziglang)"
    exit 0
}
zig() { "$python" -m ziglang cc "$@"; }

compile() {  # compile NAME FLAG...: the core alone, every warning an error
    local name=$1
    shift
    mkdir -p "$out/$name/core"
    for source in "${core[@]}"; do
        zig "${flags[@]}" "$@" -c "$source" -o "$out/$name/core/${source//\//_}.o"
    done
    echo "core for $name: compiled"
}

headers() {  # headers NAME: Python's and NumPy's, with the sizes of that system
    "$python" tests/portable_headers.py "$1" "$out/$1/include"
}

extension() {  # extension NAME TARGET SKIN: what Cython makes of the skin
    headers "$1"
    zig -target "$2" -std=c11 -O1 -w "${includes[@]}" -I"$out/$1/include" \
        -DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION -c "$out/$3.c" -o "$out/$1/$3.o"
    echo "$3 for $1: compiled"
}

mkdir -p "$out"
for skin in _core _hevc; do
    "$python" -m cython -3 "bitstream/$skin.pyx" -o "$out/$skin.c"
done
for system in x86_64-windows aarch64-linux aarch64-macos; do
    target=$system
    [ "$system" = x86_64-windows ] && target=x86_64-windows-gnu
    [ "$system" = aarch64-linux ] && target=aarch64-linux-musl
    compile "$system" -target "$target"
    extension "$system" "$target" _core
    extension "$system" "$target" _hevc
done
compile plain -target x86_64-linux-musl -U__GNUC__ -DH264_NO_SIMD -DHEVC_NO_SIMD  # as by a compiler without builtins

tests() {  # tests NAME TARGET RUNNER: build and run the core's tests
    local name=$1 target=$2 objects
    shift 2
    objects=("$out/$name"/core/*.o)
    zig -target "$target" -std=c11 -O2 "${includes[@]}" tests/core*_test.c "${objects[@]}" \
        -o "$out/$name/core_test"
    zig -target "$target" -std=c11 -O2 "${includes[@]}" tests/decode_main.c "${objects[@]}" \
        -o "$out/$name/decode_main"
    "$@" "$out/$name/core_test"
    "$python" tests/sanitize.py "$out/$name/decode_main" "$clip" 0 "$@"
}

tests plain x86_64-linux-musl
if qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static); then
    tests aarch64-linux aarch64-linux-musl "$qemu"
else
    echo "skipped: aarch64 tests (apt-get install qemu-user)"
fi
