"""Writes small HEVC pictures: PCM, and inter prediction without residual, by a CABAC of its own."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bitwriter import BitWriter, escape

VPS, SPS, PPS, TRAIL, IDR = 32, 33, 34, 1, 19
SIDE = 16  # of coding tree blocks, which are the smallest coding blocks too
# Bins of part_mode (Table 9-43) where blocks are the smallest ones, and larger than 8; in the order
# of Table 7-10
PARTS = {"2Nx2N": (1,), "2NxN": (0, 1), "Nx2N": (0, 0, 1), "NxN": (0, 0, 0)}
_STATES = re.findall(
    r"STATE\((\d+), (\d+), (\d+), (\d+), (\d+), (\d+)\)",
    (Path(__file__).resolve().parents[1] / "bitstream/coding/cabac_tables.c").read_text(),
)
LPS = {int(n): [int(v) for v in row[:4]] for n, *row in _STATES}  # Table 9-52
NEXT_LPS = {int(n): int(row[4]) for n, *row in _STATES}
# initValue of the syntax elements written here, for I and P slices (initType 0 and 1)
INIT = {
    "cu_skip_flag": (154, 197), "pred_mode_flag": (154, 149), "part_mode 0": (184, 154),
    "part_mode 1": (154, 139), "part_mode 2": (154, 154), "merge_flag": (154, 110),
    "merge_idx": (154, 122), "ref_idx 0": (154, 153), "ref_idx 1": (154, 153),
    "greater0": (154, 140), "greater1": (154, 198), "mvp_flag": (154, 168),
    "rqt_root_cbf": (154, 79),
}  # fmt: skip


class Cabac:
    """The arithmetic encoder (9.3.5), its contexts as at the beginning of a slice or tile."""

    def __init__(self, out: BitWriter, *, inter: bool, qp: int = 26) -> None:
        """Write to `out`, which is at a byte boundary."""
        self.out, self.contexts = out, {}
        for name, values in INIT.items():
            slope, offset = values[inter] >> 4, values[inter] & 15
            state = min(max(((slope * 5 - 45) * qp >> 4) + (offset << 3) - 16, 1), 126)
            self.contexts[name] = [state - 64, 1] if state >= 64 else [63 - state, 0]
        self._start()

    def _start(self) -> None:
        self.low, self.range, self.first, self.outstanding = 0, 510, True, 0

    def bin(self, name: str, value: int) -> None:
        """A bin with a context."""
        context = self.contexts[name]
        state, mps = context
        less = LPS[state][self.range >> 6 & 3]
        self.range -= less
        if value == mps:
            context[0] = min(state + 1, 62)
        else:
            self.low, self.range = self.low + self.range, less
            context[:] = [NEXT_LPS[state], 1 - mps if state == 0 else mps]
        self._renorm()

    def bypass(self, value: int) -> None:
        """A bin without one."""
        self.low = 2 * self.low + self.range * value
        if self.low >= 1024:
            self._put(1)
            self.low -= 1024
        elif self.low < 512:
            self._put(0)
        else:
            self.low -= 512
            self.outstanding += 1

    def terminate(self, value: int) -> None:
        """A bin before termination; after 1 the bits are written, the last of them a 1."""
        self.range -= 2
        if value:
            self.low, self.range = self.low + self.range, 2
        self._renorm()
        if value:
            self._put(self.low >> 9 & 1)
            self.out.u(2, self.low >> 7 & 3 | 1).align()
            self._start()

    def _renorm(self) -> None:
        while self.range < 256:
            if self.low < 256:
                self._put(0)
            elif self.low >= 512:
                self.low -= 512
                self._put(1)
            else:
                self.low -= 256
                self.outstanding += 1
            self.range, self.low = 2 * self.range, 2 * self.low

    def _put(self, bit: int) -> None:
        if not self.first:
            self.out.u(1, bit)
        self.first = False
        for _ in range(self.outstanding):
            self.out.u(1, 1 - bit)
        self.outstanding = 0


def nal(kind: int, rbsp: bytes) -> bytes:
    """A NAL unit of layer 0, temporal layer 0."""
    return b"\0\0\0\1" + bytes([kind << 1, 1]) + escape(rbsp)


def _profile(w: BitWriter, idc: int = 1, *, sub_layers: int = 0) -> BitWriter:
    """profile_tier_level() of what is compatible with Main, level 3.1; sub-layers say the same."""
    w.u(3, 0).u(5, idc).u(32, 1 << 30).u(32, 0).u(16, 0).u(8, 93)
    for _ in range(sub_layers):
        w.u(2, 3)
    for _ in range(sub_layers, 8 if sub_layers else 0):
        w.u(2, 0)
    for _ in range(sub_layers):
        w.u(3, 0).u(5, idc).u(32, 1 << 30).u(32, 0).u(16, 0).u(8, 93)
    return w


@dataclass(frozen=True)
class Stream:
    """What the parameter sets say of pictures of `width` by `height` coding tree blocks.

    Attributes:
        width: Coding tree blocks in a row.
        height: Rows.
        columns: Widths of tiles, in coding tree blocks; empty: no tiles.
        rows: Their heights.
        long_term: Low bits of the POC of long-term pictures that the SPS lists; None: there are
            none.
        chroma_offsets: Slices have chroma QP offsets.
        vui: vui_parameters(), bit by bit.
        profile_idc: Of the profile; 0: told by compatibility alone.
        sub_layers: Temporal sub-layers beside the lowest one.
        depth: Bits of a sample, as the SPS says; PCM has eight.
        separate: separate_colour_plane_flag, of a 4:4:4 video.
        range_extension: Its nine flags; empty: none is sent.
    """

    width: int = 4
    height: int = 3
    columns: Sequence[int] = ()
    rows: Sequence[int] = ()
    long_term: Sequence[int] | None = None
    chroma_offsets: bool = False
    vui: Sequence[int] | None = None
    profile_idc: int = 1
    sub_layers: int = 0
    depth: int = 8
    separate: bool = False
    range_extension: Sequence[int] = ()

    def headers(self) -> bytes:
        """The parameter sets."""
        w = BitWriter().u(4, 0).u(2, 3).u(6, 0).u(3, self.sub_layers).u(1, 1).u(16, 0xFFFF)
        w = _profile(w, self.profile_idc, sub_layers=self.sub_layers)
        vps = w.u(1, 0).ue(4, 0, 0).u(6, 0).ue(0).u(1, 0).u(1, 0).trailing()
        return nal(VPS, vps) + nal(SPS, self._sps()) + nal(PPS, self._pps())

    def _sps(self) -> bytes:
        w = BitWriter().u(4, 0).u(3, self.sub_layers).u(1, 1)
        w = _profile(w, self.profile_idc, sub_layers=self.sub_layers)
        w.ue(0, 3).u(1, 1) if self.separate else w.ue(0, 1)
        w.ue(SIDE * self.width, SIDE * self.height).u(1, 0)
        w.ue(self.depth - 8, self.depth - 8, 0).u(1, 0).ue(4, 0, 0)
        w.ue(1, 0, 0, 2, 1, 1).u(1, 0).u(1, 0).u(1, 0)  # blocks of 16; no lists, AMP or SAO
        w.u(1, 1).u(4, 7).u(4, 7).ue(1, 0).u(1, 0)  # PCM of 16x16 samples
        w.ue(0).u(1, self.long_term is not None)
        if self.long_term is not None:
            w.ue(len(self.long_term))
            for lsb in self.long_term:
                w.u(4, lsb).u(1, 1)
        w.u(1, 0).u(1, 0).u(1, self.vui is not None).bits.extend(self.vui or ())
        w.u(1, bool(self.range_extension))
        if self.range_extension:
            w.u(1, 1).u(7, 0).bits.extend(self.range_extension)
        return w.trailing()

    def _pps(self) -> bytes:
        w = BitWriter().ue(0, 0).u(1, 0).u(1, 0).u(3, 0).u(1, 0).u(1, 0).ue(0, 0).se(0)
        w.u(1, 0).u(1, 0).u(1, 0).se(0, 0).u(1, self.chroma_offsets).u(1, 0).u(1, 0).u(1, 0)
        w.u(1, bool(self.columns)).u(1, 0)
        if self.columns:
            w.ue(len(self.columns) - 1, len(self.rows) - 1).u(1, 0)
            w.ue(*(n - 1 for n in self.columns[:-1]), *(n - 1 for n in self.rows[:-1])).u(1, 1)
        return w.u(1, 0).u(1, 0).u(1, 0).u(1, 0).ue(0).u(1, 0).u(1, 0).trailing()

    def tiles(self) -> list[list[tuple[int, int]]]:
        """Row and column of the coding tree blocks of each tile (6.5.1)."""
        columns, rows = self.columns or (self.width,), self.rows or (self.height,)
        lefts, tops = np.cumsum([0, *columns]).tolist(), np.cumsum([0, *rows]).tolist()
        return [
            [(y, x) for y in range(top, top + down) for x in range(left, left + across)]
            for top, down in zip(tops, rows, strict=False)
            for left, across in zip(lefts, columns, strict=False)
        ]


Block = Callable[[Cabac, int, int], None]


@dataclass(frozen=True)
class Picture:
    """One slice.

    Attributes:
        block: Writes the coding unit at a row and column of coding tree blocks.
        poc: 0: an IDR picture of I slices; else a P picture.
        short: How many pictures directly before it are short-term references.
        long: Places of long-term references in the SPS's list.
        spelled: Low bits of the POC of long-term references that the slice spells out, and the
            cycles of their high bits, None where those are left out.
        offsets: Chroma QP offsets, where slices have them.
    """

    block: Block
    poc: int = 0
    short: int = 1
    long: Sequence[int] = ()
    spelled: Sequence[tuple[int, int | None]] = ()
    offsets: tuple[int, int] = field(default=(0, 0))

    def nal(self, s: Stream) -> bytes:
        """The NAL unit."""
        w = BitWriter().u(1, 1)
        if self.poc == 0:
            w.u(1, 0)
        w.ue(0, 1 if self.poc else 2)
        if self.poc:
            w.u(4, self.poc % 16)
            self._references(w, s)
        w.se(0)
        if s.chroma_offsets:
            w.se(*self.offsets)
        parts = []
        for tile in s.tiles():
            part = BitWriter()
            cabac = Cabac(part, inter=self.poc > 0)
            for number, (y, x) in enumerate(tile):
                self.block(cabac, y, x)
                last = number + 1 == len(tile)
                end = last and len(parts) + 1 == len(s.tiles())
                cabac.terminate(int(end))
                if last and not end:
                    cabac.terminate(1)  # end_of_subset_one_bit
            parts.append(np.packbits(part.bits).tobytes())
        if s.columns:
            w.ue(len(parts) - 1, 31)
            for data in parts[:-1]:
                assert escape(data) == data  # sizes are those of what is sent
                w.u(32, len(data) - 1)
        return nal(TRAIL if self.poc else IDR, w.trailing() + b"".join(parts))

    def _references(self, w: BitWriter, s: Stream) -> None:
        w.u(1, 0).ue(self.short, 0)
        for _ in range(self.short):
            w.ue(0).u(1, 1)
        if s.long_term is not None:
            if s.long_term:
                w.ue(len(self.long))
            w.ue(len(self.spelled))
            for place in self.long:
                w.u((len(s.long_term) - 1).bit_length(), place).u(1, 0)
            for lsb, cycles in self.spelled:
                w.u(4, lsb).u(1, 1).u(1, cycles is not None)
                if cycles is not None:
                    w.ue(cycles)
        count = self.short + len(self.long) + len(self.spelled)
        w.u(1, count > 1)  # num_ref_idx_active_override_flag
        if count > 1:
            w.ue(count - 1)
        w.ue(0)  # five merge candidates


def pcm(seed: int = 0) -> Block:
    """Coding units of samples by chance, no two pictures alike; without zeros, so that no byte is
    escaped."""

    def write(cabac: Cabac, y: int, x: int) -> None:
        samples = np.random.default_rng((seed, y, x)).integers(16, 240, SIDE * SIDE * 3 // 2)
        cabac.bin("part_mode 0", 1)
        cabac.terminate(1)  # pcm_flag
        cabac.out.raw(samples.astype(np.uint8).tobytes())

    return write


def inter(seed: int, *, parts: str = "2Nx2N", references: int = 1) -> Block:
    """Coding units of inter prediction by chance: merged, or with vectors of their own."""

    def write(cabac: Cabac, y: int, x: int) -> None:
        rng = np.random.default_rng((seed, y, x))
        cabac.bin("cu_skip_flag", 0)
        cabac.bin("pred_mode_flag", 0)
        for number, value in enumerate(PARTS[parts]):
            cabac.bin(f"part_mode {number}", value)
        for _ in range({"2Nx2N": 1, "NxN": 4}.get(parts, 2)):
            merged = bool(rng.random() < 0.4) and parts != "2Nx2N"  # else a residual follows
            cabac.bin("merge_flag", merged)
            if merged:
                _merge_idx(cabac, int(rng.integers(5)))
                continue
            if references > 1:
                _ref_idx(cabac, int(rng.integers(references)), references)
            _mvd(cabac, *rng.integers(-40, 41, 2).tolist())
            cabac.bin("mvp_flag", int(rng.integers(2)))
        cabac.bin("rqt_root_cbf", 0)

    return write


def _merge_idx(cabac: Cabac, value: int) -> None:
    for k in range(4):
        bit = int(k < value)
        cabac.bypass(bit) if k else cabac.bin("merge_idx", bit)
        if not bit:
            return


def _ref_idx(cabac: Cabac, value: int, count: int) -> None:
    for k in range(count - 1):
        bit = int(k < value)
        cabac.bin(f"ref_idx {k}", bit) if k < 2 else cabac.bypass(bit)
        if not bit:
            return


def _mvd(cabac: Cabac, *mvd: int) -> None:
    for v in mvd:
        cabac.bin("greater0", int(v != 0))
    for v in mvd:
        if v:
            cabac.bin("greater1", int(abs(v) > 1))
    for v in mvd:
        if abs(v) > 1:
            rest, k = abs(v) - 2, 1  # Exp-Golomb of first order
            while rest >= 1 << k:
                cabac.bypass(1)
                rest, k = rest - (1 << k), k + 1
            cabac.bypass(0)
            for i in range(k - 1, -1, -1):
                cabac.bypass(rest >> i & 1)
        if v:
            cabac.bypass(int(v < 0))
