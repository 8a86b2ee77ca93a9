"""Split lists of both layouts: the official ones by their known numbers, made ones for every fault."""

from collections import Counter
from pathlib import Path

import pytest
import tiny

from repro.data.clips import carve_validation, read_split

UCF101 = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}
UCF101_3 = {1: (290, 104), 2: (283, 111), 3: (282, 112)}
HMDB51 = {
    "golf": {"Tips_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi": 1, "a_golf_f_cm_np1_le_med_2.avi": 2, "b_golf_u.avi": 0},
    "climb": {"(HQ)_Rock_climb_f_cm_np1_le_med_2.avi": 1, "(HQ)_Rock_climb_f_cm_np1_le_med_3.avi": 2},
}


def read(data, **options):
    return read_split(**{"split": 1, **data, **options})


@pytest.fixture
def ucf101(tmp_path):
    return tiny.write_ucf101(tmp_path / "set", classes=("Bar", "Foo", "Qux"), videos=False)


def annotation(data, name: str) -> Path:
    return Path(data["annotations"]) / name


# --- what is read ---


def test_ucf101_by_hand(ucf101):
    split = read(ucf101)
    assert split.classes == ("Bar", "Foo", "Qux")
    assert (len(split.train), len(split.test)) == (9, 6)
    clip = next(c for c in split.test if c.name == "Foo/v_Foo_g02_c01.avi")
    assert (clip.label, clip.group) == (1, "Foo/g02")
    assert clip.path == Path(ucf101["videos"]) / clip.name


def test_a_subset_keeps_the_dataset_s_order_and_counts_from_zero(ucf101):
    split = read(ucf101, classes=["Qux", "Bar"])
    assert split.classes == ("Bar", "Qux")
    assert {clip.name.split("/")[0]: clip.label for clip in (*split.train, *split.test)} == {"Bar": 0, "Qux": 1}


def test_hmdb51_by_hand(tmp_path):
    split = read(tiny.write_hmdb51(tmp_path, HMDB51))
    assert split.classes == ("climb", "golf")
    assert [(clip.name, clip.label, clip.group) for clip in split.train] == [
        ("climb/(HQ)_Rock_climb_f_cm_np1_le_med_2.avi", 0, "(HQ)_Rock"),
        ("golf/Tips_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi", 1, "Tips_300+_Yards!!!"),
    ]
    assert [clip.label for clip in split.test] == [0, 1]  # flag 0 is in neither part


@pytest.fixture(scope="module")
def ucf101_names(tmp_path_factory):
    """Every clip of the official lists as an empty file."""
    lists = tiny.shared_data() / "annotations" / "ucf101"
    videos = tmp_path_factory.mktemp("ucf101")
    for line in (lists / "trainlist01.txt").read_text().splitlines() + (
        lists / "testlist01.txt"
    ).read_text().splitlines():
        path = videos / line.split()[0]
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return {"layout": "ucf101", "videos": videos, "annotations": lists}


@pytest.mark.parametrize("number", UCF101)
def test_the_official_ucf101_lists(ucf101_names, number):
    split = read(ucf101_names, split=number)
    assert len(split.classes) == 101
    assert (len(split.train), len(split.test)) == UCF101[number]
    assert not {c.group for c in split.train} & {c.group for c in split.test}
    trap = [c for c in (*split.train, *split.test) if "HandStandPushups" in c.name]
    assert trap and {split.classes[c.label] for c in trap} <= {"HandstandPushups", "HandStandPushups"}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_official_hmdb51_lists(tmp_path, number):
    lists = tiny.shared_data() / "annotations" / "hmdb51"
    for path in lists.glob(f"*_test_split{number}.txt"):
        folder = tmp_path / path.name.removesuffix(f"_test_split{number}.txt")
        folder.mkdir()
        for line in path.read_text().splitlines():
            (folder / line.split()[0]).touch()
    split = read({"layout": "hmdb51", "videos": tmp_path, "annotations": lists}, split=number)
    assert (len(split.classes), len(split.train), len(split.test)) == (51, 3570, 1530)
    assert set(Counter(clip.label for clip in split.test).values()) == {30}


@pytest.mark.parametrize("number", UCF101_3)
def test_the_three_real_classes_are_all_there(number):
    data = tiny.shared_data()
    split = read_split(
        "ucf101",
        videos=data / "ucf101-3" / "videos",
        annotations=data / "annotations" / "ucf101",
        split=number,
        classes=["BabyCrawling", "Punch", "PushUps"],
    )
    assert (len(split.train), len(split.test)) == UCF101_3[number]
    assert len({clip.path for clip in (*split.train, *split.test)}) == 394


# --- faults ---


def edit(data, name, change):
    path = annotation(data, name)
    path.write_text(change(path.read_text()))


FAULTS = {
    "label": (lambda t: t.replace("g08_c01.avi 1", "g08_c01.avi 2"), r"trainlist01.txt, line 1: label 2 for Bar"),
    "twice": (lambda t: t + t.splitlines()[0] + "\n", r"trainlist01.txt: Bar/v_Bar_g08_c01.avi is listed twice"),
    "class": (lambda t: t + "Nix/v_Nix_g01_c01.avi 4\n", r"trainlist01.txt, line 10: 'Nix/v_Nix"),
    "folder": (lambda t: t + "v_Bar_g01_c01.avi 1\n", r"trainlist01.txt, line 10: 'v_Bar_g01"),
    "group": (lambda t: t + "Bar/clip.avi 1\n", r"trainlist01.txt, line 10: no group .* in 'clip.avi'"),
    "none": (lambda t: "\n".join(x for x in t.splitlines() if "Foo" not in x), r"class Foo: .* no training clip"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_line_is_named(ucf101, fault):
    change, message = FAULTS[fault]
    edit(ucf101, "trainlist01.txt", change)
    with pytest.raises(ValueError, match=message):
        read(ucf101)


def test_faults_of_other_lists_are_named(ucf101, tmp_path):
    edit(ucf101, "classInd.txt", lambda text: text + "four Nix\n")
    with pytest.raises(ValueError, match=r"classInd.txt, line 4: expected '<number> <class>', found 'four Nix'"):
        read(ucf101)
    annotation(ucf101, "classInd.txt").write_bytes(b"1 Caf\xe9\n")
    with pytest.raises(ValueError, match=r"classInd.txt: not a text file in UTF-8"):
        read(ucf101)
    annotation(ucf101, "classInd.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"annotations: there is no file .*classInd.txt"):
        read(ucf101)
    data = tiny.write_hmdb51(tmp_path / "hmdb", HMDB51)
    edit(data, "golf_test_split1.txt", lambda text: text + "x_golf_u.avi 3\n")
    with pytest.raises(ValueError, match=r"golf_test_split1.txt, line 4: expected '<file> <0, 1 or 2>'"):
        read(data)
    with pytest.raises(FileNotFoundError, match=r"no file \*_test_split2.txt"):
        read(data, split=2)


def test_missing_and_empty_folders_are_named(ucf101):
    folder = Path(ucf101["videos"]) / "Foo"
    first = folder / "v_Foo_g08_c01.avi"
    first.unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 15 listed clips .* first Foo/v_Foo_g08_c01.avi"):
        read(ucf101)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"class folder .*Foo is empty.*extract it again"):
        read(ucf101)
    folder.rmdir()
    with pytest.raises(FileNotFoundError, match=r"class folder .*Foo does not exist"):
        read(ucf101)
    for field in ("videos", "annotations"):
        with pytest.raises(FileNotFoundError, match=rf"{field}: there is no folder .*nowhere; set {field}"):
            read(ucf101, **{field: "nowhere"})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layout": "ucf"}, "layout: 'ucf' is not one of ucf101, hmdb51"),
        ({"classes": ["Bar", "foo"]}, "classes: 'foo' is not a class of"),
        ({"classes": ["Bar"]}, "classes: name two classes or more"),
    ],
)
def test_wrong_options_are_named(ucf101, options, message):
    with pytest.raises(ValueError, match=message):
        read(ucf101, **options)


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
    with pytest.raises(ValueError, match="validation_fraction: class 0 has one group only"):
        carve_validation(clips, 0.2, seed=0)
