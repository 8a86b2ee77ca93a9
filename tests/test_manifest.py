"""Decoded frame counts, their cache, and the hash over what the clips are."""

import pandas as pd
import pytest
import tiny

import repro.data.manifest as manifest
from repro.data.clips import read_split
from repro.data.decode import DecodeError, count_frames
from repro.data.manifest import build_manifest, manifest_hash


@pytest.fixture
def clips(tmp_path):
    return read_split(**tiny.write_ucf101(tmp_path / "set"), split=1).train


@pytest.fixture
def counted(monkeypatch):
    """Names of the files that were really decoded."""
    names = []

    def count(path):
        names.append(str(path).rsplit("/", 1)[1])
        return count_frames(path)

    monkeypatch.setattr(manifest, "count_frames", count)
    return names


def test_counts_and_the_cache(clips, counted, tmp_path):
    cache = tmp_path / "build" / "manifest.parquet"
    table = build_manifest(clips, cache=cache)
    assert table["frames"].tolist() == [6 + group % 3 for _ in range(2) for group in (8, 9, 10)]
    assert table["name"].tolist() == [clip.name for clip in clips] and len(counted) == 6
    pd.testing.assert_frame_equal(build_manifest(clips, cache=cache), table)
    assert len(counted) == 6
    tiny.write_video(clips[2].path, frames=4)
    assert build_manifest(clips, cache=cache)["frames"].tolist() == [8, 6, 4, 8, 6, 7]
    assert counted[6:] == [clips[2].path.name]


def test_bad_clips_are_counted_and_the_others_kept(clips, counted, tmp_path):
    cache = tmp_path / "manifest.parquet"
    clips[4].path.write_bytes(b"")
    clips[1].path.write_text("not a video")
    with pytest.raises(DecodeError, match=rf"2 of 6 clips do not decode; first: .*{clips[1].path.name}"):
        build_manifest(clips, cache=cache)
    for index in (1, 4):
        tiny.write_video(clips[index].path, frames=3)
    counted.clear()
    assert build_manifest(clips, cache=cache)["frames"].tolist()[1::3] == [3, 3]
    assert sorted(counted) == sorted(clips[i].path.name for i in (1, 4))


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
        split = read_split(**tiny.write_ucf101(tmp_path / place), split=1)
        hashes.append(manifest_hash(build_manifest(split.train, cache=None), build_manifest(split.test, cache=None)))
    assert hashes[0] == hashes[1]
