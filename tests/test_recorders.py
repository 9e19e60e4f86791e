"""Whatever a recorder writes: what is shown is what FFmpeg shows, with times that increase."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import encode
from davd.bitstream import PriorsFile, VerificationError, VideoError, extract, iterate, timeline
from davd.bitstream.annexb import H264_NALS, split_nals, unpacked
from davd.bitstream.demux import open_source
from davd.bitstream.stamps import increasing, usual_step
from davd.bitstream.timeline import Selection, Timeline, look_through
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorders import TICKS, Unit, element, in_avi, in_mkv, in_mp4, in_ts, lengths, shown, units

SIX_HOURS = 6 * 3600 * 90000
PYRAMID = {"bf": "3", "g": "12", "x264-params": "b-adapt=0:b-pyramid=normal"}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Unit]]:
    """The avcC record and the units of twelve frames, most of them B."""
    folder = tmp_path_factory.mktemp("stream")
    record, found = units(folder / "a.mp4", options=PYRAMID)
    assert [u.pts for u in found] != sorted(u.pts for u in found)
    return record, found


def with_sets(record: bytes, unit: Unit) -> bytes:
    """A unit with the parameter sets before it where decoding begins."""
    return (b"".join(H264_NALS.sets_of(record)) if unit.key else b"") + unit.data


def written(
    kind: str, path: Path, record: bytes, found: list[Unit], missing: set[int], offset: int = 0
) -> Path:
    """A file of a kind, moved in time; a transport stream may lack the times of some packets.

    AVI has no times that could be moved.
    """
    if kind == "ts":
        found = [u._replace(pts=u.pts + offset, dts=u.dts + offset) for u in found]
        stamps = [(None, None) if k in missing else (u.pts, u.dts) for k, u in enumerate(found)]
        return in_ts(path, [(with_sets(record, u), *s) for u, s in zip(found, stamps, strict=True)])
    if kind == "mkv":
        blocks = [(lengths(u.data), u.pts // 90) for u in found]
        return in_mkv(path, record, blocks, start=max(offset // 90, -min(t for _, t in blocks), 0))
    if kind == "avi":
        return in_avi(path, [with_sets(record, u) for u in found])
    moved = offset % (1 << 30)  # which 32 bits hold
    return in_mp4(path, [record], [(lengths(u.data), u.pts + moved, u.dts) for u in found])


def held_to_ffmpeg(path: Path, *, jobs: int = 1) -> Timeline:
    """Frames, order and, where FFmpeg's increase, times are FFmpeg's; ours increase always."""
    lumas, stamps = shown(path)
    found = look_through(open_source(path))
    records = [record for record, _ in iterate(path, planes=("decoded",))]
    assert len(records) == len(found) == len(lumas)
    for record, info, luma in zip(records, map(found.info, itertools.count()), lumas, strict=False):
        np.testing.assert_array_equal(record.decoded[0][info.crop], luma)
    times = [found.time(row) for row in range(len(found))]
    assert times == [record.time for record in records]
    assert all(a < b for a, b in itertools.pairwise(times))
    if None not in stamps and all(a < b for a, b in itertools.pairwise(stamps)):
        assert times == pytest.approx([float(stamp) for stamp in stamps], abs=1e-9)
    return found


MUTATIONS = ("doubled", "swapped", "far", "back", "dropped", "missing")


@settings(
    max_examples=100, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    kind=st.sampled_from(["mp4", "mkv", "ts", "avi"]),
    changes=st.lists(st.tuples(st.sampled_from(MUTATIONS), st.integers(0, 11)), max_size=4),
    offset=st.sampled_from([0, 90000, 12345, (1 << 33) - 6 * TICKS, (1 << 33) - 1]),
)
def test_any_times_in_any_container(
    stream: tuple[bytes, list[Unit]],
    tmp_path: Path,
    kind: str,
    changes: list[tuple[str, int]],
    offset: int,
) -> None:
    record, found = stream[0], list(stream[1])
    missing: set[int] = set()
    for change, k in changes:
        k %= len(found)
        near = (k + 1) % len(found)
        if change == "doubled":
            found[k] = found[k]._replace(pts=found[k - 1].pts)
        elif change == "swapped":
            a, b = found[k].pts, found[near].pts
            found[k], found[near] = found[k]._replace(pts=b), found[near]._replace(pts=a)
        elif change == "far":
            found[k] = found[k]._replace(pts=found[k].pts + 100 * TICKS)
        elif change == "back":
            found[k:] = [u._replace(pts=u.pts - 5 * TICKS) for u in found[k:]]
        elif (
            change == "dropped" and not found[k].key and not found[k].data[4] & 0x60
        ):  # nothing refers to it
            del found[k]
        elif change == "missing":
            missing.add(k)
    held_to_ffmpeg(written(kind, tmp_path / f"a.{kind}", record, found, missing, offset))


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
def test_times_without_flaw_are_kept(
    stream: tuple[bytes, list[Unit]], tmp_path: Path, kind: str
) -> None:
    record, found = stream
    line = held_to_ffmpeg(written(kind, tmp_path / f"a.{kind}", record, found, set()))
    steps = np.diff([line.time(row) for row in range(13)])
    np.testing.assert_allclose(steps, 0.04, atol=1e-9)


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([0, 10, 20, 30], [0, 10, 20, 30]),
        ([0, 10, 10, 30, 40], [0, 10, 20, 30, 40]),
        ([0, 20, 10, 30], [0, 10, 20, 30]),
        ([1, 3, 4, 2, 5], [1, 2, 3, 4, 5]),
        ([0, 10, 20, 990, 40, 50, 60, 70, 80], [0, 10, 20, 30, 40, 50, 60, 70, 80]),
        ([0, 10, 20, 5, 40, 50, 60], [0, 10, 20, 30, 40, 50, 60]),
        ([0, 10, None, 30, None], [0, 10, 20, 30, 40]),
        ([None, None, 20, 30], [0, 10, 20, 30]),
        ([0, 0, 0, 0], [0, 10, 20, 30]),
        ([None, None], [0, 10]),
        ([-30, -20, -10, 0], [-30, -20, -10, 0]),
        ([*range(0, 90, 10), *range(0, 60, 10)], list(range(0, 150, 10))),
        ([0, 10, 20, 6000, 6010], [0, 10, 20, 6000, 6010]),
        ([0, 10, 20, SIX_HOURS, SIX_HOURS + 10], [0, 10, 20, SIX_HOURS, SIX_HOURS + 10]),
        ([0, 10, 20, 1 << 33, (1 << 33) + 10], [0, 10, 20, 30, 40]),
        ([-(1 << 62), 0, 10, 20, 1 << 62], [k * 10 - (1 << 62) for k in range(5)]),
        ([], []),
    ],
)
def test_the_rule_of_times(stamps: list[int | None], times: list[int]) -> None:
    assert increasing(stamps, usual_step(stamps, 10), Fraction(1, 90000)) == times


@given(st.lists(st.one_of(st.none(), st.integers(-(1 << 40), 1 << 40)), max_size=80))
def test_times_always_increase(stamps: list[int | None]) -> None:
    times = increasing(stamps, usual_step(stamps, 7), Fraction(1, 90000))
    assert len(times) == len(stamps)
    assert all(0 < b - a <= SIX_HOURS for a, b in itertools.pairwise(times))
    if None not in stamps and all(0 < b - a <= SIX_HOURS for a, b in itertools.pairwise(stamps)):
        assert times == stamps


def test_idr_pictures_that_only_their_packets_tell_apart(tmp_path: Path) -> None:
    """Every unit is the same IDR picture: no header differs."""
    record, found = units(tmp_path / "s.mp4", options={"g": "1", "bf": "0"})
    nal = next(n for n in split_nals(found[0].data) if n[3] & 31 == 5)
    samples = [(lengths(nal), k * TICKS, k * TICKS) for k in range(5)]
    assert len(held_to_ffmpeg(in_mp4(tmp_path / "a.mp4", [record], samples))) == 5
    assert len(held_to_ffmpeg(in_mkv(tmp_path / "a.mkv", record, [
        (data, 40 * k) for k, (data, _, _) in enumerate(samples)]))) == 5  # fmt: skip


@pytest.mark.parametrize("kind", [10, 11])
def test_an_end_of_sequence_after_every_picture(
    stream: tuple[bytes, list[Unit]], tmp_path: Path, kind: int
) -> None:
    record, found = stream
    ended = [u._replace(data=u.data + b"\0\0\1" + bytes([kind])) for u in found]
    for suffix in ("mp4", "mkv", "ts"):
        path = written(suffix, tmp_path / f"a.{suffix}", record, ended, set())
        assert len(held_to_ffmpeg(path)) == len(found)
    (tmp_path / "a.264").write_bytes(b"".join(with_sets(record, u) for u in ended))
    assert len(list(iterate(tmp_path / "a.264"))) == len(found)


@pytest.mark.parametrize("other", [1, 2])
def test_a_second_sample_description_with_other_lengths(tmp_path: Path, other: int) -> None:
    record, found = units(tmp_path / "s.mp4", options={"g": "6", "bf": "0", "crf": "40"})
    short = record[:4] + bytes([0xFC | (other - 1)]) + record[5:]
    if other == 1:  # no SEI: it is longer than a byte can say
        keep = [b"".join(n for n in split_nals(u.data) if n[3] & 31 != 6) for u in found]
        found = [u._replace(data=d) for u, d in zip(found, keep, strict=True)]
    samples = [(lengths(u.data, 4 if k < 6 else other), u.pts, u.dts) for k, u in enumerate(found)]
    if any(len(n) - 3 >= 1 << 8 * other for u in found[6:] for n in split_nals(u.data)):
        pytest.skip("too large for these lengths")
    path = in_mp4(tmp_path / "a.mp4", [record, short], samples, described=lambda k: int(k >= 6))
    assert len(held_to_ffmpeg(path)) == 12


def test_start_codes_where_lengths_are_said(
    stream: tuple[bytes, list[Unit]], tmp_path: Path
) -> None:
    record, found = stream
    samples = [(b"\0" * u.key + with_sets(record, u), u.pts, u.dts) for u in found]
    held_to_ffmpeg(in_mp4(tmp_path / "a.mp4", [record], samples))
    held_to_ffmpeg(in_mkv(tmp_path / "a.mkv", record, [(d, p // 90) for d, p, _ in samples]))


def test_start_codes_inside_a_unit_behind_a_prefix(
    stream: tuple[bytes, list[Unit]], tmp_path: Path
) -> None:
    """As phones with temporal layers write: prefix NAL unit, start code, slice in one length."""
    record, found = stream
    samples = []
    for unit in found:
        data = b"\x6e\x40\x80\x07" + unit.data
        samples.append((len(data).to_bytes(4, "big") + data, unit.pts, unit.dts))
    assert len(held_to_ffmpeg(in_mp4(tmp_path / "a.mp4", [record], samples))) == len(found)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_lengths_of_any_size_are_unpacked(size: int) -> None:
    nals = [b"\0\0\1\x67" + bytes([k + 1]) * 40 for k in range(3)]
    packed = lengths(b"".join(nals), size)
    for declared in (size, 4, 0):
        assert split_nals(unpacked(packed, declared)) == nals
    assert split_nals(unpacked(b"".join(nals), 4)) == nals
    cut = split_nals(unpacked(packed[:-7], size))
    assert cut[:2] == nals[:2] and nals[2].startswith(cut[2])


def test_a_reorder_depth_that_the_stream_promises_wrongly(tmp_path: Path) -> None:
    """The SPS says that nothing is reordered; three B frames in four are."""
    record, found = units(tmp_path / "s.mp4", options=PYRAMID)
    sets = H264_NALS.sets_of(record)
    sps = without_reordering(sets[0][3:])
    lying = record[:5] + b"\xe1" + len(sps).to_bytes(2, "big") + sps
    pps = sets[1][3:]
    lying += b"\1" + len(pps).to_bytes(2, "big") + pps
    samples = [(lengths(u.data), u.pts, u.dts) for u in found]
    line = held_to_ffmpeg(in_mp4(tmp_path / "a.mp4", [lying], samples))
    assert line.patient and line.kept


def without_reordering(sps: bytes) -> bytes:
    """An SPS of x264 whose max_num_reorder_frames, of two (011), becomes 0 (1) and two bits more.

    It is the last but one element, before max_dec_frame_buffering; the bits after it move up.
    """
    bits = "".join(f"{byte:08b}" for byte in sps.replace(b"\0\0\3", b"\0\0")).rstrip("0")
    assert bits.endswith("1")
    body = bits[:-1]
    for buffering in ("00101", "00100", "011"):
        if body.endswith("011" + buffering):
            body = body[: -3 - len(buffering)] + "1" + buffering
            break
    else:
        raise AssertionError("no SPS of two reordered frames")
    body += "1"
    body += "0" * (-len(body) % 8)
    plain = int(body, 2).to_bytes(len(body) // 8, "big")
    out = b""
    for byte in plain:
        out += (b"\3" if out.endswith(b"\0\0") and byte < 4 else b"") + bytes([byte])
    return out


def test_the_containers_cropping_and_shape(
    stream: tuple[bytes, list[Unit]], tmp_path: Path
) -> None:
    record, found = stream
    samples = [(lengths(u.data), u.pts, u.dts) for u in found]
    path = in_mp4(tmp_path / "a.mp4", [record], samples, size=(22, 32))
    line = held_to_ffmpeg(path)
    assert (line.info(0).width, line.info(0).crop_right) == (22, 10)
    extract(path, tmp_path / "a.h5", verify=True)
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert (priors.attrs["width"], priors.attrs["height"]) == (22, 32)
    blocks = [(data, pts // 90) for data, pts, _ in samples]
    wide = in_mkv(tmp_path / "a.mkv", record, blocks, shown_width=64, shown_height=32)
    extract(wide, tmp_path / "b.h5", verify=True)
    with PriorsFile(tmp_path / "b.h5") as priors:
        assert priors.attrs["sample_aspect_ratio"] == "2/1"
    ignored = in_mp4(tmp_path / "c.mp4", [record], samples, size=(640, 360))
    assert look_through(open_source(ignored)).info(0).width == 32


def cut_gop(path: Path, options: dict[str, str], first: int) -> Path:
    """A clip without its first packets, as a cut that does not look writes it."""
    record, found = units(path.with_name("s.mp4"), frames=48, options=options)
    blocks = [(lengths(u.data), (u.pts - found[first].dts) // 90 + 400) for u in found[first:]]
    return in_mkv(path, record, blocks)


OPEN = {"bf": "3", "g": "12", "x264-params": "open-gop=1:b-adapt=0"}
REFRESH = {"bf": "0", "g": "8", "x264-params": "intra-refresh=1:keyint=8"}


@pytest.mark.parametrize(
    ("options", "first"),
    [(OPEN, 0), (OPEN, 5), (OPEN, 12), (OPEN, 24), (REFRESH, 0), (REFRESH, 5), (REFRESH, 13)],
)
def test_ranges_of_open_gops_and_intra_refresh(
    tmp_path: Path, options: dict[str, str], first: int
) -> None:
    path = cut_gop(tmp_path / "a.mkv", options, first)
    whole = [record.decoded[0] for record, _ in iterate(path)]
    lumas, _ = shown(path)
    assert len(whole) == len(lumas)
    for a, b in ((0, 3), (5, 9), (len(whole) - 4, len(whole))):
        summary = extract(path, tmp_path / "a.h5", frames=(a, b), verify=True, overwrite=True)
        assert summary.frames == b - a and summary.verified
        with PriorsFile(tmp_path / "a.h5") as priors:
            np.testing.assert_array_equal(priors.read("decoded/y"), whole[a:b])
            assert priors.attrs["first_frame"] == a


def test_a_range_where_times_do_not_increase(
    stream: tuple[bytes, list[Unit]], tmp_path: Path
) -> None:
    record, found = stream
    found = [u._replace(pts=u.pts if u.pts < 5 * TICKS else u.pts - TICKS) for u in found]
    path = written("mkv", tmp_path / "a.mkv", record, found, set())
    whole = [record.decoded[0] for record, _ in iterate(path)]
    for a, b in ((3, 6), (5, 9)):
        extract(path, tmp_path / "a.h5", frames=(a, b), verify=True, overwrite=True)
        with PriorsFile(tmp_path / "a.h5") as priors:
            np.testing.assert_array_equal(priors.read("decoded/y"), whole[a:b])


@pytest.mark.parametrize("asked", [{"frames": (6, 9)}, {"start": 0.24, "end": 0.36}])
@pytest.mark.parametrize("moved", [-1, 1])
def test_verification_finds_a_wrong_range(
    stream: tuple[bytes, list[Unit]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict[str, object],
    moved: int,
) -> None:
    """The selection is broken on purpose: by a frame, by its end, and in the table of rows."""
    record, found = stream
    path = written("mp4", tmp_path / "a.mp4", record, found, set())
    extract(path, verify=True, **asked)
    select = Timeline.select

    def broken(self: Timeline, rows: range) -> Selection:
        return select(self, range(rows.start + moved, rows.stop + moved))

    def longer(self: Timeline, rows: range) -> Selection:
        return select(self, range(rows.start, rows.stop + moved))

    for wrong in (broken, longer):
        monkeypatch.setattr(Timeline, "select", wrong)
        with pytest.raises(VerificationError):
            extract(path, verify=True, **asked)
    monkeypatch.setattr(Timeline, "select", select)
    span = Timeline.span
    monkeypatch.setattr(
        Timeline, "span", lambda self, **how: range(*(r + moved for r in _ends(span(self, **how))))
    )
    with pytest.raises(VerificationError):
        extract(path, verify=True, **asked)


def _ends(rows: range) -> tuple[int, int]:
    return rows.start, rows.stop


def test_verification_finds_wrong_times(
    stream: tuple[bytes, list[Unit]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, found = stream
    path = written("mp4", tmp_path / "a.mp4", record, found, set())
    monkeypatch.setattr(Timeline, "time", lambda self, row: 0.0)
    put = timeline._set_times

    def late(line: Timeline, stamps: object) -> None:
        put(line, stamps)
        line.pts[3] += 1

    monkeypatch.setattr(timeline, "_set_times", late)
    with pytest.raises(VerificationError, match="is FFmpeg's at"):
        extract(path, verify=True)


def test_encrypted_pictures_are_refused(
    stream: tuple[bytes, list[Unit]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Common encryption, of FFmpeg's own making."""
    key = "0123456789abcdef0123456789abcdef"
    with av.open(str(tmp_path / "a.mp4"), "w", container_options={
        "encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key,
    }) as out:  # fmt: skip
        video = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        for k in range(5):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = k
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    with pytest.raises(VideoError, match="is encrypted"):
        extract(tmp_path / "a.mp4", tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_scrambled_transport_streams_and_encrypted_matroska_are_refused(
    stream: tuple[bytes, list[Unit]], tmp_path: Path
) -> None:
    record, found = stream
    video = written("ts", tmp_path / "a.ts", record, found, set())
    data = bytearray(video.read_bytes())
    for at in range(2 * 188, len(data), 188):
        data[at + 3] |= 0x80
    video.write_bytes(data)
    encoding = element(0x5031, b"\0") + element(0x5032, b"\1") + element(0x5033, b"\1")
    encoding += element(0x5035, element(0x47E1, b"\5") + element(0x47E2, bytes(16)))
    blocks = [(b"\1" + bytes(8) + lengths(u.data)[::-1], u.pts // 90) for u in found]
    locked = in_mkv(
        tmp_path / "a.mkv", record, blocks, also=element(0x6D80, element(0x6240, encoding))
    )
    for path in (video, locked):
        with pytest.raises(VideoError, match="is encrypted"):
            extract(path, tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_stream_that_appears_on_the_way(stream: tuple[bytes, list[Unit]], tmp_path: Path) -> None:
    record, found = stream
    path = written("ts", tmp_path / "a.ts", record, found, set())
    data = bytearray(path.read_bytes())
    packets = len(data) // 188
    data[188 * (packets - 2) + 2] ^= 4  # another PID
    path.write_bytes(data)
    assert len(list(iterate(path))) >= len(found) - 2


@pytest.mark.parametrize("lost", [5, 16])
def test_what_follows_a_lost_picture_is_shown(tmp_path: Path, lost: int) -> None:
    """Also where frame_num begins anew with the lost one, picture order following it (8.2.1.3).

    FFmpeg then takes all that follows for older than what it showed, up to the next IDR picture.
    """
    record, found = units(tmp_path / "s.mp4", frames=24, options={"g": "40", "bf": "0"})
    del found[lost]
    path = written("ts", tmp_path / "a.ts", record, found, set())
    frames = list(iterate(path))
    assert len(frames) == len(found) >= len(shown(path)[0])
    if lost == 16:
        with pytest.raises(VerificationError, match="damaged: .*decoders differ"):
            extract(path, verify=True)
    assert [frame.concealed for frame, _ in frames].count(True) > 0
    lumas, _ = shown(path)
    for (frame, info), luma in zip(frames[:lost], lumas, strict=False):
        np.testing.assert_array_equal(frame.decoded[0][info.crop], luma)  # type: ignore[index]


def test_one_of_several_video_streams(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        made = []
        for size in ((64, 48), (96, 80)):
            video = out.add_stream("libx264", rate=25)
            video.width, video.height = size
            made.append(video)
        for k, video in itertools.product(range(4), made):
            frame = av.VideoFrame(video.width, video.height, "yuv420p")
            frame.pts = k
            out.mux(video.encode(frame))
        for video in made:
            out.mux(video.encode(None))
    summary = extract(path)
    assert (summary.width, summary.height) == (96, 80) and "video stream 1 of" in summary.text()
    chosen = extract(path, stream=0, verify=True)
    assert (chosen.width, chosen.height) == (64, 48) and "video stream 0 of" in chosen.text()
    with pytest.raises(VideoError, match="no H.264 or HEVC video stream 7: it has 0 h264 64x48"):
        extract(path, stream=7)


def test_messages_say_what_is_the_matter(stream: tuple[bytes, list[Unit]], tmp_path: Path) -> None:
    record, found = stream
    fragmented = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = encode(tmp_path / "w.mp4", frames=6, sound=False, container=fragmented).read_bytes()
    (tmp_path / "init.mp4").write_bytes(whole[: whole.index(b"moof") - 4])
    (tmp_path / "segment.m4s").write_bytes(whole[whole.index(b"moof") - 4 :])
    samples = [(b"\xff" * 50, k * TICKS, k * TICKS) for k in range(5)]
    in_mp4(tmp_path / "odd.mp4", [record], samples)
    sets = [u._replace(data=u.data) for u in found]
    in_mkv(tmp_path / "unset.mkv", b"", [(u.data, u.pts // 90) for u in sets])
    for name, says in {
        "init.mp4": "initialisation segment of a fragmented MP4",
        "segment.m4s": "media segment of a fragmented MP4",
        "odd.mp4": "neither NAL units behind lengths nor behind start codes",
        "unset.mkv": "parameter sets are missing, in the container and in the stream",
    }.items():
        with pytest.raises(VideoError, match=says):
            extract(tmp_path / name)
    assert H264_NALS.length_size(record) == 4
