"""Tiny datasets for tests: made clips in each layout, and the way to the shared real clips."""

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from stand_ins import MARK

from repro.experiment.fields import Experiment

CLASSES = ("Bar", "Foo")


def shared_data(*, stand_ins: bool = False) -> Path:
    """The folder of real clips; skips where it is absent, fails where REPRO_REQUIRE_SHARED_DATA=1 demands it.

    Where the folder holds stand-ins (tests/stand_ins.py) it skips too, unless they will do.
    """
    folder = Path(os.environ.get("REPRO_SHARED_DATA", "../shared/data"))
    if not folder.is_absolute():
        folder = Path(__file__).resolve().parents[1] / folder
    if not (folder / "annotations").is_dir():
        message = f"no real clips: {folder} is not there (set REPRO_SHARED_DATA)"
        if os.environ.get("REPRO_REQUIRE_SHARED_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    if not stand_ins and (folder / MARK).exists():
        pytest.skip(f"{folder} holds stand-ins; this test needs the datasets' own clips or lists")
    return folder


def write_video(path: Path, *, frames: int = 6, height: int = 72, width: int = 96, brightness: int = 0) -> Path:
    """A video of ``frames`` flat frames; frame i is grey ``brightness + 8 i`` with a bar at x = 8 i."""
    return save(path, [_frame(index, height, width, brightness) for index in range(frames)])


def save(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """These BGR frames as a video, MJPG for .avi, else MPEG-4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    height, width = frames[0].shape[:2]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 12, (width, height))
    assert video.isOpened(), f"this OpenCV cannot write {path}"
    for frame in frames:
        video.write(frame)
    video.release()
    return path


def write_av1(path: Path, *, frames: int = 6) -> Path:
    """The frames of :func:`write_video` as AV1, which OpenCV's wheel does not decode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libsvtav1", rate=12)
            stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
            for index in range(frames):
                frame = av.VideoFrame.from_ndarray(_frame(index, 72, 96, 0), format="bgr24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    finally:  # of root's threads the encoder makes real-time ones, and of what they start: two starve a small machine
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def write_song(path: Path, *, cover: bool = True, video: bool = False) -> Path:
    """A second of silence as mp4, with a cover picture before it, and six frames of video after it, or without."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        pictures = [container.add_stream("mjpeg", rate=1)] if cover else []
        for stream in pictures:
            stream.width, stream.height, stream.pix_fmt, stream.disposition = 64, 64, "yuvj420p", 1024  # attached
        sound = container.add_stream("aac", rate=44100)
        videos = [container.add_stream("mpeg4", rate=12)] if video else []
        for stream in videos:
            stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        samples = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), format="fltp", layout="stereo")
        samples.sample_rate = 44100
        container.mux([*sound.encode(samples), *sound.encode()])
        for stream in (*pictures, *videos):
            for index in range(1 if stream in pictures else 6):
                pixels = _frame(index, stream.height, stream.width, 0)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
            container.mux(stream.encode())
    return path


TURNS = {  # how a picture is to be shown -> the first two of each of the first two rows of its display matrix
    "turned by 90": (0, 1, -1, 0),
    "turned by 180": (-1, 0, 0, -1),
    "turned by 270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "mirrored, turned by 90": (0, 1, 1, 0),
    "mirrored, turned by 270": (0, -1, -1, 0),
}


def turn(path: Path, how: str) -> Path:
    """Have an mp4 ask for one of :data:`TURNS`: its frames stay, the track's header says how they are to be shown."""
    a, b, c, d = (65536 * value for value in TURNS[how])
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12, 8.3.2: the matrix of version 0
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def write_frames(folder: Path, *, frames: int = 6, height: int = 72, width: int = 96, brightness: int = 0) -> Path:
    """The frames of :func:`write_video` as ``00001.jpg`` ... in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        assert cv2.imwrite(str(folder / f"{index + 1:05d}.jpg"), _frame(index, height, width, brightness))
    return folder


def _frame(index: int, height: int, width: int, brightness: int) -> np.ndarray:
    frame = np.full((height, width, 3), (brightness + 8 * index) % 256, np.uint8)
    frame[:, (8 * index) % width : (8 * index) % width + 8] = (20, 120, 250)  # BGR
    return frame


def write_ucf101(
    root: Path, *, classes=CLASSES, train_groups=(8, 9, 10), test_groups=(1, 2), clips=1, frames=6, videos=True
) -> dict[str, str]:
    """A set in UCF101's layout; returns the fields ``layout``, ``videos``, ``annotations`` of an Experiment."""
    annotations = root / "annotations"
    annotations.mkdir(parents=True)
    (annotations / "classInd.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(classes, start=1)))
    lists = {"train": [], "test": []}
    for number, name in enumerate(classes, start=1):
        for part, groups in (("train", train_groups), ("test", test_groups)):
            for group in groups:
                for clip in range(1, clips + 1):
                    clip_name = f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
                    lists[part].append(clip_name + (f" {number}" if part == "train" else ""))
                    path = root / "videos" / clip_name
                    if videos:
                        write_video(path, frames=frames + group % 3, brightness=90 * (number - 1) + 5 * group + clip)
                    else:
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.touch()
    for part, lines in lists.items():
        (annotations / f"{part}list01.txt").write_text("".join(f"{line}\n" for line in lines))
    return {"layout": "ucf101", "videos": str(root / "videos"), "annotations": str(annotations)}


def write_hmdb51(
    root: Path, files: dict[str, dict[str, int]], *, split: int = 1, videos: bool = False
) -> dict[str, str]:
    """Clips or empty files in HMDB51's layout: ``{class: {file: flag}}``, lists with the official trailing space."""
    annotations = root / "annotations"
    annotations.mkdir(parents=True)
    for name, flags in files.items():
        lines = [f"{file} {flag} \n" for file, flag in flags.items()]
        (annotations / f"{name}_test_split{split}.txt").write_text("".join(lines))
        (root / "videos" / name).mkdir(parents=True)
        for number, file in enumerate(flags):
            path = root / "videos" / name / file
            write_video(path, frames=6 + number, brightness=20 * number) if videos else path.touch()
    return {"layout": "hmdb51", "videos": str(root / "videos"), "annotations": str(annotations)}


SIDES = ("Pushing something from left to right", "Holding something", "Pushing something from right to left")


def write_something_v1(root: Path, *, classes=SIDES, train=2, test=2, frames=6) -> dict[str, str]:
    """Frame folders in Something-Something v1's layout, ids from 1, with one clip of the test list."""
    annotations = root / "annotations"
    annotations.mkdir(parents=True)
    lists = {"train": [], "validation": []}
    number = 0
    for name in classes:
        for part, count in (("train", train), ("validation", test)):
            for _ in range(count):
                number += 1
                write_frames(root / "videos" / str(number), frames=frames + number % 3, brightness=20 * number)
                lists[part].append(f"{number};{name}")
    lists |= {"labels": list(classes), "test": [str(number + 1)]}
    for part, lines in lists.items():
        (annotations / f"something-something-v1-{part}.csv").write_text("".join(f"{line}\n" for line in lines))
    return {"layout": "something_v1", "videos": str(root / "videos"), "annotations": str(annotations)}


def write_kinetics400(
    root: Path, *, classes=("air drumming", "zumba"), train=3, test=2, frames=6, folder="{part}/{label}", suffix=".mp4"
) -> dict[str, str]:
    """Clips in Kinetics-400's layout; ``folder`` says where under videos, with {part}, {label}, {under_scores}."""
    annotations = root / "annotations"
    annotations.mkdir(parents=True)
    for part, count in (("train", train), ("val", test)):
        lines = ["label,youtube_id,time_start,time_end,split,is_cc"]
        for label in classes:
            for number in range(count):
                youtube_id = f"-{label[:3].strip():_<4}{part:_<5}{number}"
                lines.append(f'"{label}",{youtube_id},{number},{number + 10},{part},0')
                place = folder.format(part=part, label=label, under_scores=label.replace(" ", "_"))
                file = f"{youtube_id}_{number:06d}_{number + 10:06d}{suffix}"
                write_video(root / "videos" / place / file, frames=frames + number, brightness=20 * number)
        (annotations / f"{part}.csv").write_text("".join(f"{line}\n" for line in lines))
    return {"layout": "kinetics400", "videos": str(root / "videos"), "annotations": str(annotations)}


def write_folder(root: Path, *, classes=CLASSES, clips=4, frames=6) -> dict[str, str]:
    """A user's own clips, no lists: a video of another size and container each, the last one a folder of frames."""
    (root / "annotations").mkdir(parents=True)
    for number, name in enumerate(classes):
        for clip in range(clips):
            size = {"frames": frames + clip, "height": 64 + 8 * clip, "width": 96 - 4 * clip, "brightness": 90 * number}
            stem = root / "videos" / name / f"clip {clip}"
            if clip == clips - 1:
                write_frames(stem, **size)
            else:
                write_video(stem.with_suffix((".avi", ".mp4", ".MKV")[clip % 3]), **size)
    return {"layout": "folder", "videos": str(root / "videos"), "annotations": str(root / "annotations")}


def quick(patch: pytest.MonkeyPatch) -> None:
    """Spare runs what has tests of its own: four seconds of behaviour digest, two of the device's peak."""
    from repro.training import loop

    patch.setattr(loop, "todays_digest", lambda: {"sampling": [1.0]})
    patch.setattr(loop, "SECONDS_FOR_PEAK", 0.05)


def fails_in(patch: pytest.MonkeyPatch, name: str, epoch: int, fail) -> None:
    """Calls ``fail`` first whenever the loop calls its function ``name`` in that epoch, counted from 0, or after it."""
    from repro.training import loop

    train_epoch, reached = loop.train_epoch, []

    def begin(*arguments, epoch, **options):
        reached.append(epoch)
        if name == "train_epoch" and epoch == wanted:
            fail()
        return train_epoch(*arguments, epoch=epoch, **options)

    wanted = epoch
    patch.setattr(loop, "train_epoch", begin)
    if name != "train_epoch":
        function = getattr(loop, name)

        def call(*arguments, **options):
            if not reached or reached[-1] >= wanted:
                fail()
            return function(*arguments, **options)

        patch.setattr(loop, name, call)


def raiser(error: BaseException):
    def fail(*_arguments, **_options):
        raise error

    return fail


def experiment(data: dict[str, str], **fields) -> Experiment:
    """The smallest experiment that trains: 1/8 width, 64 pixels, 2 frames, one thread, cosine."""
    small = {
        "study": "tiny",
        "width": 0.125,
        "frames": 2,
        "size": 64,
        "epochs": 2,
        "batch_size": 3,
        "learning_rate": 0.02,
        "schedule": "cosine",
        "validation_fraction": 0.0,
        "threads": 1,
    }
    return Experiment(**{**small, **data, **fields})


def trained(folder: Path, **fields):
    """The record of a short run on made clips: set, results and runs lie in ``folder``."""
    from repro.training.loop import train  # torch, for the tests that train alone

    data = {
        "layout": "ucf101",
        "videos": str(folder / "set" / "videos"),
        "annotations": str(folder / "set" / "annotations"),
    }
    if not (folder / "set").is_dir():
        write_ucf101(folder / "set", frames=14)
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        made = experiment(data, **{"frames": 4, "epochs": 1, "study": "s", "run": "r"} | fields)
        return train(made, results=folder / "results", work=folder / "runs")


def copy_of_repository(folder: Path, *, results: tuple[str, ...] = ("results/",)) -> Path:
    """A copy of the tracked and new files in ``folder``; of what is recorded, what begins with ``results``."""
    root = Path(__file__).parents[1]
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0"):
        if (root / name).is_file() and (not name.startswith("results/") or name.startswith(results)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    return folder
