#!/usr/bin/env bash
# From a video to a restored one and a report; `make demo` calls it with the bundled clip.
#
#     [BIN=folder of the commands] [OUT=demo-out] [REFERENCE=clean.mp4] demo/run.sh VIDEO
set -euo pipefail

video=$1
out=${OUT:-demo-out}
name=$(basename "${video%.*}")
priors=$out/$name.h5

run() {  # print the command as one would type it, then do it
    printf '\n$ '
    printf '%q ' "$@"
    printf '\n'
    "${BIN:+$BIN/}$@"
}

mkdir -p "$out"
if run davd-extract "$video" -o "$priors" --force --verify; then
    run davd-inspect "$priors"
    run davd-inspect "$priors" --frame 0 -o "$out/$name.frame.png" --force
elif [ $? -ne 3 ]; then # 3: not H.264; restored by its pictures alone
    exit 1
fi
run davd-restore "$video" -o "$out/$name.restored.mp4" --force \
    ${REFERENCE:+--reference "$REFERENCE"} --report "$out/$name.html"

cat <<END

Where to look:
  $out/$name.html            the report: open it in a browser; before and after play side by side
  $out/$name.restored.mp4    the restored video, with the sound it had
END
if [ -e "$out/$name.frame.png" ]; then
    echo "  $out/$name.frame.png       what the bitstream says about the first frame"
fi
