"""Decoded frame counts, where they come from, and the hash over what the clips are."""

import pandas as pd
import pytest
import tiny

import repro.data.manifest as manifest
from repro.data.clips import Clip, ClipFields, read_split
from repro.data.decode import DecodeError, count_frames
from repro.data.facts import STORE
from repro.data.manifest import build_manifest, manifest_hash, unusable
from repro.data.prepare.audit import audit
from repro.data.prepare.frame_cache import cache_frames


@pytest.fixture(autouse=True)
def _no_count_kept_before(monkeypatch, tmp_path):
    monkeypatch.setattr(manifest, "CACHE", tmp_path / "build" / "counts.parquet")


@pytest.fixture
def clips(tmp_path):
    return read_split(ClipFields(**tiny.write_ucf101(tmp_path / "set"))).train


@pytest.fixture
def counted(monkeypatch):
    """Names of the files that were really decoded."""
    names = []

    def count(path, *, decoder):
        names.append(str(path).rsplit("/", 1)[1])
        return count_frames(path, decoder=decoder)

    monkeypatch.setattr(manifest, "count_frames", count)
    return names


def test_counts_and_the_cache(clips, counted, tmp_path):
    table = build_manifest(clips)
    assert table["frames"].tolist() == [6 + group % 3 for _ in range(2) for group in (8, 9, 10)]
    assert table["name"].tolist() == [clip.name for clip in clips] and len(counted) == 6
    pd.testing.assert_frame_equal(build_manifest(clips), table)
    assert len(counted) == 6
    tiny.write_video(clips[2].path, frames=4)
    assert build_manifest(clips)["frames"].tolist() == [8, 6, 4, 8, 6, 7]
    assert counted[6:] == [clips[2].path.name]


@pytest.mark.parametrize("place", ["videos/a", "videos/train/a", "videos"])
def test_an_audit_speaks_for_its_clips_wherever_they_lie_below_it(tmp_path, counted, place):
    path = tiny.write_video(tmp_path / "set" / place / "x.avi")
    audit({"a/x": path}, tmp_path / "set" / STORE, workers=1)
    assert build_manifest([Clip("a/x", path, 0, "g")])["frames"].tolist() == [6]
    assert counted == []
    tiny.write_video(path, frames=4)  # changed since: counted anew
    assert build_manifest([Clip("a/x", path, 0, "g")])["frames"].tolist() == [4]
    assert counted == ["x.avi"]


def test_bad_clips_are_counted_and_the_others_kept(clips, counted, tmp_path):
    clips[4].path.write_bytes(b"")
    clips[1].path.write_text("not a video")
    with pytest.raises(DecodeError, match=rf"2 of 6 clips do not decode; first: .*{clips[1].path.name}") as caught:
        build_manifest(clips)
    assert str(caught.value).endswith(". Mend them, name a subset with classes, or set unusable: leave_out")
    for index in (1, 4):
        tiny.write_video(clips[index].path, frames=3)
    counted.clear()
    assert build_manifest(clips)["frames"].tolist()[1::3] == [3, 3]
    assert sorted(counted) == sorted(clips[i].path.name for i in (1, 4))


def test_clips_that_can_be_used_and_why_the_others_cannot(clips, tmp_path):
    clips[1].path.write_text("not a video")
    clips[3].path.unlink()
    reasons = unusable(clips)
    assert list(reasons) == [clips[1].name, clips[3].name] and reasons[clips[3].name] == "No such file or directory"
    assert reasons[clips[1].name].startswith("no video (text?)")
    assert build_manifest([clips[i] for i in (0, 2, 4, 5)])["frames"].tolist() == [8, 7, 6, 7]


def test_frame_folders_and_frame_caches_are_counted(tmp_path):
    folder = tiny.write_frames(tmp_path / "videos" / "7", frames=9)
    cache_frames({"7": folder}, tmp_path / "frames", workers=1)
    clips = [Clip("7", folder, 0, "7"), Clip("7z", tmp_path / "frames" / "7.zip", 0, "7")]
    table = build_manifest(clips)
    assert table["frames"].tolist() == [9, 9]
    assert table["bytes"].tolist() == [sum(f.stat().st_size for f in folder.iterdir()), clips[1].path.stat().st_size]
    tiny.write_frames(folder, frames=11)
    assert build_manifest(clips)["frames"].tolist() == [11, 9]


def test_counts_come_from_the_audit_while_clips_are_unchanged(clips, counted, tmp_path):
    paths = {clip.name: clip.path for clip in clips}
    clips[5].path.write_bytes(b"")
    table = audit(paths, tmp_path / "set" / "manifest.parquet", workers=1)
    assert table["frames"].tolist() == [8, 6, 7, 8, 6, 0]
    assert build_manifest(clips[:5])["frames"].tolist() == [8, 6, 7, 8, 6] and counted == []
    assert unusable(clips) == {clips[5].name: table["reason"][5]}
    tiny.write_video(clips[1].path, frames=12)
    assert build_manifest(clips[:5])["frames"].tolist() == [8, 12, 7, 8, 6]
    assert counted == [clips[1].path.name]


def test_clips_are_judged_by_the_reader_that_reads_them(clips, counted, tmp_path):
    tiny.write_av1(clips[0].path)  # whatever its name says; OpenCV decodes none of it
    table = audit({clip.name: clip.path for clip in clips}, tmp_path / "set" / STORE, workers=1)
    assert table["reader"].tolist() == ["pyav", *["opencv"] * 5] and table["codec"].tolist()[:2] == ["AV01", "MJPG"]
    assert table["verdict"].tolist() == ["ok"] * 6 and table["announced"].tolist()[0] == 6
    assert unusable(clips) == unusable(clips, decoder="pyav") == {}
    # the audit read these by OpenCV: it cannot speak for PyAV
    assert sorted(counted) == sorted(clip.path.name for clip in clips[1:])
    (tmp_path / "set" / STORE).unlink()
    for decoder in ("opencv", "pyav"):
        assert build_manifest(clips, decoder=decoder)["frames"].tolist() == [6, 6, 7, 8, 6, 7]


def test_the_hash_is_of_what_the_clips_are_not_of_their_order():
    train = pd.DataFrame({"name": ["a", "b"], "label": [0, 1], "bytes": [10, 20], "frames": [5, 6]})
    test = pd.DataFrame({"name": ["c"], "label": [0], "bytes": [30], "frames": [7]})
    known = manifest_hash(train, test)
    assert len(known) == 16 and manifest_hash(train.iloc[::-1], test) == known
    for column in ("label", "bytes", "frames"):
        changed = train.copy()
        changed.loc[1, column] += 1
        assert manifest_hash(changed, test) != known, column
    assert manifest_hash(train.iloc[:1], pd.concat([test, train.iloc[1:]])) != known  # moved to the other part


def test_the_hash_does_not_depend_on_the_place(tmp_path):
    hashes = []
    for place in ("one", "two"):
        split = read_split(ClipFields(**tiny.write_ucf101(tmp_path / place)))
        hashes.append(manifest_hash(build_manifest(split.train), build_manifest(split.test)))
    assert hashes[0] == hashes[1]
