"""What the lists of each layout say: the official ones by their known numbers, made ones for every fault."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import tiny

from repro.data.clips import ClipFields, read_lists, read_split
from repro.data.demo import PAIRS
from repro.data.folder import on_disk, write_splits
from repro.data.layouts import TWINS
from repro.data.lists import read_lines
from repro.data.prepare.audit import audit

UCF101 = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}
HMDB51 = {
    "golf": {"Tips_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi": 1, "a_golf_f_cm_np1_le_med_2.avi": 2, "b_golf_u.avi": 0},
    "climb": {"(HQ)_Rock_climb_f_cm_np1_le_med_2.avi": 1, "(HQ)_Rock_climb_f_cm_np1_le_med_3.avi": 2},
}


def read(data, **options):
    return read_split(ClipFields(**data | options), check=False)


def official(name: str, split: int = 1) -> dict:
    annotations = tiny.shared_data() / "annotations" / name
    return {"layout": name, "videos": "nowhere", "annotations": annotations, "split": split}


def edit(data, name, change) -> Path:
    path = Path(data["annotations"]) / name
    path.write_text(change(path.read_text()))
    return path


# --- the official lists, without a video ---


@pytest.mark.parametrize("number", UCF101)
def test_the_official_ucf101_lists(number):
    split = read(official("ucf101", number))
    assert len(split.classes) == 101
    assert (len(split.train), len(split.test)) == UCF101[number]
    assert not {c.group for c in split.train} & {c.group for c in split.test}
    groups = {(clip.label, clip.group) for clip in (*split.train, *split.test)}
    assert set(Counter(label for label, _ in groups).values()) == {25}
    trap = [c for c in (*split.train, *split.test) if "HandStandPushups" in c.name]
    assert len(trap) == 128 and {split.classes[c.label] for c in trap} == {"HandstandPushups"}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_official_hmdb51_lists(number):
    lists = read_lists(ClipFields(**official("hmdb51", number)))
    assert [len(part) for part in (lists.classes, lists.train, lists.test, lists.unused)] == [51, 3570, 1530, 1666]
    assert set(Counter(clip.label for clip in lists.test).values()) == {30}
    assert set(Counter(clip.label for clip in lists.train).values()) == {70}


def test_the_official_something_v1_lists():
    lists = read_lists(ClipFields(**official("something_v1")))
    counts = [len(part) for part in (lists.classes, lists.train, lists.test, lists.unused)]
    assert counts == [174, 86017, 11522, 10960] and sum(counts[1:]) == 108499
    assert {clip.label for clip in lists.train} == {clip.label for clip in lists.test} == set(range(174))
    assert {clip.label for clip in lists.unused} == {-1}  # the test list has no labels
    first = lists.train[0]  # "100218;Something falling like a feather or paper"
    assert (first.name, lists.classes[first.label]) == ("100218", "Something falling like a feather or paper")
    assert lists.classes[0] == "Holding something"  # the labels csv's own order


# --- made lists ---


def test_ucf101_by_hand(tmp_path):
    split = read(tiny.write_ucf101(tmp_path / "set", classes=("Bar", "Foo", "Qux"), videos=False))
    assert split.classes == ("Bar", "Foo", "Qux")
    assert (len(split.train), len(split.test)) == (9, 6)
    clip = next(c for c in split.test if c.name == "Foo/v_Foo_g02_c01.avi")
    assert (clip.label, clip.group) == (1, "Foo/g02")
    assert clip.path == tmp_path / "set" / "videos" / clip.name


def test_the_rendered_sets_twins_are_one_group(tmp_path):
    """Two classes of a pair share actor and scene, so their clips are no independent ones."""
    assert list(TWINS.items()) == [(second, first) for first, second in PAIRS]
    split = read(tiny.write_ucf101(tmp_path / "set", classes=("Clap", "Drink", "Wave"), videos=False))
    groups = {(split.classes[clip.label], clip.group) for clip in split.test}
    first = {"Clap": "Wave", "Wave": "Wave", "Drink": "Drink"}
    assert groups == {(name, f"{first[name]}/g{k:02d}") for name in first for k in (1, 2)}


def test_a_film_of_several_classes_is_one_group(tmp_path):
    film = "Return_of_the_King_{}_f_cm_np1_le_med_{}.avi"
    names = ("climb", "golf")
    lists = {name: {film.format(name, 0): 2, film.format(name, 1): 2, f"other_{name}_u.avi": 1} for name in names}
    split = read(tiny.write_hmdb51(tmp_path, lists))
    assert {clip.group for clip in split.test} == {"Return_of_the_King"} and len({c.label for c in split.test}) == 2


def test_ucf101_class_names_in_another_case(tmp_path):
    data = tiny.write_ucf101(tmp_path / "set", classes=("HandstandPushups", "Foo"), videos=False)
    edit(data, "trainlist01.txt", lambda text: text.replace("HandstandPushups/", "HandStandPushups/"))
    split = read(data)
    first = split.train[0]
    assert (first.name[:17], first.label, first.group) == ("HandStandPushups/", 0, "HandstandPushups/g08")


def test_hmdb51_by_hand(tmp_path):
    split = read(tiny.write_hmdb51(tmp_path, HMDB51))
    assert split.classes == ("climb", "golf")
    assert [(clip.name, clip.label, clip.group) for clip in split.train] == [
        ("climb/(HQ)_Rock_climb_f_cm_np1_le_med_2.avi", 0, "(HQ)_Rock"),
        ("golf/Tips_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi", 1, "Tips_300+_Yards!!!"),
    ]
    assert [clip.label for clip in split.test] == [0, 1]  # flag 0 is in neither part


def test_something_v1_by_hand(tmp_path):
    split = read(tiny.write_something_v1(tmp_path, train=1, test=1))
    assert split.classes == tiny.SIDES  # as in the labels csv, not sorted
    assert [(c.name, c.label, c.group) for c in split.train] == [("1", 0, "1"), ("3", 1, "3"), ("5", 2, "5")]
    assert [(c.path, c.label) for c in split.test][:1] == [(tmp_path / "videos" / "2", 0)]


def test_kinetics400_by_hand(tmp_path):
    data = tiny.write_kinetics400(tmp_path, train=1, test=1)
    annotations = Path(data["annotations"])
    (annotations / "test.csv").write_text("youtube_id,time_start,time_end,split\nxyz,1,11,test\n")
    split = read(data)
    assert split.classes == ("air drumming", "zumba")
    assert [(c.name, c.label, c.group) for c in split.train] == [
        ("air drumming/-air_train0_000000_000010", 0, "-air_train0"),
        ("zumba/-zum_train0_000000_000010", 1, "-zum_train0"),
    ]
    assert [clip.name for clip in read_lists(ClipFields(**data)).unused] == ["xyz_000001_000011"]
    (annotations / "val.csv").rename(annotations / "validate.csv")  # its name in the first release
    assert read(data) == split


# --- own clips ---


def own(folder: Path, *clips: str) -> dict:
    """Empty clips under ``videos`` and no lists."""
    (folder / "annotations").mkdir(parents=True)
    for clip in clips:
        (folder / "videos" / clip).parent.mkdir(parents=True, exist_ok=True)
        (folder / "videos" / clip).touch()
    return {"layout": "folder", "videos": folder / "videos", "annotations": folder / "annotations"}


def draw(data):
    return write_splits(data["videos"], data["annotations"], on_disk(data["videos"], data["annotations"]))


def many(classes="abc", groups=10, clips=2) -> list[str]:
    return [f"{c}/x_g{g:02d}_{k}.mp4" for c in classes for g in range(groups) for k in range(clips)]


def test_a_seeded_split_keeps_groups_whole_and_tests_on_thirty_percent(tmp_path):
    data = own(tmp_path, *many())
    splits = [read(data, split=k) for k in (1, 2, 3)]
    for split in splits:
        assert split.classes == ("a", "b", "c")
        assert Counter(clip.label for clip in split.test) == {0: 6, 1: 6, 2: 6}  # 3 of 10 groups of 2 clips
        assert len(split.train) == 42 and not {c.group for c in split.train} & {c.group for c in split.test}
    assert len({split.test for split in splits}) == 3
    assert read(data, split=1) == splits[0]
    # a subset of classes has the same clips on the same side
    few = read(data, split=1, classes=["a", "c"])
    assert {c.name for c in few.test} == {c.name for c in splits[0].test if c.name[0] in "ac"}


def test_a_clip_without_a_group_is_its_own_and_names_leave_out_the_container(tmp_path):
    data = own(tmp_path / "videos", *(f"{c}/take 1.{k}.MOV" for c in "ab" for k in range(3)), "a/notes.txt", "a/.x.avi")
    split = read(data)
    assert [len(split.train), len(split.test)] == [4, 2]
    assert {c.name for c in (*split.train, *split.test)} == {c.group for c in (*split.train, *split.test)}
    assert {c.name for c in (*split.train, *split.test)} == {f"{c}/take 1.{k}" for c in "ab" for k in range(3)}
    cached = own(tmp_path / "frames", *(f"{c}/take 1.{k}.zip" for c in "ab" for k in range(3)))
    assert [c.name for c in read(cached).test] == [c.name for c in split.test]  # the frame cache has the same split


def test_groups_csv_may_join_clips_of_several_classes(tmp_path):
    data = own(tmp_path, *(f"{c}/{k}.avi" for c in "ab" for k in range(6)))
    lines = [f"{c}/{k}.avi,person {k % 3}" for c in "ab" for k in range(6)]
    (tmp_path / "annotations" / "groups.csv").write_text("\n".join(["clip,group", *lines]))
    for number in (1, 2, 3):
        split = read(data, split=number)
        assert len(split.test) == 4 and len({clip.group for clip in split.test}) == 1
        assert not {c.group for c in split.train} & {c.group for c in split.test}


def test_drawn_lists_say_what_was_drawn(tmp_path):
    data = own(tmp_path, *many(), 'a/"q", x.avi', "b/take 1.3")
    (tmp_path / "annotations" / "groups.csv").write_text("clip,group\na/x_g00_0.mp4,one\nb/x_g00_0.mp4,one\n")
    drawn = [read(data, split=k) for k in (1, 2, 3)]
    written = draw(data)
    assert [path.name for path in written] == ["split1.csv", "split2.csv", "split3.csv"]
    assert [read(data, split=k) for k in (1, 2, 3)] == drawn
    (tmp_path / "videos" / "a" / "x_g01_0.mp4").unlink()
    assert [c.name for c in read(data).train] == [c.name for c in drawn[0].train]  # missing, but not drawn anew
    assert sorted(p.name for p in data["annotations"].iterdir()) == ["groups.csv", *(p.name for p in written)]


@pytest.mark.parametrize(
    "name, reason",
    [
        ("2 ", "a list loses the space that it begins or ends with"),
        ("2\u3000", "a list loses the space that it begins or ends with"),
        ("2\n3", "a line of a list ends at the line break in it"),
        (b"2\xff".decode(errors="surrogateescape"), "it is not UTF-8, as lists are"),
    ],
)
def test_a_name_that_a_list_cannot_hold(tmp_path, name, reason):
    data = own(tmp_path, "a/1.avi", "a/2.avi", "b/1.avi")
    (tmp_path / "videos" / "b" / name).mkdir()
    with pytest.raises(ValueError) as caught:
        draw(data)
    assert str(caught.value) == f"{str(data['videos'] / 'b' / name)!r}: {reason}; rename it"
    assert list(data["annotations"].iterdir()) == []


ODD_NAMES = (
    "Bildschirmaufnahme 2026-11-02 um 9.41.00\u202fAM",
    "no\u00a0break",
    "\u65e5\u672c\u3000\u8a9e",
    "\U0001f469\u200d\U0001f4bb",
    'tab\tand "quotes", too',
)


def test_names_that_only_look_odd_are_taken(tmp_path):
    classes = ("caf\u00e9", "\u0939\u093f\u0928\u094d\u0926\u0940")
    data = own(tmp_path, *(f"{c}/{name}.mp4" for c in classes for name in ODD_NAMES))
    drawn = read(data)
    draw(data)
    assert read(data) == drawn and len(drawn.train) + len(drawn.test) == 2 * len(ODD_NAMES)
    paths = {clip.name: clip.path for clip in (*drawn.train, *drawn.test)}
    audit(paths, tmp_path / "manifest.parquet", workers=1)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_list_and_files_in_other_forms_of_unicode(tmp_path, forms):
    listed, on_disk = ([unicodedata.normalize(form, f"caf\u00e9/\u00fcbung {k}") for k in range(4)] for form in forms)
    data = own(tmp_path, *(f"{name}.mp4" for name in on_disk), *(f"b/{k}.mp4" for k in range(4)))
    names = [f"{name}.mp4" for name in (*listed, *(f"b/{k}" for k in range(4)))]
    names[0] = names[0].replace(" ", "\u202f")  # as macOS writes some spaces
    rows = [f"{name},{('train', 'test')[k % 2]}" for k, name in enumerate(names)]
    (tmp_path / "annotations" / "split1.csv").write_text("\n".join(["clip,part", *rows]), encoding="utf-8")
    split = read(data, classes=[unicodedata.normalize("NFD", "caf\u00e9"), "b"])
    assert split.classes == ("b", "caf\u00e9")
    assert [len(split.train), len(split.test)] == [4, 4] and all(clip.path.is_file() for clip in split.train)


def test_a_split_file_by_hand(tmp_path):
    data = own(tmp_path, "a/1.avi", "a/2.mp4", "b/1.avi", "b/v_g03_c1.avi", "b/not listed.avi")
    text = "clip,part,group\na/1.avi,train,\na/2,test,anna\nb/1.avi,train, ben \nb/v_g03_c1.avi,test,\n"
    (tmp_path / "annotations" / "split1.csv").write_text(text)
    split = read(data)
    assert [(c.name, c.label, c.group) for c in split.train] == [("a/1", 0, "a/1"), ("b/1", 1, "ben")]
    assert [(c.name, c.path.name, c.group) for c in split.test] == [
        ("a/2", "2.mp4", "anna"),
        ("b/v_g03_c1", "v_g03_c1.avi", "b/g03"),
    ]


# --- faults ---


def ucf101(folder):
    return tiny.write_ucf101(folder, classes=("Bar", "Foo", "Qux"), videos=False)


def hmdb51(folder):
    return tiny.write_hmdb51(folder, HMDB51)


def something(folder):
    return tiny.write_something_v1(folder, train=1, test=1, frames=1)


def kinetics(folder):
    return tiny.write_kinetics400(folder, train=1, test=1, frames=1)


def own_listed(folder):
    data = own(folder, "a/1.avi", "a/2.avi", "b/1.avi", "b/2.avi")
    lines = ("clip,part,group", "a/1.avi,train,x", "a/2.avi,test,y", "b/1.avi,train,x", "b/2.avi,test,y")
    (folder / "annotations" / "split1.csv").write_text("\n".join(lines) + "\n")
    return data


def own_grouped(folder):
    data = own(folder, *many("ab", 2, 1))
    (folder / "annotations" / "groups.csv").write_text("clip,group\na/x_g00_0.mp4,one\n")
    return data


def add(line: str):
    return lambda text: f"{text}{line}\n"


def swap(old: str, new: str):
    return lambda text: text.replace(old, new)


STH = "something-something-v1-"
SIDE = tiny.SIDES[0]
COLUMNS = "label,youtube_id,time_start,time_end"
TWICE = "is listed twice, first in "
FAULTS = {
    (ucf101, "classInd.txt"): [
        (add("four Nix"), "line 4: expected '<number> <class>', found 'four Nix'"),
        (add("4 FOO"), "line 4: class FOO is listed twice"),
    ],
    (ucf101, "trainlist01.txt"): [
        (swap("g08_c01.avi 1", "g08_c01.avi 2"), "line 1: label 2 for Bar, but classInd.txt says 1"),
        (add("Bar/v_Bar_g08_c01.avi 1"), f"Bar/v_Bar_g08_c01.avi {TWICE}trainlist01.txt, line 1; remove one line"),
        (add("Nix/v_Nix_g01_c01.avi 4"), "line 10: 'Nix/v_Nix_g01_c01.avi' is not in a class of classInd.txt"),
        (add("v_Bar_g01_c01.avi 1"), "line 10: 'v_Bar_g01_c01.avi' is not in a class"),
        (add("Bar/clip.avi 1"), "line 10: no group (_gNN_cNN) in 'clip.avi'"),
    ],
    (ucf101, "testlist01.txt"): [
        (add("Bar/v_Bar_g08_c01.avi"), f"line 7: Bar/v_Bar_g08_c01.avi {TWICE}trainlist01.txt, line 1"),
    ],
    (hmdb51, "golf_test_split1.txt"): [
        (add("x_golf_u.avi 3"), "line 4: expected '<file> <0, 1 or 2>', found 'x_golf_u.avi 3'"),
        (add("b_golf_u.avi 2"), f"line 4: b_golf_u.avi {TWICE}golf_test_split1.txt, line 3"),
    ],
    (something, f"{STH}labels.csv"): [(add(SIDE), "a label is listed twice")],
    (something, f"{STH}train.csv"): [
        (add("9;Nothing"), "line 4: 'Nothing' is not a label of something-something-v1-labels.csv"),
        (add("9"), "line 4: expected '<id>;<label>', found '9'"),
        (add(f"x9;{SIDE}"), "line 4: expected '<id>;<label>', found 'x9;Push"),
    ],
    (something, f"{STH}validation.csv"): [(add(f"1;{SIDE}"), f"line 4: 1 {TWICE}{STH}train.csv, line 1")],
    (kinetics, "train.csv"): [
        (swap("youtube_id", "id"), f"line 1: no column 'youtube_id'; the header must name {COLUMNS}"),
        (add("zumba,abc,0.5,10.5,train,0"), "line 4: times '0.5' and '10.5' are not whole seconds"),
        (add("zumba,abc,0,10,train"), f"line 4: 5 values for 6 columns ({COLUMNS},split,is_cc)"),
        (add(",abc,0,10,train,0"), "line 4: abc has no label"),
    ],
    (kinetics, "val.csv"): [
        (add("yoga,abc,0,10,val,0"), "line 4: 'yoga' is not a label of train.csv"),
        (add("zumba,-zum_train0,0,10,val,0"), f"line 4: -zum_train0_000000_000010 {TWICE}train.csv, line 3"),
    ],
    (own_listed, "split1.csv"): [
        (swap("part", "side"), "line 1: no column 'part'; the header must name clip,part"),
        (swap(",", ";"), "no column 'clip'; the header must name clip,part; values must be separated by commas"),
        (swap(",test,", ",val,"), "line 3: part 'val' is not train or test"),
        (add("c.avi,train,z"), "line 6: 'c.avi' is not <class>/<file>"),
        (add("a\\c.avi,train,z"), "line 6: 'a\\\\c.avi' is not <class>/<file>"),
        (add("a/1.mp4,train,x"), f"line 6: a/1 {TWICE}split1.csv, line 2"),
        (add("a/3.avi,test,x"), "line 6: group 'x' is in test, and in train at split1.csv, line 2; keep a group"),
    ],
    (own_grouped, "groups.csv"): [
        (add("a/x_g07_0.mp4,two"), "line 3: 'a/x_g07_0.mp4' is not a clip under"),
        (add("b/x_g00_0.mp4,"), "line 3: 'b/x_g00_0.mp4' is not a clip under"),
    ],
}
CASES = [(*place, *fault) for place, faults in FAULTS.items() for fault in faults]


@pytest.mark.parametrize("make, name, change, message", CASES, ids=[f"{case[1]}: {case[3][:30]}" for case in CASES])
def test_a_faulty_line_is_named(tmp_path, make, name, change, message):
    data = make(tmp_path / "set")
    read(data)
    path = edit(data, name, change)
    with pytest.raises(ValueError) as caught:
        read(data)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value).replace(f"{path.parent}/", "")
    assert "; " in str(caught.value), "no mend"


@pytest.mark.parametrize("encoding, newline", [("utf-8", "\r"), ("utf-8", "\r\n"), ("utf-8-sig", "\n")])
def test_line_ends_of_every_system_and_excels_mark_are_taken(tmp_path, encoding, newline):
    path = tmp_path / "list.txt"
    path.write_text("\nCafé 1 \n\n \u2028 b\n", encoding=encoding, newline=newline)
    assert read_lines(path, of="") == [(f"{path}, line 2", "Café 1"), (f"{path}, line 4", "b")]
    path.write_bytes(path.read_bytes() + "Café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"list\.txt, line 5: byte 0xe9 is not UTF-8; save the list as UTF-8"):
        read_lines(path, of="")
    path.write_text("a", encoding="utf-16")
    with pytest.raises(ValueError, match=r"list\.txt, line 1: byte 0xff is not UTF-8"):
        read_lines(path, of="")


def test_files_of_macos_beside_the_lists_are_no_lists(tmp_path):
    data = tiny.write_hmdb51(tmp_path, HMDB51)
    lists = read_lists(ClipFields(**data))
    for path in list(Path(data["annotations"]).iterdir()):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert read_lists(ClipFields(**data)) == lists


MISSING = [
    (ucf101, "classInd.txt", r"annotations: there is no file .*classInd.txt; take UCF101's official lists"),
    (ucf101, "testlist01.txt", r"annotations: there is no file .*testlist01.txt"),
    (something, f"{STH}labels.csv", r"there is no file .*-labels.csv; take Something-Something v1's lists"),
    (kinetics, "val.csv", r"annotations: there is no file .*val.csv; take Kinetics-400's lists"),
]


@pytest.mark.parametrize("make, name, message", MISSING)
def test_a_missing_list_is_named(tmp_path, make, name, message):
    data = make(tmp_path / "set")
    (Path(data["annotations"]) / name).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        read(data)


def test_a_split_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file \*_test_split2.txt"):
        read(hmdb51(tmp_path / "hmdb51"), split=2)
    with pytest.raises(FileNotFoundError, match=r"there is no .*split2.csv, only split1.csv; write it or change split"):
        read(own_listed(tmp_path / "own"), split=2)
    for make, name in ((something, "Something-Something v1"), (kinetics, "Kinetics-400")):
        with pytest.raises(ValueError, match=f"split: 2; {name} has one official split, set split: 1"):
            read(make(tmp_path / name), split=2)


def test_own_clips_that_cannot_be_split_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="videos: there is no folder"):
        read(own(tmp_path / "none"))
    with pytest.raises(ValueError, match=r"class b: 1 group\(s\) of clips, none is left .* annotations/split1\.csv"):
        read(own(tmp_path / "one", "a/1.avi", "a/2.avi", "b/x_g01_1.avi", "b/x_g01_2.avi"))
    with pytest.raises(ValueError, match=r"2.mp4: 2.avi has the same name; rename one"):
        read(own(tmp_path / "same", "a/1.avi", "a/2.avi", "a/2.mp4"))
    with pytest.raises(FileNotFoundError, match=r"folder .*b holds no clip .* remove it"):
        read(own(tmp_path / "empty", "a/1.avi", "a/2.avi", "b/notes.txt"))
    several = r"folders .*/a, .*/b hold no clip .* remove them. class c: 1 group\(s\) of clips, class d: 1 group"
    with pytest.raises(FileNotFoundError, match=several):
        read(own(tmp_path / "several", "a/notes.txt", "b/notes.txt", "c/1.avi", "d/1.avi", "e/1.avi", "e/2.avi"))
    (tmp_path / "bare" / "videos").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="holds no folder of clips; make a folder for each class"):
        read(own(tmp_path / "bare"))
