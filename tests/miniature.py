"""Miniatures of the distributed datasets: official lists and archives of two classes each, in their true form.

``LISTS[name]()`` are the lists by file name, ``ARCHIVES[name](folder)`` writes the archives (and lists that come
without one) into a folder, ``CLIPS[name]`` are the files that a prepared ``videos`` folder then holds.
"""

import contextlib
import functools
import http.server
import io
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path

import cv2
import numpy as np
import tiny
from made_rar import rar_bytes, write_rar


@functools.cache
def video(frames: int = 6) -> bytes:
    """The bytes of a small clip."""
    with tempfile.TemporaryDirectory() as folder:
        return tiny.write_video(Path(folder) / "clip.avi", frames=frames).read_bytes()


@functools.cache
def picture() -> bytes:
    """The bytes of a frame as Something-Something has them."""
    return cv2.imencode(".jpg", np.arange(72 * 96 * 3, dtype=np.uint8).reshape(72, 96, 3))[1].tobytes()


UCF_CLASSES = ("Golf", "HandstandPushups")


def ucf101_lists():
    files = {"classInd.txt": "".join(f"{k} {name}\n" for k, name in enumerate(UCF_CLASSES, 1))}
    for split in (1, 2, 3):
        test = [clip for clip in ucf101_clips() if f"_g0{split}_" in clip]
        train = [clip for clip in ucf101_clips() if clip not in test]
        files[f"testlist0{split}.txt"] = "".join(f"{clip}\n" for clip in test)
        files[f"trainlist0{split}.txt"] = "".join(f"{c} {1 + c.startswith('Hand')}\n" for c in train)
    return {name: text.encode() for name, text in files.items()}


def ucf101_clips():
    names = {"Golf": "Golf", "HandstandPushups": "HandStandPushups"}  # as the real files are called
    return [f"{folder}/v_{name}_g0{g}_c01.avi" for folder, name in names.items() for g in (1, 2, 3, 4)]


HMDB_CLIPS = {
    "climb": ["(HQ)_Free_Solo_climb_f_cm_np1_le_med_2.avi", "b_climb_f_nm.avi", "c_climb_u_cm.avi"],
    "golf": ["Hit_The_Driver_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi", "#20_golf_f.avi", "a[b];&@~_golf_u.avi"],
}


def hmdb51_lists():
    return {
        f"{name}_test_split{split}.txt": "".join(f"{c} {1 + (k == split % 2)} \n" for k, c in enumerate(clips)).encode()
        for name, clips in HMDB_CLIPS.items()
        for split in (1, 2, 3)
    }


STH_LABELS = ("Holding something", "Pushing something from left to right")
STH_CLIPS = {"100218": 0, "48032": 1, "85": 0, "1753": 1}  # the last two are validation clips


def something_lists():
    rows = [f"{clip};{STH_LABELS[label]}\n" for clip, label in STH_CLIPS.items()]
    stem = "something-something-v1"
    lists = {"labels": "".join(f"{label}\n" for label in STH_LABELS), "train": "".join(rows[:2])}
    lists |= {"validation": "".join(rows[2:]), "test": "39921\n"}
    return {f"{stem}-{name}.csv": text.encode() for name, text in lists.items()}


def something_frames():
    return {f"{clip}/{k:05d}.jpg": picture() for clip in (*STH_CLIPS, "39921") for k in range(1, 5)}


KINETICS = {  # id: (part, label)
    "-abcdefgh_1": ("train", "playing squash or racquetball"),
    "AbCdEfGhIj2": ("train", "abseiling"),
    "k_cdEfGhIj3": ("val", "abseiling"),
    "k_cdEfGhI_4": ("val", "playing squash or racquetball"),
}


def kinetics_lists():
    lists = {}
    for part in ("train", "val"):
        rows = [f"{label},{clip},3,13,{part}\n" for clip, (where, label) in KINETICS.items() if where == part]
        lists[f"{part}.csv"] = ("label,youtube_id,time_start,time_end,split\n" + "".join(rows)).encode()
    return lists


@contextlib.contextmanager
def serving(handler):
    """A server on this machine, until the block ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def tar_of(path, files, links=(), mode="w:gz", kind=tarfile.SYMTYPE):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return path


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def ucf101_archives(folder):
    with zipfile.ZipFile(folder / "UCF101TrainTestSplits-RecognitionTask.zip", "w") as archive:
        for name, data in ucf101_lists().items():
            archive.writestr(f"ucfTrainTestlist/{name}", data)
    write_rar(folder / "UCF101.rar", {f"UCF-101/{clip}": video() for clip in ucf101_clips()})


def hmdb51_archives(folder):
    lists = {f"testTrainMulti_7030_splits/{name}": data for name, data in hmdb51_lists().items()}
    write_rar(folder / "test_train_splits.rar", lists)
    inner = {
        f"{name}.rar": rar_bytes({f"{name}/{clip}": video(6 + k) for k, clip in enumerate(clips)})
        for name, clips in HMDB_CLIPS.items()
    }
    write_rar(folder / "hmdb51_org.rar", inner)


def something_archives(folder):
    write_files(folder, something_lists())
    whole = tar_of(folder / "whole.tgz", {f"20bn-something-something-v1/{n}": d for n, d in something_frames().items()})
    content = whole.read_bytes()
    whole.unlink()
    for k in range(3):
        part = content[k * len(content) // 3 : (k + 1) * len(content) // 3]
        (folder / f"20bn-something-something-v1-{k:02d}").write_bytes(part)


def kinetics_archives(folder):
    write_files(folder, kinetics_lists())
    for part in ("train", "val"):
        clips = {f"./{c}_000003_000013.mp4": video() for c, (where, _) in KINETICS.items() if where == part}
        clips["./zzzzzzzzzzz_000000_000010.mp4"] = b"in no list"
        tar_of(folder / part / "part_0.tar.gz", clips)
    better = {"replacement_for_corrupted_k400/AbCdEfGhIj2.mp4": video(9)}
    tar_of(folder / "replacement_for_corrupted_k400.tgz", better)


ARCHIVES = {
    "ucf101": ucf101_archives,
    "hmdb51": hmdb51_archives,
    "something_v1": something_archives,
    "kinetics400": kinetics_archives,
}
LISTS = {
    "ucf101": ucf101_lists,
    "hmdb51": hmdb51_lists,
    "something_v1": something_lists,
    "kinetics400": kinetics_lists,
}
CLIPS = {
    "ucf101": ucf101_clips(),
    "hmdb51": [f"{name}/{clip}" for name, clips in HMDB_CLIPS.items() for clip in clips],
    "something_v1": [f"{clip}/{k:05d}.jpg" for clip in (*STH_CLIPS, "39921") for k in range(1, 5)],
    "kinetics400": [f"{label}/{clip}_000003_000013.mp4" for clip, (_, label) in KINETICS.items()],
}
