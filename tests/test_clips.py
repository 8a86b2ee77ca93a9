"""Where listed clips lie on the disk, what is missing and what no list names, and validation clips set aside."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
import tiny

from repro.data.clips import Clip, ClipFields, carve_validation, read_split, unlisted
from repro.data.folder import skipped
from repro.data.lists import require_folder

UCF101_3 = {1: (290, 104), 2: (283, 111), 3: (282, 112)}


def read(data, **options):
    check = options.pop("check", True)
    return read_split(ClipFields(**data | options), check=check)


@pytest.fixture
def ucf101(tmp_path):
    return tiny.write_ucf101(tmp_path / "set", classes=("Bar", "Foo", "Qux"), videos=False)


def videos(data) -> Path:
    return Path(data["videos"])


# --- found ---


def test_a_subset_keeps_the_dataset_s_order_and_counts_from_zero(ucf101):
    split = read(ucf101, classes=["Qux", "Bar"])
    assert split.classes == ("Bar", "Qux")
    assert {clip.name.split("/")[0]: clip.label for clip in (*split.train, *split.test)} == {"Bar": 0, "Qux": 1}


def test_a_clip_is_the_video_else_its_frame_cache_else_its_frames(ucf101):
    folder = videos(ucf101) / "Foo"
    listed = folder / "v_Foo_g01_c01.avi"

    def found() -> Path:
        return next(clip.path for clip in read(ucf101).test if clip.name == "Foo/v_Foo_g01_c01.avi")

    (folder / "v_Foo_g01_c01").mkdir()
    (folder / "v_Foo_g01_c01.zip").touch()
    (folder / "v_Foo_g01_c01.mp4").touch()  # another container is not what the list names
    assert found() == listed
    listed.unlink()
    assert found() == folder / "v_Foo_g01_c01.zip"
    (folder / "v_Foo_g01_c01.zip").unlink()
    assert found() == folder / "v_Foo_g01_c01"
    (folder / "v_Foo_g01_c01").rmdir()
    with pytest.raises(FileNotFoundError, match="1 of 15 listed clips"):
        read(ucf101)


@pytest.mark.parametrize("spelt", ["HandStandPushups", "handstandpushups"])
def test_names_in_another_case_are_found(tmp_path, spelt):
    data = tiny.write_ucf101(tmp_path / "set", classes=("HandstandPushups", "Foo"), videos=False)
    folder = videos(data) / "HandstandPushups"
    listed = {clip.name for clip in read(data).train}
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("HandstandPushups", spelt).replace(".avi", ".AVI"))
    folder.rename(videos(data) / spelt)
    split = read(data)
    assert {clip.name for clip in split.train} == listed  # called as the list has it
    assert {clip.path.parent.name for clip in split.train if clip.label == 0} == {spelt}
    assert all(clip.path.is_file() for clip in (*split.train, *split.test))
    # with both spellings there the list's own counts, and with two others neither
    shutil.copytree(videos(data) / spelt, folder)
    for path in folder.iterdir():
        path.rename(folder / path.name.replace(spelt, "HandstandPushups").replace(".AVI", ".avi"))
    assert {clip.path.parent for clip in read(data).train if clip.label == 0} == {folder}
    folder.rename(videos(data) / "HANDSTANDPUSHUPS")
    with pytest.raises(FileNotFoundError, match="10 listed clips are not under"):
        read(data)


@pytest.mark.parametrize(
    "folder", ["{part}/{label}", "{part}/{under_scores}", "{label}", "{under_scores}", "{part}", ""]
)
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_kinetics_clips_are_found_in_each_of_its_layouts(tmp_path, folder, suffix):
    data = tiny.write_kinetics400(tmp_path, folder=folder, suffix=suffix, frames=1)
    split = read(data)
    assert (len(split.train), len(split.test)) == (6, 4)
    for clip in (*split.train, *split.test):
        assert clip.path.is_file() and clip.path.name == clip.name.split("/")[1] + suffix
    assert unlisted(ClipFields(**data)) == []
    stray = next(videos(data).rglob(f"*{suffix}")).with_name(f"other_000001_000011{suffix}")
    stray.touch()
    assert unlisted(ClipFields(**data)) == [stray]


@pytest.mark.parametrize("number", UCF101_3)
def test_the_three_real_classes_are_all_there(number):
    data = tiny.shared_data()
    where = {"videos": data / "ucf101-3" / "videos", "annotations": data / "annotations" / "ucf101", "split": number}
    split = read_split(ClipFields("ucf101", **where, classes=["BabyCrawling", "Punch", "PushUps"]))
    assert (len(split.train), len(split.test)) == UCF101_3[number]
    assert len({clip.path for clip in (*split.train, *split.test)}) == 394
    assert unlisted(ClipFields("ucf101", **where)) == []


def test_each_folder_is_listed_once(ucf101, monkeypatch):
    seen = Counter()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: seen.update([Path(path).name]) or scandir(path))
    read(ucf101)
    assert seen == {"videos": 1, "Bar": 1, "Foo": 1, "Qux": 1}


# --- not found, not listed ---


def test_missing_and_empty_folders_are_named(ucf101):
    folder = videos(ucf101) / "Foo"
    (folder / "v_Foo_g08_c01.avi").unlink()
    message = (
        r"1 of 15 listed clips .* first Foo/v_Foo_g08_c01.avi \(.*/trainlist01.txt, line 4\); extract the dataset again"
        ", name a subset with classes, or set unusable: leave_out"
    )
    with pytest.raises(FileNotFoundError, match=message):
        read(ucf101)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match=r"5 of 15 listed clips .* first Foo/v_Foo_g08_c01.avi \("):
        read(ucf101)
    for field in ("videos", "annotations"):
        with pytest.raises(FileNotFoundError, match=rf"{field}: there is no folder .*nowhere; set {field}"):
            read(ucf101, **{field: "nowhere"})
    with pytest.raises(FileNotFoundError, match=r"data/demo/none; .* or make the demo set \(repro render-demo\)"):
        require_folder("videos", "data/demo/none")


def own_listed(folder: Path, *lines: str) -> dict[str, str]:
    """Eight clips of two classes, and a split file of these lines."""
    data = tiny.write_folder(folder, frames=1)
    (folder / "annotations" / "split1.csv").write_text("\n".join(["clip,part", *lines]) + "\n")
    return data


WHOLE = ("Bar/clip 0.avi,train", "Bar/clip 1.mp4,test", "Foo/clip 0.avi,train", "Foo/clip 1.mp4,test")


def test_own_clips_that_are_missing_are_named_as_the_list_writes_them(tmp_path):
    data = own_listed(tmp_path, *WHOLE, "Foo/clip 2.avi,train")
    message = (
        r"1 of 5 listed clips are not under .*, first Foo/clip 2 \(.*/split1.csv, line 6; clip 2.MKV is there\)"
        "; mend the list or put the clip there, name a subset with classes, or set unusable: leave_out"
    )
    with pytest.raises(FileNotFoundError, match=message):
        read(data)
    (videos(data) / "Foo" / "clip 2.MKV").unlink()
    with pytest.raises(FileNotFoundError, match=r"first Foo/clip 2 \(.*/split1.csv, line 6\); mend the list"):
        read(data)


def test_own_classes_without_folder_or_clips_are_named_with_their_line(tmp_path):
    data = own_listed(tmp_path / "a", *WHOLE, "run/clip 0.avi,train")
    message = r"1 of 5 listed clips are not under .*, first run/clip 0 \(.*/split1.csv, line 6\); mend the list"
    with pytest.raises(FileNotFoundError, match=message):
        read(data)
    assert len(read(data, classes=["Bar", "Foo"]).train) == 2  # the mend that the message names
    data = own_listed(tmp_path / "b", *WHOLE[:3])
    message = r"class Foo: no test clip of it is listed \(.*/split1.csv, line 4 is the first of it\); mend the"
    with pytest.raises(ValueError, match=message):
        read(data)


def test_unchecked_a_missing_clip_keeps_the_path_as_listed(ucf101):
    path = videos(ucf101) / "Foo" / "v_Foo_g08_c01.avi"
    whole = read(ucf101)
    path.unlink()
    assert read(ucf101, check=False) == whole
    shutil.rmtree(videos(ucf101))
    assert read(ucf101, check=False) == whole
    path.parent.mkdir(parents=True)
    path.with_suffix(".zip").touch()  # what is there is still found
    assert path.with_suffix(".zip") in {clip.path for clip in read(ucf101, check=False).train}


def test_clips_that_no_list_names_are_listed_and_are_no_error(ucf101):
    folder = videos(ucf101)
    assert unlisted(ClipFields(**ucf101)) == []
    strays = [folder / "Bar" / "v_Bar_g99_c01.avi", folder / "Extra" / "clip.mp4", folder / "Foo" / "frames"]
    for path in strays:
        path.parent.mkdir(exist_ok=True)
        path.touch() if path.suffix else path.mkdir()
    for name in ("Bar/Thumbs.db", "Bar/.hidden.avi", "Bar/v_Bar_g08_c01.zip", "notes.txt"):
        (folder / name).touch()  # no clips, or the frame cache of a listed one
    assert unlisted(ClipFields(**ucf101)) == strays
    assert len(read(ucf101).train) == 9


def litter(folder: Path) -> None:
    """What disk servers, unpackers and people leave in a folder of class folders, and in each of these."""
    for place in [folder, *(path for path in folder.iterdir() if path.is_dir())]:
        for name in ("@eaDir", "__MACOSX", "lost+found"):
            (place / name / "inside").mkdir(parents=True)
            (place / name / "inside" / "v_Bar_g01_c01.avi").touch()
        (place / "._v_Bar_g01_c01.avi").write_bytes(b"\0\5\x16\7")
        (place / "up").symlink_to(place.parent if place != folder else folder)
        (place / "to itself.avi").symlink_to("to itself.avi")
        (place / "to nothing.avi").symlink_to("gone.avi")


def test_what_systems_leave_and_links_to_nowhere_are_no_clips(ucf101, tmp_path):
    whole = read(ucf101)
    litter(videos(ucf101))
    assert read(ucf101) == whole and unlisted(ClipFields(**ucf101)) == []
    folder = videos(ucf101) / "Foo"
    (folder / "v_Foo_g08_c01.avi").unlink()
    (folder / "v_Foo_g08_c01.avi").symlink_to("gone.avi")
    with pytest.raises(FileNotFoundError, match=r"1 of 15 listed clips are not under .*, first Foo/v_Foo_g08_c01.avi"):
        read(ucf101)


@pytest.mark.parametrize("write", [tiny.write_folder, tiny.write_kinetics400, tiny.write_something_v1])
def test_so_in_other_layouts(tmp_path, write):
    data = write(tmp_path / "set")
    whole, others = read(data), unlisted(ClipFields(**data))
    litter(videos(data))
    assert read(data) == whole and unlisted(ClipFields(**data)) == others
    if data["layout"] == "folder":
        assert [path.name for path in skipped(videos(data))] == ["to itself.avi", "to nothing.avi", "up"] * 3


def test_unused_clips_are_listed_ones(tmp_path):
    data = tiny.write_hmdb51(tmp_path / "hmdb51", {"golf": {"a.avi": 1, "b.avi": 2, "c.avi": 0}})
    assert unlisted(ClipFields(**data)) == []
    data = tiny.write_something_v1(tmp_path / "something", frames=1)
    (videos(data) / "13").mkdir()  # of the test list
    (videos(data) / "14").mkdir()
    assert unlisted(ClipFields(**data)) == [videos(data) / "14"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layout": "ucf"}, "layout: unknown name 'ucf'; did you mean 'ucf101'"),
        ({"classes": ["Bar", "foo"]}, "classes: unknown name 'foo'; did you mean 'Foo'"),
        ({"classes": ["Bar"]}, "classes: name two classes or more"),
    ],
)
def test_wrong_options_are_named(ucf101, options, message):
    with pytest.raises(ValueError, match=message):
        read(ucf101, **options)


def test_a_class_without_clips_and_a_file_named_twice_are_refused(ucf101):
    path = Path(ucf101["annotations"]) / "trainlist01.txt"
    text = path.read_text()
    path.write_text("\n".join(line for line in text.splitlines() if "Foo" not in line))
    with pytest.raises(ValueError, match=r"class Foo: no training clip of it is listed \(.*/testlist01.txt, line 3"):
        read(ucf101)
    path.write_text(text + "Bar/V_BAR_g08_c01.avi 1\n")
    with pytest.raises(ValueError, match=r"the lists name it twice, as Bar/v_Bar_g08.* and as Bar/V_BAR_g08_c01.avi"):
        read(ucf101)


# --- validation ---


def test_validation_takes_whole_groups_of_every_class(tmp_path):
    data = tiny.write_ucf101(tmp_path / "set", train_groups=range(8, 18), clips=3, videos=False)
    clips = read(data).train
    train, validation = carve_validation(clips, 0.2, seed=1)
    assert len(validation) == 2 * 2 * 3 and sorted((*train, *validation), key=clips.index) == list(clips)
    assert Counter(clip.label for clip in validation) == {0: 6, 1: 6}
    assert not {clip.group for clip in train} & {clip.group for clip in validation}
    assert carve_validation(clips, 0.2, seed=1) == (train, validation)
    assert carve_validation(clips, 0.2, seed=2) != (train, validation)
    assert carve_validation(clips, 0.0, seed=1) == (clips, ())


def test_one_group_cannot_be_carved(tmp_path):
    clips = read(tiny.write_ucf101(tmp_path / "set", train_groups=(8,), videos=False)).train
    with pytest.raises(ValueError, match=r"validation_fraction: none of the groups of class 0 .*\(it has 1\)"):
        carve_validation(clips, 0.2, seed=0)


def test_a_film_that_spans_classes_is_on_one_side():
    """Ten films of two classes each, as HMDB51 has them: film k has clips of classes k % 5 and (k + 1) % 5."""
    clips = tuple(
        Clip(f"film{k}-{label}-{j}", Path(), label, f"film{k}")
        for k in range(10)
        for label in (k % 5, (k + 1) % 5)
        for j in range(2)
    )
    for seed in range(20):
        train, validation = carve_validation(clips, 0.25, seed=seed)
        assert not {clip.group for clip in train} & {clip.group for clip in validation}
        assert {clip.label for clip in train} == {clip.label for clip in validation} == set(range(5))
        assert sorted((*train, *validation), key=clips.index) == list(clips)


def test_no_class_is_left_without_clips_to_train_on():
    shared = (Clip("a", Path(), 0, "film"), Clip("b", Path(), 1, "film"), Clip("c", Path(), 1, "other"))
    with pytest.raises(ValueError, match="class 0"):
        carve_validation(shared, 0.5, seed=0)
    train, validation = carve_validation((*shared, Clip("d", Path(), 0, "third")), 0.5, seed=0)
    assert {clip.label for clip in train} == {0, 1} == {clip.label for clip in validation}


@pytest.mark.parametrize("split", [1, 2, 3])
def test_no_film_of_hmdb51_is_on_both_sides(split, shared_data):
    lists = shared_data / "annotations" / "hmdb51"
    clips = read_split(ClipFields("hmdb51", lists, lists, split), check=False).train
    train, validation = carve_validation(clips, 0.1, seed=0)
    assert not {clip.group for clip in train} & {clip.group for clip in validation}
    assert {clip.label for clip in validation} == set(range(51)) and 357 <= len(validation) <= 450
