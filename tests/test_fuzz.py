"""Files as disks, downloads and people spoil them: a right result or one message that names the file, each time.

200 mutations, drawn from seeds, of real clips, frame caches, lists and records: cut, bits flipped, blocks emptied or
swapped, renamed. ``REPRO_FUZZ=20000`` in the environment tries so many.
"""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import record

from repro.data.clips import read_split
from repro.data.decode import DECODERS, count_frames, iter_frames
from repro.data.images import DecodeError
from repro.data.manifest import unusable
from repro.data.parallel import quiet_decoders
from repro.data.prepare.frame_cache import cache_frames
from repro.experiment.fields import ROLES, Experiment
from repro.experiment.profile import make_profile
from repro.inference.predict import find_clips
from repro.records.record import read_record

TRIES = int(os.environ.get("REPRO_FUZZ", "200"))


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three accidents of those that happen to files."""
    for _ in range(rng.integers(1, 4)):
        if not data:
            return data
        start = int(rng.integers(len(data)))
        end = min(len(data), start + int(rng.integers(1, max(2, len(data) // 4))))
        kind = rng.integers(7)
        if kind == 0:
            data = data[:start]
        elif kind == 1:
            data = data[start:]
        elif kind == 2:
            data = data[:start] + bytes(end - start) + data[end:]
        elif kind == 3:
            data = data[:start] + data[end:]
        elif kind == 4:
            other = int(rng.integers(len(data)))
            data = data[:start] + data[other : other + end - start] + data[end:]
        elif kind == 5:
            flipped = bytearray(data)
            for at in rng.integers(len(data), size=rng.integers(1, 40)):
                flipped[at] ^= 1 << int(rng.integers(8))
            data = bytes(flipped)
        else:
            data = data[:start] + rng.bytes(end - start) + data[end:]
    return data


# ---- clips


def look(path: Path, decoder: str) -> str:
    """What reading says, "" for frames as they should be; anything but DecodeError is raised."""
    quiet_decoders()
    try:
        count = count_frames(path, decoder=decoder)
        frames = list(iter_frames(path, [0, count // 2, count - 1], decoder=decoder))
    except DecodeError as error:
        return str(error)
    assert len(frames) == 3 and len({frame.shape for frame in frames}) == 1
    assert all(frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 for frame in frames)
    return ""


def sources(folder: Path, shared: Path) -> list[Path]:
    """Real clips of each encoding at hand, small ones, and a frame cache of one."""
    clips = sorted(shared.glob("as-distributed/*.avi"), key=lambda path: path.stat().st_size)[:3]
    clips += sorted(shared.glob("odd-files/*.mp4")) + sorted(shared.glob("ucf101-3/videos/*/*.avi"))[:1]
    one = tiny.write_video(folder / "one.avi", frames=9)
    cache_frames({"one.avi": one}, folder / "cache", workers=1)
    return [*clips, *(folder / "cache").rglob("*.zip")]


def test_clips(tmp_path, shared_clips):
    originals = sources(tmp_path, shared_clips)
    context = multiprocessing.get_context("spawn")  # a decoder that falls takes its own process with it
    seeds = {}
    for seed in range(TRIES // 2):
        rng = np.random.default_rng([1, seed])
        original = originals[seed % len(originals)]
        suffix = original.suffix if rng.random() < 0.85 else (".mp4", ".avi", ".mkv", ".zip")[rng.integers(4)]
        path = tmp_path / "spoilt" / f"{seed}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutated(original.read_bytes(), rng))
        seeds[path] = DECODERS[seed % 2]
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = list(pool.map(look, seeds, seeds.values()))
    for path, said in zip(seeds, found):
        assert said == "" or (str(path) in said and "Traceback" not in said), (path.name, said)
    assert 0.1 < sum(map(bool, found)) / len(found) < 0.95, "some are read, some are refused"
    assert find_clips([tmp_path / "spoilt"])


# ---- lists

WRITERS = {
    "ucf101": tiny.write_ucf101,
    "hmdb51": lambda root: tiny.write_hmdb51(root, {"golf": {"a.avi": 1, "b.avi": 2}, "run": {"c.avi": 1, "d.avi": 2}}),
    "something_v1": tiny.write_something_v1,
    "kinetics400": tiny.write_kinetics400,
}


def spoilt(text: bytes, rng: np.random.Generator) -> bytes:
    """A list as editors, spreadsheets and copying spoil it."""
    lines = text.splitlines(keepends=True)
    at = int(rng.integers(len(lines))) if lines else 0
    changes: list[Callable[[], bytes]] = [
        lambda: mutated(text, rng),
        lambda: text.replace(b"\n", b"\r"),
        lambda: text.replace(b"\n", b"\r\n"),
        lambda: b"\xef\xbb\xbf" + text,
        lambda: text.decode().encode("utf-16"),
        lambda: b"".join([*lines[:at], lines[at], *lines[at:]]),
        lambda: b"".join(lines[:at] + lines[at + 1 :]),
        lambda: text.replace(b"/", b"\\"),
        lambda: text.replace(b",", b";").replace(b" ", b"\t"),
        lambda: b"".join([*lines[:at], b"x" * 200_000 + b"," * 9 + b"\n", *lines[at:]]),
        lambda: b"".join([*lines[:at], b'"never closed, ' + lines[at], *lines[at + 1 :]]),
        lambda: text.swapcase(),
        lambda: b"",
    ]
    return changes[rng.integers(len(changes))]()


@pytest.mark.parametrize("layout", WRITERS)
def test_lists(tmp_path, layout):
    fields = {"flip": False} | WRITERS[layout](tmp_path / "set")
    lists = sorted(path for path in Path(fields["annotations"]).rglob("*") if path.is_file())
    whole = {path: path.read_bytes() for path in lists}
    experiment = Experiment.from_mapping({k: v for k, v in fields.items() if k in ROLES})
    expected = read_split(experiment)
    right = refused = 0
    for seed in range(TRIES // 2 // len(WRITERS)):
        rng = np.random.default_rng([2, seed])
        path = lists[seed % len(lists)]
        path.write_bytes(spoilt(whole[path], rng))
        if rng.random() < 0.1:
            path.unlink()
        try:
            found = read_split(experiment)
        except (ValueError, OSError) as error:
            refused += 1
            text = str(error)
            assert str(tmp_path) in text or "class" in text, text
            assert "\n" not in text.strip() and "codec" not in text and "object" not in text, text
        else:
            right += 1
            paths = {clip.path for clip in (*found.train, *found.test)}
            assert paths <= {clip.path for clip in (*expected.train, *expected.test)}
        path.write_bytes(whole[path])
    assert refused > 3
    assert read_split(experiment) == expected


# ---- records, fields, profiles


def test_records(tmp_path):
    made = record(tmp_path, labels=[0, 1, 2, 0], scores=np.eye(3)[[0, 1, 2, 1]])
    files = {path: path.read_bytes() for path in sorted(made.folder.iterdir())}
    for seed in range(TRIES // 8):
        rng = np.random.default_rng([3, seed])
        path = sorted(files)[seed % len(files)]
        path.write_bytes(mutated(files[path], rng))
        try:
            found = read_record(made.folder)
        except ValueError as error:
            assert str(made.folder) in str(error) and "\n" not in str(error).strip(), str(error)
        else:
            assert np.isfinite(found.scores).all() and len(found.predictions) == 4
        path.write_bytes(files[path])
    assert read_record(made.folder).name == made.name


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.dictionaries(st.sampled_from([*ROLES, "epoch", ""]), ANYTHING, max_size=4))
def test_fields_that_nobody_thought_of(values):
    try:
        found = Experiment.from_mapping(values)
    except ValueError as error:
        text = str(error)
        assert any(name in text for name in values) or "flip" in text or "validation_fraction" in text, text
    else:
        assert Experiment.from_mapping(found.to_dict()) == found


@settings(max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from(["study", "fields", "seeds", "splits", "networks", "groups", "pages", "x"]), ANYTHING
    )
)
def test_profiles_that_nobody_thought_of(values):
    text = yaml.safe_dump(json.loads(json.dumps(values, default=str))) if values else ""
    try:
        make_profile(yaml.safe_load(text) or {})
    except ValueError as error:
        assert "\n" not in str(error).strip()


def test_a_clip_that_a_list_names_and_a_disk_has_spoilt(tmp_path):
    """What cannot be read is named with its reason, and the rest stay as they are."""
    data = tiny.write_ucf101(tmp_path / "set")
    split = read_split(tiny.experiment(data))
    first, *others = (*split.train, *split.test)
    shutil.copyfile(__file__, first.path)
    assert list(unusable([first, *others])) == [first.name]
