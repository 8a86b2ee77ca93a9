"""Tiny datasets for tests: UCF101 and HMDB51 layouts of made clips (MJPG avi), and the way to the shared real clips."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from repro.config import Experiment

CLASSES = ("Bar", "Foo")


def shared_data() -> Path:
    """The folder of real clips; skips where it is absent, fails where REPRO_REQUIRE_SHARED_DATA=1 demands it."""
    folder = Path(os.environ.get("REPRO_SHARED_DATA", "../shared/data"))
    if not folder.is_absolute():
        folder = Path(__file__).resolve().parents[1] / folder
    if not (folder / "annotations").is_dir():
        message = f"no real clips: {folder} is not there (set REPRO_SHARED_DATA)"
        if os.environ.get("REPRO_REQUIRE_SHARED_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


def write_video(path: Path, *, frames: int = 6, height: int = 72, width: int = 96, brightness: int = 0) -> Path:
    """An MJPG avi of ``frames`` flat frames; frame i is grey ``brightness + 8 i`` with a bar at x = 8 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (width, height))
    assert video.isOpened(), f"this OpenCV cannot write {path}"
    for index in range(frames):
        frame = np.full((height, width, 3), (brightness + 8 * index) % 256, np.uint8)
        frame[:, (8 * index) % width : (8 * index) % width + 8] = (20, 120, 250)  # BGR
        video.write(frame)
    video.release()
    return path


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


def write_hmdb51(root: Path, files: dict[str, dict[str, int]], *, split: int = 1) -> dict[str, str]:
    """Empty files in HMDB51's layout: ``{class: {file: flag}}``, the lists with the official trailing space."""
    annotations = root / "annotations"
    annotations.mkdir(parents=True)
    for name, flags in files.items():
        lines = [f"{file} {flag} \n" for file, flag in flags.items()]
        (annotations / f"{name}_test_split{split}.txt").write_text("".join(lines))
        (root / "videos" / name).mkdir(parents=True)
        for file in flags:
            (root / "videos" / name / file).touch()
    return {"layout": "hmdb51", "videos": str(root / "videos"), "annotations": str(annotations)}


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
