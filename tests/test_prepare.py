"""``repro prepare`` on miniature datasets in every layout: from archives, a tree or nothing to a trained batch."""

import errno
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import yaml
from made_rar import write_rar
from miniature import (
    ARCHIVES,
    CLIPS,
    HMDB_CLIPS,
    LISTS,
    hmdb51_lists,
    kinetics_archives,
    serving,
    something_archives,
    ucf101_archives,
    ucf101_clips,
    ucf101_lists,
    video,
    write_files,
)

from repro import cli
from repro.data.catalogue import CATALOGUE
from repro.data.clips import ClipFields, read_split
from repro.data.decode import ByOpenCV
from repro.data.loaders import ClipDataset, train_loader
from repro.data.manifest import build_manifest
from repro.data.prepare import checksums, download, unpack
from repro.data.prepare import dataset as module
from repro.data.prepare.dataset import prepare
from repro.data.selection import select_clips
from repro.data.transforms import normalise
from repro.experiment.fields import Experiment
from repro.models import build


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Miniature archives have other sums than the official ones; nothing may reach the network."""
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download.requests, "get", functools.partial(_only_here, download.requests.get))
    for name, one in list(CATALOGUE.items()):
        unsummed = tuple(archive.model_copy(update={"sha256": ""}) for archive in one.archives)
        monkeypatch.setitem(CATALOGUE, name, one.model_copy(update={"archives": unsummed}))


def _only_here(get, url, **options):
    assert url.startswith("http://127.0.0.1:"), f"a test reached for {url}"
    return get(url, **options)


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def trained_batch(ready):
    """One step of a small network on a batch of the training clips: the loss."""
    split = read_split(ClipFields(ready.layout, ready.frames or ready.videos, ready.annotations))
    lengths = build_manifest(split.train)["frames"]
    torch.manual_seed(0)
    clips, labels, _ = next(iter(train_loader(ClipDataset(split.train, lengths, frames=2, size=64), batch_size=2)))
    network = build("resnet34_frame_average", classes=len(split.classes), width=0.0625)
    loss = torch.nn.functional.cross_entropy(network(normalise(clips)), labels)
    loss.backward()
    return loss.item()


@pytest.mark.parametrize("name", ARCHIVES)
def test_from_archives_to_a_trained_batch(tmp_path, capsys, name):
    ARCHIVES[name](tmp_path)
    ready = prepare(name, tmp_path, download=False, workers=1)
    assert (ready.layout, ready.videos, ready.annotations) == (name, tmp_path / "videos", tmp_path / "annotations")
    inside = [file for file in files_in(ready.videos) if not file.startswith(".unlisted/")]
    assert inside == sorted(CLIPS[name])
    assert files_in(ready.annotations) == sorted(LISTS[name]())
    assert ready.more == {}  # every clip is there
    assert 0 < trained_batch(ready) < 10
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / ".prepare.lock").exists()
    out = capsys.readouterr().out
    assert f"{CATALOGUE[name].title} in {tmp_path}:\n  " in out and " are free" in out
    _, _, lines = out.partition("For a profile:\n")
    fields = {"dataset": CATALOGUE[name].title, "layout": name}
    fields |= {"videos": str(tmp_path / "videos"), "annotations": str(tmp_path / "annotations")}
    assert yaml.safe_load(lines).items() >= fields.items()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert prepare(name, tmp_path, download=False, workers=1) == ready  # again: nothing is touched
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times
    assert f"{CATALOGUE[name].title} in" not in capsys.readouterr().out


def test_kinetics_clips_are_sorted_replaced_and_the_others_kept_aside(tmp_path, capsys):
    kinetics_archives(tmp_path)
    ready = prepare("kinetics400", tmp_path, download=False, workers=1)
    better = ready.videos / "abseiling" / "AbCdEfGhIj2_000003_000013.mp4"
    assert better.read_bytes() == video(9)
    assert files_in(ready.videos / ".unlisted") == ["zzzzzzzzzzz_000000_000010.mp4"]
    assert "clips in no list: 1, kept in" in capsys.readouterr().out


def test_archives_that_are_streams_are_read_once(tmp_path, capsys):
    something_archives(tmp_path)
    ready = prepare("something_v1", tmp_path, download=False, workers=1)
    shutil.rmtree(ready.videos / "85")
    prepare("something_v1", tmp_path, download=False, workers=1)
    out = capsys.readouterr().out
    assert "1 of 4 listed clips are not there, first 85\n" in out
    assert f"{tmp_path / 'unpacked.json'} are not read" in out
    (tmp_path / "unpacked.json").unlink()
    prepare("something_v1", tmp_path, download=False, workers=1)
    assert files_in(ready.videos) == sorted(CLIPS["something_v1"])
    fields = yaml.safe_load("\n".join(ready.lines()))
    assert fields["flip"] is False and Experiment(**fields).layout == "something_v1"


TREES = {  # where the clips lie in ROOT
    "ucf101": ["UCF-101", ".", "videos"],
    "hmdb51": ["hmdb51_org", "hmdb51", "."],
    "something_v1": ["20bn-something-something-v1", "."],
    "kinetics400": ["train", "."],
}


@pytest.mark.parametrize("name, place", [(name, place) for name, places in TREES.items() for place in places])
def test_an_extracted_tree_is_renamed_not_copied(tmp_path, name, place):
    folder = tmp_path / place
    clips = [clip.replace(" ", "_") for clip in CLIPS[name]]  # as some copies of Kinetics spell their folders
    write_files(folder, dict.fromkeys(clips, video()))
    inodes = sorted((folder / clip).stat().st_ino for clip in clips)
    lists = tmp_path / (CATALOGUE[name].list_folders or (".",))[0]
    write_files(lists, LISTS[name]())
    ready = prepare(name, tmp_path, download=False, workers=1)
    assert sorted(path.stat().st_ino for path in ready.videos.rglob("*") if path.is_file()) == inodes
    assert files_in(ready.annotations) == sorted(LISTS[name]())
    assert len(read_split(ClipFields(name, ready.videos, ready.annotations)).train) > 1


def test_hmdb51_whose_outer_archive_is_unpacked(tmp_path):
    write_files(tmp_path / "annotations", hmdb51_lists())
    for name, clips in HMDB_CLIPS.items():
        write_rar(tmp_path / "hmdb51_org" / f"{name}.rar", {clip: video() for clip in clips})  # without a folder inside
    ready = prepare("hmdb51", tmp_path, download=False, workers=1)
    assert files_in(ready.videos) == sorted(CLIPS["hmdb51"])
    assert len(list((tmp_path / "hmdb51_org").iterdir())) == 2  # the user's own files stay


def test_what_a_tree_lacks_comes_from_the_archive(tmp_path):
    ucf101_archives(tmp_path)
    first = ucf101_clips()[0]
    write_files(tmp_path / "UCF-101", {first: video()})
    os.utime(tmp_path / "UCF-101" / first, ns=(1, 1))
    ready = prepare("ucf101", tmp_path, download=False, workers=1)
    assert files_in(ready.videos) == sorted(ucf101_clips())
    assert (ready.videos / first).stat().st_mtime_ns == 1


def test_lists_elsewhere_are_left_there(tmp_path):
    write_files(tmp_path / "lists", ucf101_lists())
    write_files(tmp_path / "set" / "videos", dict.fromkeys(ucf101_clips(), video()))
    ready = prepare("ucf101", tmp_path / "set", annotations=tmp_path / "lists")
    assert ready.annotations == tmp_path / "lists" and sorted(os.listdir(tmp_path / "set")) == ["videos"]
    with pytest.raises(FileNotFoundError, match=r"annotations: .*set does not hold UCF101's lists \(classInd.txt, "):
        prepare("ucf101", tmp_path / "set", annotations=tmp_path / "set")


def test_nothing_there_says_what_to_get_from_whom_and_where_to_put_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        prepare("something_v1", tmp_path)
    for words in ("20bn-something-something-v1-00, -01", "Qualcomm", str(tmp_path / "archives"), "labels.csv"):
        assert words in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"and UCF101\.rar \(6\.9 GB, https://www\.crcv\.ucf\.edu/data"):
        prepare("ucf101", tmp_path, download=False)
    with pytest.raises(ValueError, match="dataset: unknown name 'hmdb'; did you mean 'hmdb51'"):
        prepare("hmdb", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_checksum_mismatch(tmp_path, monkeypatch):
    ucf101_archives(tmp_path)
    one = CATALOGUE["ucf101"]
    wrong = tuple(archive.model_copy(update={"sha256": "0" * 64}) for archive in one.archives)
    monkeypatch.setitem(CATALOGUE, "ucf101", one.model_copy(update={"archives": wrong}))
    with pytest.raises(checksums.ChecksumError, match=r"Task\.zip: its sha256 is .* but the catalogue says 000"):
        prepare("ucf101", tmp_path, download=False)
    assert not (tmp_path / "annotations").exists()


def test_read_only_root(tmp_path, monkeypatch):
    ucf101_archives(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # root may write anywhere
    with pytest.raises(PermissionError, match="is read-only: nothing was done; make it writable, or name another"):
        prepare("ucf101", tmp_path, download=False)
    assert sorted(os.listdir(tmp_path)) == ["UCF101.rar", "UCF101TrainTestSplits-RecognitionTask.zip"]


@pytest.mark.parametrize("place", ["videos", "UCF-101", "."])
def test_a_tree_on_a_read_only_disk_is_used_where_it_is(tmp_path, monkeypatch, place):
    (tmp_path / "UCF101.rar").write_bytes(b"never read")  # though a clip that it might have is missing
    write_files(tmp_path / place, dict.fromkeys(ucf101_clips()[1:], video()))
    write_files(tmp_path / "ucfTrainTestlist", ucf101_lists())
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)

    for name in ("mkdir", "rename", "replace", "unlink"):
        monkeypatch.setattr(os, name, tiny.raiser(OSError(errno.EROFS, "Read-only file system")))
    ready = prepare("ucf101", tmp_path)
    assert (ready.videos, ready.annotations) == (tmp_path / place, tmp_path / "ucfTrainTestlist")


def test_disk_too_small_is_said_before_anything_is_unpacked(tmp_path, monkeypatch):
    ucf101_archives(tmp_path)
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    with pytest.raises(download.DiskFull, match=r"[\d.]+ kB are to be unpacked, 20\.0 kB are free on that disk"):
        prepare("ucf101", tmp_path, download=False, workers=1)
    assert not (tmp_path / "videos.part").exists()


SLOW = """
import os, sys, time
from repro.data.prepare import unpack
from repro.data.prepare.dataset import prepare
replace = os.replace
def slowly(source, target):
    time.sleep(0.02)
    replace(source, target)
unpack.os.replace = slowly
prepare("{name}", {root!r}, download=False, workers=1)
"""


@pytest.mark.parametrize("name", ["ucf101", "something_v1"])
def test_killed_while_unpacking_goes_on(tmp_path, name):
    ARCHIVES[name](tmp_path)
    sums = {p.name: {"sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in tmp_path.iterdir()}
    (tmp_path / "checksums.json").write_text(json.dumps(sums))  # the other process has the real catalogue
    part = tmp_path / "videos.part"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW.format(name=name, root=str(tmp_path))], stdout=subprocess.DEVNULL
    ) as run:
        while len(finished(part)) < 3 and run.poll() is None:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
    before = finished(part)
    assert 3 <= len(before) < len(CLIPS[name]) and not (tmp_path / "videos").exists()
    ready = prepare(name, tmp_path, download=False, workers=1)
    assert files_in(ready.videos) == sorted(CLIPS[name])
    assert before.items() <= finished(ready.videos).items()  # nothing done was done again


def finished(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.glob("[!.]*/*")}


def write_noise(path, seed, frames=6, size=(96, 72)):
    """A clip of one picture of noise, so that no two of them look the same."""
    picture = np.random.default_rng(seed).integers(0, 255, (9, 8, 3), np.uint8)
    tiny.save(path, [cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)] * frames)


def own_clips(root, groups=4):
    for number, label in enumerate(("run", "walk")):
        for group in range(1, groups + 1):
            write_noise(root / "videos" / label / f"a, {group}.avi", 100 * number + group, frames=3 + group)


def parts(ready, videos, split=1):
    found = read_split(ClipFields("folder", videos, ready.annotations, split), check=False)
    return [[(clip.name, clip.label, clip.group) for clip in part] for part in (found.train, found.test)]


def test_own_clips_have_one_split_for_videos_and_frames(tmp_path, capsys):
    own_clips(tmp_path, groups=10)
    (tmp_path / "annotations").mkdir()
    where = {"videos": tmp_path / "videos", "annotations": tmp_path / "annotations"}
    broken = tmp_path / "videos" / "run" / "b.avi"
    drawn = [read_split(ClipFields("folder", **where, split=split)) for split in (1, 2, 3)]  # without any file
    broken.write_bytes(b"")
    ready = prepare("folder", tmp_path, workers=1)
    out = capsys.readouterr().out
    assert f"{ready.annotations}: split1.csv, split2.csv, split3.csv drawn, 30 %" in out
    assert f"{ready.annotations}: clips that do not decode are left out of what is drawn: run/b\n" in out
    assert "  no groups are given and each clip is one of its own: " in out and "unusable" not in ready.more
    assert [read_split(ClipFields("folder", **where, split=split)) for split in (1, 2, 3)] == drawn
    broken.unlink()
    broken = tmp_path / "videos" / "run" / "a, 2.avi"  # lists that are there stay as they are
    broken.write_bytes(b"")
    ready = prepare("folder", tmp_path, frames=True, workers=1)
    out = capsys.readouterr().out
    assert not (ready.frames / "run" / "a, 2.zip").exists()
    assert parts(ready, ready.frames) == parts(ready, ready.videos)
    assert yaml.safe_load("\n".join(ready.lines()))["unusable"] == "leave_out"
    assert "unusable: leave_out  # 1 listed clips are missing or cannot be used\n" in out
    times = {path.name: path.stat().st_mtime_ns for path in ready.annotations.iterdir()}
    tiny.write_video(tmp_path / "videos" / "run" / "new.avi")
    prepare("folder", tmp_path, workers=1)
    assert f"no run reads clips that are in no list, first {tmp_path}/videos/run/new.avi" in capsys.readouterr().out
    assert times == {path.name: path.stat().st_mtime_ns for path in ready.annotations.iterdir()}


def test_classes_of_which_nothing_decodes_are_named(tmp_path):
    own_clips(tmp_path)
    write_files(tmp_path / "videos", {"jump/a.avi": b"", "wave/a.avi": b"text"})
    with pytest.raises(ValueError, match=r"no clip decodes in .*/jump, .*/wave; put others there or remove"):
        prepare("folder", tmp_path, workers=1)


def test_a_count_that_differs_is_explained(tmp_path, capsys, monkeypatch):
    own_clips(tmp_path)
    read = ByOpenCV.announced
    monkeypatch.setattr(ByOpenCV, "announced", lambda video: (read(video)[0] + 1, *read(video)[1:]))
    prepare("folder", tmp_path, audit=True, workers=1)
    out = capsys.readouterr().out
    assert f"{tmp_path}/manifest.parquet: 8 decode to another number of frames than their file announces (train" in out


def test_copies_among_own_clips_are_drawn_as_one_group_and_said(tmp_path, capsys):
    videos = tmp_path / "videos"
    for number in range(20):
        write_noise(videos / ("run", "walk")[number % 2] / f"{number:02d}.avi", number)
    for number in range(0, 20, 4):
        shutil.copy(videos / "run" / f"{number:02d}.avi", videos / "run" / f"copy {number}.avi")
    shutil.copy(videos / "run" / "02.avi", videos / "walk" / "wrong.avi")
    write_noise(videos / "walk" / "smaller.mp4", 1, size=(80, 60))  # the same pictures in other bytes
    ready = prepare("folder", tmp_path, workers=1)
    out = capsys.readouterr().out
    said = "14 clips are the same or nearly the same as another and in one group with it, first run/00 and run/copy 0"
    assert said in out
    pairs = [(f"run/{k:02d}", f"run/copy {k}") for k in range(0, 20, 4)]
    pairs += [("run/02", "walk/wrong"), ("walk/01", "walk/smaller")]
    for split in (1, 2, 3):
        sides = [{name for name, _, _ in part} for part in parts(ready, ready.videos, split)]
        assert [pair for pair in pairs if not any(side >= set(pair) for side in sides)] == []
        # somebody's own lists may differ
    rows = (tmp_path / "annotations" / "split1.csv").read_text().splitlines()
    mine = [row for row in rows if not row.startswith(("run/copy 0", "walk/wrong", "walk/smaller"))]
    part = next(row.split(",")[1] for row in rows if row.startswith("run/00"))
    other = "train" if part == "test" else "test"
    mine += [f"run/copy 0.avi,{other},a", "walk/wrong.avi,train,b", "walk/smaller.mp4,train,c"]
    for number in (1, 2, 3):
        (tmp_path / "annotations" / f"split{number}.csv").write_text("\n".join(mine) + "\n")
    prepare("folder", tmp_path, audit=True, workers=1)
    out = capsys.readouterr().out
    assert "  clips that are copies, the same bytes in two classes: 1 pairs, first run/02 and walk/wrong; the" in out
    assert "the same bytes in training and test: 1 pairs, first run/00 and run/copy 0" in out
    select_clips(tiny.experiment({"layout": "folder", "videos": str(videos), "annotations": str(ready.annotations)}))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("the same bytes: ")]
    assert len(said) == 1 and "1 in training and test, first run/" in said[0] and "1 in two classes, first " in said[0]


def test_clips_that_pyav_reads_are_used_and_said(tmp_path, capsys):
    own_clips(tmp_path)
    tiny.write_av1(tmp_path / "videos" / "run" / "a, 1.mp4")
    (tmp_path / "videos" / "run" / "a, 1.avi").unlink()
    ready = prepare("folder", tmp_path, audit=True, workers=1)
    out = capsys.readouterr().out
    assert "8 ok" in out and "unusable" not in yaml.safe_load("\n".join(ready.lines()))
    assert "  read by PyAV, since OpenCV cannot: 1 clips (av01), first run/a, 1\n" in out
    assert trained_batch(ready) > 0


def test_clips_of_one_room_are_drawn_one_by_one(tmp_path, capsys):
    for number in range(12):
        label = ("run", "walk")[number % 2]
        tiny.write_video(tmp_path / "videos" / label / f"{number:02d}.avi", brightness=5 * number)
    ready = prepare("folder", tmp_path, workers=1)
    assert "most clips of a class look the same, first run/00 and " in capsys.readouterr().out
    assert [len(part) for part in parts(ready, ready.videos)] == [8, 4]


def test_own_lists_are_not_written_where_the_user_named_a_folder(tmp_path, capsys):
    own_clips(tmp_path)
    (tmp_path / "mine").mkdir()
    prepare("folder", tmp_path, annotations=tmp_path / "mine", workers=1)
    assert os.listdir(tmp_path / "mine") == [] and "no split*.csv, and none is written" in capsys.readouterr().out


def test_own_files_that_are_no_clips_are_named(tmp_path, capsys):
    own_clips(tmp_path)
    write_files(tmp_path / "videos", {"run/odd.ogv": b"", "loose.mp4": b"", "run/b.txt": b"", "walk/c.txt": b""})
    prepare("folder", tmp_path, workers=1)
    out = capsys.readouterr().out
    assert "and are skipped: 4 (loose.mp4, run/b.txt, run/odd.ogv and 1 more)" in out


def test_an_audit_names_unusable_clips_and_the_decoders_are_quiet(tmp_path):
    own_clips(tmp_path, groups=9)
    for group in range(1, 8):
        write_noise(tmp_path / "videos" / "run" / f"b {group}.mp4", 50 + group)
    prepare("folder", tmp_path, workers=1)
    for group in range(1, 8):
        (tmp_path / "videos" / "run" / f"b {group}.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(90))
    command = [sys.executable, "-m", "repro.cli", "prepare", "folder", "--root", str(tmp_path), "--audit"]
    done = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.count(".mp4") == 0 and "  run/b 5: OpenCV cannot open this clip (102 bytes)" in done.stdout
    assert "run/b 6" not in done.stdout and "  and 2 more\n  training stops at those" in done.stdout
    assert "  unusable: leave_out  # 7 listed clips are missing or cannot be used\n" in done.stdout


def test_a_few_classes_get_the_lines_that_make_them_train(tmp_path, capsys, monkeypatch):
    root = tmp_path / "set"
    tiny.write_ucf101(root, classes=("Bar", "Foo", "Qux", "Zip"))
    clips = sorted((root / "videos").glob("*/*.avi"))
    for split in (2, 3):
        for part in ("train", "test"):
            shutil.copy(root / f"annotations/{part}list01.txt", root / f"annotations/{part}list0{split}.txt")
    for clip in clips:  # no Bar, no test clip of Qux, one training clip less of Foo
        if clip.parent.name == "Bar" or "Qux_g01" in clip.name or "Qux_g02" in clip.name or "Foo_g08" in clip.name:
            clip.unlink()
    ready = prepare("ucf101", root, download=False, workers=1)
    out = capsys.readouterr().out
    assert "8 of 20 listed clips are not there" in out and "  3 of 4 classes have clips\n" in out
    assert "  classes: [Foo, Zip]\n  unusable: leave_out  # 1 listed clips are missing or cannot be used\n" in out
    fields = yaml.safe_load("\n".join(ready.lines()))
    selection = select_clips(Experiment(**fields))
    assert selection.split.classes == ("Foo", "Zip") and selection.data["clips"] == {"train": 5, "test": 4}
    shutil.rmtree(root / "videos" / "Zip")
    monkeypatch.setattr(sys, "argv", ["repro", "prepare", "ucf101", "--root", str(root), "--no-download"])
    assert cli.main() == 1
    assert "nothing can be trained yet: 1 classes have usable clips in both parts" in capsys.readouterr().out


def test_audit_and_frames(tmp_path, capsys):
    write_files(tmp_path / "videos", dict.fromkeys(ucf101_clips()[1:], video()))
    (tmp_path / "videos" / "Golf" / "stray.avi").write_bytes(video())
    write_files(tmp_path / "annotations", ucf101_lists())
    ready = prepare("ucf101", tmp_path, audit=True, frames=True, workers=1)
    out = capsys.readouterr().out
    assert "1 of 8 listed clips are not there, first Golf/v_Golf_g01_c01.avi" in out
    assert "8 clips, 1 of them in no list; 2 classes" in out
    assert "the lists differ from the catalogue: classes 2, not 101" in out
    assert ready.frames == tmp_path / "frames" and f"videos: {tmp_path / 'frames'}\n" in out
    names = pd.read_parquet(tmp_path / "manifest.parquet")["name"]
    assert sorted(names) == sorted([*ucf101_clips()[1:], "Golf/stray.avi"])
    assert files_in(ready.frames) == sorted(name.replace(".avi", ".zip") for name in names)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder that a server on this machine offers, as the official addresses of the catalogue."""
    folder = tmp_path / "server"
    folder.mkdir()
    with serving(functools.partial(_Quiet, directory=str(folder))) as server:
        at = f"http://127.0.0.1:{server.server_port}"
        for name, one in list(CATALOGUE.items()):
            here = [
                {"url": a.url and f"{at}/{a.file}", "index": a.index and f"{at}/{a.index.split('/400/')[1]}"}
                for a in one.archives
            ]
            moved = tuple(a.model_copy(update=update) for a, update in zip(one.archives, here))
            monkeypatch.setitem(CATALOGUE, name, one.model_copy(update={"archives": moved}))
        yield SimpleNamespace(folder=folder, at=at)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
def test_from_nothing(tmp_path, mirror, name):
    ARCHIVES[name](mirror.folder)
    ready = prepare(name, tmp_path / "root", workers=1)
    assert files_in(ready.videos) == sorted(CLIPS[name]) and files_in(ready.annotations) == sorted(LISTS[name]())
    sums = json.loads((tmp_path / "root" / "checksums.json").read_text())
    assert all(len(entry["sha256"]) == 64 for entry in sums.values()) and len(sums) >= 2


def test_a_download_of_many_parts_goes_on_until_all_are_there(tmp_path, mirror, monkeypatch, capsys):
    kinetics_archives(mirror.folder)
    second = mirror.folder / "train" / "part_1.tar.gz"
    addresses = f"{mirror.at}/train/part_0.tar.gz\n{mirror.at}/train/part_1.tar.gz\n"
    (mirror.folder / "train" / "k400_train_path.txt").write_text(addresses)
    (mirror.folder / "val" / "k400_val_path.txt").write_text(f"{mirror.at}/val/part_0.tar.gz\n")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**11))
    with pytest.raises(download.DownloadError, match=r"train/part_1\.tar\.gz: the server answers 404"):
        prepare("kinetics400", tmp_path / "root", workers=1)
    assert "about 805.0 GB for this; 100.0 GB are free: it will stop when the disk is full" in capsys.readouterr().out
    shutil.copy(mirror.folder / "train" / "part_0.tar.gz", second)
    ready = prepare("kinetics400", tmp_path / "root", workers=1)
    assert (tmp_path / "root" / "archives" / "train" / "part_1.tar.gz").is_file()
    assert len(list(ready.videos.glob("[!.]*/*.mp4"))) == 4


def test_a_gone_server_says_how_else(tmp_path, mirror):
    with pytest.raises(download.DownloadError) as error:
        prepare("hmdb51", tmp_path / "root")
    said = str(error.value)
    assert "/test_train_splits.rar: the server answers 404" in said and "mirror" in said
    assert "Get test_train_splits.rar (200.0 kB, http" in said
    assert os.listdir(tmp_path / "root") == ["archives"]


def test_only_what_is_missing_is_asked_for(tmp_path):
    write_files(tmp_path / "clips" / "UCF-101", dict.fromkeys(ucf101_clips(), video()))
    with pytest.raises(FileNotFoundError, match=r"does not hold the lists of UCF101.* with --annotations") as error:
        prepare("ucf101", tmp_path / "clips", download=False)
    assert "RecognitionTask.zip" in str(error.value) and "UCF101.rar" not in str(error.value)
    write_files(tmp_path / "lists", ucf101_lists())
    with pytest.raises(FileNotFoundError, match=r"does not hold the clips of UCF101.* move or link their") as error:
        prepare("ucf101", tmp_path / "set", annotations=tmp_path / "lists", download=False)
    assert "UCF101.rar" in str(error.value) and "RecognitionTask.zip" not in str(error.value)


def test_arguments_that_cannot_be_right(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"^--root: .*/file cannot be made \(File exists\); name another folder"):
        prepare("ucf101", tmp_path / "file")
    with pytest.raises(ValueError, match="--root: it is empty"):
        prepare("ucf101", "")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere/videos: put your clips there"):
        prepare("folder", tmp_path / "nowhere")


def test_the_command_line(tmp_path, monkeypatch, capsys):
    ucf101_archives(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["repro", "prepare", "ucf101", "--root", str(tmp_path), "--no-download", "--workers", "1"]
    )
    assert cli.main() == 0 and "layout: ucf101" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["repro", "prepare", "hmdb51", "--root", str(tmp_path / "x"), "--no-download"])
    assert cli.main() == 1
    err = capsys.readouterr().err
    assert err.startswith("repro: ") and "hmdb51_org.rar (2.1 GB, http" in err and err.count("\n") == 1

    monkeypatch.setattr(module, "prepare", tiny.raiser(KeyboardInterrupt()))
    assert cli.main() == 130 and "the same command goes on from there" in capsys.readouterr().err
