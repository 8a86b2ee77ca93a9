"""The rendered demo set: what its frames depend on, what may not give a label away, and what is on disk."""

import hashlib
import inspect
import json
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest

from repro.data.demo import (
    BACKWARDS_PAIRS,
    CLASSES,
    ONE_WAY,
    PAIRS,
    actions,
    dataset,
    render_clip,
    render_demo_set,
    scene,
    variation,
)

SMALL = {"clips_per_class": 3, "clips_per_group": 1, "size": 64, "frames": 10}


def decode(path) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.array(frames)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory) -> Path:
    """Never changed by a test."""
    return render_demo_set(tmp_path_factory.mktemp("demo") / "set", workers=1, **SMALL)


# --- frames ---


def test_a_clip_depends_on_its_arguments_alone():
    first = render_clip("Drink", group=2, clip=3, seed=5, frames=12)
    scene.paint_background.cache_clear()
    render_clip("Clap", group=1, clip=1, frames=12)
    assert np.array_equal(first, render_clip("Drink", group=2, clip=3, seed=5, frames=12))
    for group, clip, seed in ((3, 3, 5), (2, 2, 5), (2, 3, 6)):
        assert not np.array_equal(first, render_clip("Drink", frames=12, group=group, clip=clip, seed=seed))


@pytest.mark.parametrize("size", [64, 112])
def test_shape_type_and_movement_at_other_sizes(size):
    for name in CLASSES:
        video = render_clip(name, group=1, clip=1, size=size, frames=8)
        assert video.shape == (8, size, size, 3) and video.dtype == np.uint8
        assert np.abs(np.diff(video.astype(int), axis=0)).mean() > 0.3, name


def test_a_scene_looks_alike_at_every_size():
    small, large = (render_clip("Sword", group=4, clip=2, size=size, frames=4) for size in (64, 128))
    shrunk = np.stack([cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in large])
    assert np.abs(small.astype(int) - shrunk).mean() < 6


def test_classes_differ_inside_every_pair():
    for first, second in PAIRS:
        videos = [render_clip(name, group=1, clip=1).astype(int) for name in (first, second)]
        assert np.abs(videos[0] - videos[1]).mean() > 1


def test_one_way_actions_are_those_with_rests():
    named = dict(zip(CLASSES, CLASSES)) | {second: first for first, second in BACKWARDS_PAIRS}
    assert {name for name in CLASSES if "progress(" in inspect.getsource(actions.ACTIONS[named[name]])} == ONE_WAY


# --- nothing but the motion tells ---


@pytest.mark.parametrize("pair", BACKWARDS_PAIRS)
def test_backwards_pairs_are_exact_reversals(pair):
    for clip in (1, 2, 3):
        first, second = (render_clip(name, group=1, clip=clip, frames=9) for name in pair)
        assert np.array_equal(first, second[::-1])
        assert not np.array_equal(first, second)


def test_the_coin_is_fair_and_the_environment_tells_no_direction():
    """The camera's drift has no preferred way in either class of a pair."""
    for pair in range(len(PAIRS)):
        coins, drifts = [], []
        for group in range(1, 101):
            for clip in range(1, 5):
                coins.append(variation.rendered_forwards(0, pair, group, clip))
                cameras = variation.draw_cameras(0, pair, group, clip, 2)
                drifts.append(cameras[1, 0, 2] - cameras[0, 0, 2])
        coins, drifts = np.array(coins), np.array(drifts)
        # 400 fair coins: 200 with a standard deviation of 10.
        assert 160 <= coins.sum() <= 240
        # In the first class a clip's time runs forwards where the coin is 0: equally often either way ...
        direction = np.where(coins == 0, 1, -1)
        assert abs(direction.mean()) < 4 / np.sqrt(len(coins))
        # ... and the drift seen in the first class, the opposite of the second's, has no mean beyond its error.
        seen = direction * drifts
        assert abs(seen.mean()) < 4 * seen.std() / np.sqrt(len(seen))


def test_rests_before_and_after_have_one_distribution():
    rhythms = [variation.draw_rhythm(0, 4, group, clip) for group in range(1, 101) for clip in range(1, 5)]
    differences = np.array([rhythm.rest_before - rhythm.rest_after for rhythm in rhythms])
    assert abs(differences.mean()) < 4 * differences.std() / np.sqrt(len(differences))


@pytest.mark.parametrize("group, clip", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_look_alike_pair_shares_scene_and_things_behind_and_other_pairs_do_not(monkeypatch, group, clip):
    """Without a figure, one class of a backwards pair shows the environment forwards and the other backwards."""
    monkeypatch.setattr("repro.data.demo.render._figure", lambda *arguments: [])
    empty = {name: render_clip(name, group=group, clip=clip, frames=6) for name in CLASSES}
    for first, second in PAIRS:
        same_time = empty[second][::-1] if (first, second) in BACKWARDS_PAIRS else empty[second]
        assert np.array_equal(empty[first], same_time)
    scenes = [empty[first].tobytes() for first, _ in PAIRS]
    assert len(set(scenes)) == len(PAIRS)


# --- the set on disk ---


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"seed": 2**32}, {"size": 8}, {"frames": 1}, {"size": 80.5}, {"clips_per_class": 0}]
)
def test_options_out_of_range(tmp_path, wrong):
    with pytest.raises(ValueError, match=f"demo set: {next(iter(wrong))}: .*input should be "):
        render_demo_set(tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_layout_and_labels(small_set):
    assert (small_set / "annotations/classInd.txt").read_text().splitlines()[:2] == ["1 Cartwheel", "2 Clap"]
    assert len(list(small_set.rglob("*.avi"))) == 3 * len(CLASSES)
    assert not (small_set / "partial").exists()
    assert json.loads((small_set / "demo.json").read_text())["size"] == 64
    video = small_set / "videos/Wave/v_Wave_g02_c01.avi"
    decoded, rendered = decode(video), render_clip("Wave", group=2, clip=1, size=64, frames=10)
    assert decoded.shape == rendered.shape
    assert np.abs(decoded.astype(int) - rendered).mean() < 8


def test_backwards_pairs_are_exact_reversals_after_decoding(small_set):
    for first, second in BACKWARDS_PAIRS:
        videos = [decode(small_set / f"videos/{name}/v_{name}_g01_c01.avi") for name in (first, second)]
        assert len(videos[0]) == 10 and np.array_equal(videos[0], videos[1][::-1])


def test_lists_cover_every_clip_once_and_no_group_straddles(small_set):
    names = {str(path.relative_to(small_set / "videos")) for path in small_set.rglob("*.avi")}
    tested = []
    for split in (1, 2, 3):
        train = [
            line.split() for line in (small_set / f"annotations/trainlist{split:02d}.txt").read_text().splitlines()
        ]
        test = (small_set / f"annotations/testlist{split:02d}.txt").read_text().split("\n")[:-1]
        assert sorted([name for name, _ in train] + test) == sorted(names)
        assert all(CLASSES[int(label) - 1] == name.split("/")[0] for name, label in train)
        groups = [{name.split("_")[-2] for name in side} for side in ([name for name, _ in train], test)]
        assert groups[0] and groups[1] and not groups[0] & groups[1]
        tested += test
    assert sorted(tested) == sorted(names)


def test_names_widen_together_and_the_last_group_is_smaller():
    wide = dataset.Spec(clips_per_class=401)
    assert wide.groups == 101 and wide.clips()[-1] == (101, 1)
    assert wide.name("Wave", 1, 1) == "Wave/v_Wave_g001_c01.avi"


def test_workers_do_not_change_a_byte(small_set, tmp_path):
    assert digests(render_demo_set(tmp_path / "two", workers=2, **SMALL)) == digests(small_set)


def test_an_interrupted_rendering_goes_on(small_set, tmp_path):
    root = render_demo_set(tmp_path / "set", workers=1, **SMALL)
    kept, lost = root / "videos/Eat/v_Eat_g01_c01.avi", root / "videos/Stand/v_Stand_g03_c01.avi"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    (root / "demo.json").unlink()
    (root / "partial").mkdir()
    (root / "partial" / lost.name).write_bytes(b"half a clip")
    render_demo_set(root, workers=1, **SMALL)
    assert digests(root) == digests(small_set)
    assert kept.stat().st_mtime_ns == before


def test_a_complete_set_is_left_alone(small_set, monkeypatch):
    monkeypatch.setattr(dataset, "_render_missing", None)
    assert render_demo_set(str(small_set), **SMALL) == small_set


@pytest.mark.parametrize("unfinished", [False, True])
def test_another_spec_in_the_folder_is_an_error(tmp_path, monkeypatch, unfinished):
    monkeypatch.setattr(dataset, "_render_missing", lambda *arguments: None)
    root = render_demo_set(tmp_path, **SMALL)
    if unfinished:
        (root / "demo.json").unlink()
    with pytest.raises(
        ValueError, match=rf"{root} holds another demo set: seed 0 there but 1 asked for; delete the folder"
    ):
        render_demo_set(root, **{**SMALL, "seed": 1})


def test_clips_of_unknown_origin_are_an_error(tmp_path):
    (tmp_path / "videos/Wave").mkdir(parents=True)
    (tmp_path / "videos/Wave/v_Wave_g01_c01.avi").write_bytes(b"")
    with pytest.raises(ValueError, match=r"neither demo\.json nor demo\.spec\.json"):
        render_demo_set(tmp_path, **SMALL)


def test_fewer_than_three_groups_are_warned_about(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "_render_missing", lambda *arguments: None)
    with pytest.warns(UserWarning, match="1 group"):
        render_demo_set(tmp_path, clips_per_class=2)


def test_a_clip_that_cannot_be_written_is_an_error(tmp_path):
    video = render_clip("Wave", group=1, clip=1, frames=10)
    with pytest.raises(OSError, match="cannot open"):
        dataset.write_clip(video, tmp_path / "a.avi", tmp_path / "missing")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, hard))  # files end after 12 kB, as on a full disk
    try:
        with pytest.raises(OSError, match=r"a\.avi: \d+ of 10 frames"):
            dataset.write_clip(video, tmp_path / "a.avi", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "a.avi").exists()
