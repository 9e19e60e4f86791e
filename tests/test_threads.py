"""Several threads in one stream: the same frames, order, records and warnings as with one."""

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from bitwriter import Picture, Sets, stream, units
from clips import encode
from davd.bitstream import Decoder, extract, iterate
from davd.bitstream import open as open_priors
from davd.bitstream._core import CorruptStreamError, DavdError, Frame
from davd.bitstream.priors.record import FACTS, record_arrays
from test_fuzz import small_stream

VECTORS = (
    Path(os.environ.get("DAVD_SHARED", Path(__file__).parents[2] / "shared")) / "vectors/streams"
)
MAPS = (
    *("tu", "mb_type", "qp_y", "qp_cb", "qp_cr", "cbp", "slice", "field", "mb_concealed"),
    *("intra_luma", "intra_chroma", "mv", "ref", "scaling4x4", "scaling8x8"),
    *("mb_bits", "bits_type", "bits_motion", "bits_luma", "bits_chroma", "bits_qp"),
)
THREADS = (2, 3, 16)
KINDS = {  # what x264 is told, and the sample format
    "plain": ("", "yuv420p"),
    "pyramid": ("bframes=5:b-adapt=0:b-pyramid=normal:ref=5", "yuv420p"),
    "slices": ("slices=5:cabac=0:bframes=2", "yuv420p"),
    "small slices": ("slice-max-mbs=7:deblock=3,3", "yuv420p"),
    "temporal": ("bframes=4:b-adapt=0:direct=temporal:weightb=1", "yuv420p"),
    "weighted": ("weightp=2:bframes=0:8x8dct=0", "yuv420p"),
    "refresh": ("intra-refresh=1:keyint=12:bframes=0", "yuv420p"),
    "open": ("open-gop=1:keyint=8:bframes=3:b-adapt=0", "yuv420p"),
    "unfiltered": ("no-deblock=1:constrained-intra=1", "yuv420p"),
    "lossless": ("qp=0", "yuv420p"),
    "interlaced": ("tff=1:bframes=2", "yuv420p"),
    "4:2:2": ("bframes=2", "yuv422p"),
    "4:4:4": ("bframes=2:cqm=jvt", "yuv444p"),
    "far": ("merange=64:me=esa:mvrange=60:scenecut=0", "yuv420p"),
}


@cache
def clip(kind: str, folder: Path) -> Path:
    """A short video of that kind, as a bare stream."""
    x264, pix_fmt = KINDS[kind]
    path = folder / f"{kind.replace(' ', '-').replace(':', '')}.264"
    options = {"x264-params": f"{x264}:threads=1".lstrip(":"), "preset": "faster", "crf": "24"}
    size = (176, 144)
    return encode(path, frames=26, size=size, sound=False, pix_fmt=pix_fmt, options=options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def facts(frame: Frame) -> tuple[object, ...]:
    """A frame, told from every other one."""
    digest = hashlib.md5()
    for group in (frame.decoded, frame.prediction, frame.residual, frame.level):
        for plane in group or ():
            digest.update(plane)
    for name in MAPS:
        if (array := getattr(frame, name)) is not None:
            digest.update(array)
    names = ("decode_order", "poc", "picture_type", "concealed_mbs", "bits", "bytes", "keyframe")
    return (*(getattr(frame, name) for name in names), frame.pts, frame.stream, digest.hexdigest())


def told(packets: list[bytes], threads: int, **options: bool) -> list[object]:
    """All that a decoder says of a stream, with the warnings after every frame and at the end."""
    taps = {"motion": True, "modes": True, "bits": True}
    decoder = Decoder(**taps | options, max_pixels=1 << 18, threads=-threads)  # type: ignore[arg-type]
    said: list[object] = []
    for number, packet in enumerate([*packets, None]):
        try:
            decoder.flush() if packet is None else decoder.send(packet, number)
            while (frame := decoder.receive()) is not None:
                said += [facts(frame), decoder.warnings]
        except CorruptStreamError:
            said.append("corrupt")  # its place among the frames depends on how many may wait
        except DavdError as error:
            said.append(str(error))
            break
    said.append(decoder.warnings)
    return sorted(said, key=lambda item: item == "corrupt")


def assert_same(packets: list[bytes], **options: bool) -> None:
    alone = told(packets, 1, **options)
    for threads in THREADS:
        assert told(packets, threads, **options) == alone, threads


def damaged(data: bytes, seed: int) -> list[bytes]:
    """NAL units of which some are lost, and some bits of others turned over."""
    rng = random.Random(seed)
    kept = []
    for unit in units(data):
        if rng.random() < 0.06:
            continue
        changed = bytearray(unit)
        if len(changed) > 40 and rng.random() < 0.2:
            changed[rng.randrange(20, len(changed))] ^= 1 << rng.randrange(8)
        kept.append(bytes(changed))
    return kept


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, folder: Path) -> None:
    packets = units(clip(kind, folder).read_bytes())
    assert len(packets) > 20
    assert_same(packets)


@pytest.mark.parametrize("kind", ["plain", "pyramid", "slices", "small slices", "temporal", "open"])
@pytest.mark.parametrize("seed", range(4))
def test_damage(kind: str, seed: int, folder: Path) -> None:
    packets = damaged(clip(kind, folder).read_bytes(), seed)
    assert told(packets, 1)[-1] != {} or seed  # at least the first of them is really damaged
    assert_same(packets)
    assert_same([b"".join(packets)])


def test_without_samples(folder: Path) -> None:
    assert_same(units(clip("temporal", folder).read_bytes()), pixels=False)
    assert_same(damaged(clip("pyramid", folder).read_bytes(), 9), pixels=False)


def test_headers_alone(folder: Path) -> None:
    assert_same(units(clip("pyramid", folder).read_bytes()), headers=True)


def test_marking_gaps_and_lists() -> None:
    assert_same(units(small_stream()))
    assert_same([small_stream()])


def test_memory_management_5_and_sizes_that_change() -> None:
    pictures = [
        Picture(idr=True, value=3),
        Picture(frame_num=1, poc=2, value=90),
        Picture(frame_num=2, poc=4, value=None, mmco=[(5,)]),
        Picture(frame_num=1, poc=2, value=None),
        Picture(frame_num=2, poc=4, value=None, ref_idc=0),
    ]
    s = Sets(num_ref_frames=2)
    other = Sets(num_ref_frames=2, width_mbs=3, height_mbs=5)
    assert_same(units(stream(s, pictures) + stream(other, pictures) + stream(s, pictures)))


@pytest.mark.skipif(not VECTORS.is_dir(), reason="needs the test vectors")
def test_streams_of_others() -> None:
    small = sorted(
        (path for path in VECTORS.iterdir() if path.stat().st_size < 40_000),
        key=lambda path: path.name,
    )
    for path in small[::7]:
        packets = units(path.read_bytes())
        if packets:
            assert_same(packets)


def test_frames_are_few_pictures_late(folder: Path) -> None:
    packets = units(clip("weighted", folder).read_bytes())  # without reordering
    for threads in (1, 4, *(-n for n in THREADS)):  # 4 of which small pictures need none
        decoder, sent, came = Decoder(threads=threads), 0, 0
        for packet in packets:
            decoder.send(packet)
            sent += packet[4] & 31 in (1, 5)
            while decoder.receive(skip=True) is not None:
                came += 1
            assert sent - came <= 1 + max(0, -2 * threads - 2)


def test_warnings_may_be_asked_for_while_pictures_are_decoded(folder: Path) -> None:
    """They are those of all that was sent, as with one thread."""
    packets = units(clip("slices", folder).read_bytes())
    for k in range(9, len(packets), 7):
        if packets[k][4] & 31 == 1:
            packets[k] = packets[k][: len(packets[k]) // 2]
    one, three = Decoder(threads=1), Decoder(threads=-3)
    for packet in packets:
        for decoder in (one, three):
            decoder.send(packet)
        assert one.warnings == three.warnings
        for decoder in (one, three):
            while decoder.receive(skip=True) is not None:
                pass
    assert one.warnings == three.warnings
    assert one.warnings["corrupt_slices"] > 2


def test_stopping_in_the_middle(folder: Path) -> None:
    packets = units(clip("pyramid", folder).read_bytes())
    for stop in range(0, len(packets), 3):
        decoder = Decoder(threads=-3)
        for packet in packets[:stop]:
            decoder.send(packet)
            if stop % 2:
                decoder.receive()
        del decoder


def test_the_next_stream_after_the_end(folder: Path) -> None:
    packets = units(clip("plain", folder).read_bytes())
    decoder, said = Decoder(threads=-2), []
    for packet in [*packets, None, *packets, None]:
        decoder.flush() if packet is None else decoder.send(packet)
        while (frame := decoder.receive()) is not None:
            said.append(facts(frame)[-1])
    assert len(said) == 52 and said[:26] == said[26:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_has_no_threads(folder: Path) -> None:
    packets = units(clip("plain", folder).read_bytes())
    decoder = Decoder(threads=-2)
    for packet in packets[:12]:
        decoder.send(packet)
    child = os.fork()
    if child == 0:
        try:
            decoder.receive()
        except DavdError as error:
            os._exit(0 if "fork" in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    decoder.send(packets[12])
    assert decoder.receive() is not None


def test_records_of_larger_video(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", size=(640, 368), frames=14, sound=False)
    written = tmp_path / "a.h5"
    extract(video, written, motion=True, modes=True, bits=True)
    whole = list(iterate(video, motion=True, modes=True, bits=True))
    with open_priors(video, threads=3) as ours, open_priors(written) as theirs:
        for record, other, (plain, _) in zip(ours, theirs, whole, strict=True):
            assert [getattr(record, name) for name in FACTS] == [
                getattr(other, name) for name in FACTS
            ]
            arrays = record_arrays(record)
            for path, array in record_arrays(other).items():
                assert (arrays[path] == array).all(), path
            assert all((record_arrays(plain)[path] == arrays[path]).all() for path in arrays)


def test_what_an_earlier_decoder_recorded_is_gone(tmp_path: Path) -> None:
    """Decoders in turn take over each other's memory, and clear of it what is not zero."""
    dense = encode(tmp_path / "a.mp4", size=(640, 368), frames=6, sound=False, options={"crf": "8"})
    plain = encode(
        tmp_path / "b.mp4", size=(640, 368), frames=6, sound=False, options={"crf": "44"}
    )
    seen: dict[Path, list[str]] = {}
    for video in (plain, dense, plain, dense, plain):
        digests = []
        for record, _ in iterate(video, threads=1):
            empty = np.kron(record.tu == 0, np.ones((4, 4), bool))
            assert not record.residual[0][empty].any() and not record.level[0][empty].any()
            planes = (*record.residual, *record.level, *record.prediction)
            digests.append(hashlib.md5(b"".join(plane.tobytes() for plane in planes)).hexdigest())
        assert seen.setdefault(video, digests) == digests


def test_a_video_without_a_picture(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.264", frames=3, sound=False)
    video.write_bytes(video.read_bytes()[:40])
    assert list(iterate(video)) == []


def recorded(data: bytes, *, threads: int, lent: bool) -> list[Frame]:
    """All frames of a stream, everything recorded."""
    decoder = Decoder(motion=True, modes=True, bits=True, threads=threads, lent=lent)
    decoder.send(data)
    decoder.flush()
    frames = []
    while (frame := decoder.receive()) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(848, 480), (176, 144)])
def test_lent_arrays_hold_the_same(folder: Path, size: tuple[int, int], threads: int) -> None:
    """Also while others decode, and in memory that came back from another thread."""
    path = encode(folder / f"{size[0]}.264", frames=9, size=size, sound=False)
    data = path.read_bytes()
    copied = [facts(frame) for frame in recorded(data, threads=threads, lent=False)]
    held = recorded(data, threads=threads, lent=True)
    again = recorded(data, threads=threads, lent=True)
    assert [facts(frame) for frame in held] == copied == [facts(frame) for frame in again]
    with ThreadPoolExecutor(1) as other:
        other.submit(held.clear).result()
    del again[::2]
    third = recorded(data, threads=threads, lent=True)
    assert [facts(frame) for frame in third] == copied
    assert [facts(frame) for frame in again] == copied[1::2]


def test_only_large_arrays_are_lent(folder: Path) -> None:
    path = encode(folder / "lent.264", frames=2, size=(848, 480), sound=False)
    frame = recorded(path.read_bytes(), threads=1, lent=True)[0]
    lent = (*frame.prediction, *frame.residual, *frame.level, frame.mv, frame.ref)
    assert not any(array.flags.writeable for array in lent)
    with pytest.raises(ValueError, match="WRITEABLE"):
        frame.level[0].flags.writeable = True
    copied = (*frame.decoded, frame.qp_y, frame.mb_type)
    assert all(array.flags.writeable for array in copied)
