"""The demo set on disk, in UCF101's layout: names, split lists, resumable parallel rendering.

root/videos/<Class>/v_<Class>_gNN_cNN.avi
root/annotations/classInd.txt, trainlist01..03.txt, testlist01..03.txt
root/demo.spec.json   what is being rendered here, written first
root/demo.json        the same, written last: the set is complete
"""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import Field

from repro.data.demo.actions import BACKWARDS_PAIRS, PAIRS
from repro.data.demo.render import CLASSES, FRAMES, render_clip
from repro.data.parallel import run_all
from repro.files import Written, checked, write_whole

VERSION = 1  # of the renderer: raise it whenever the same arguments give other frames
FPS = 12  # a whole number: OpenCV's own AVI writer drops the fraction of 12.5
SPLITS = (1, 2, 3)


class Spec(Written):
    """Everything that the rendered files depend on."""

    seed: int = Field(0, ge=0, lt=2**32)  # more would lengthen the key of a random stream, see variation.stream
    size: int = Field(80, ge=32, le=512)  # px a side; smaller frames show nothing, larger ones only cost
    frames: int = Field(FRAMES, ge=2)
    clips_per_class: int = Field(48, ge=1)
    clips_per_group: int = Field(4, ge=1)
    training_groups: int | None = Field(None, ge=1)  # of each class, on the training lists; fewer are harder to learn
    fps: int = FPS
    version: int = VERSION
    pairs: tuple[tuple[str, str], ...] = PAIRS

    @property
    def groups(self) -> int:
        return -(-self.clips_per_class // self.clips_per_group)

    def clips(self) -> list[tuple[int, int]]:
        """(group, clip) of each clip of a class, both from 1; the last group may be smaller."""
        places = (divmod(index, self.clips_per_group) for index in range(self.clips_per_class))
        return [(group + 1, clip + 1) for group, clip in places]

    def parts(self, split: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Training and test clips of a class, as `clips`: every third group is tested, of the others the first
        `training_groups` (None: all) are trained on."""
        test_groups = range(split, self.groups + 1, len(SPLITS))
        groups = [group for group in range(1, self.groups + 1) if group not in test_groups][: self.training_groups]
        train, test = ([clip for clip in self.clips() if clip[0] in part] for part in (groups, test_groups))
        return train, test

    def name(self, class_name: str, group: int, clip: int) -> str:
        """`Class/v_Class_gNN_cNN.avi`; two digits, more for all when the largest number needs them."""
        group_digits, clip_digits = max(2, len(str(self.groups))), max(2, len(str(self.clips_per_group)))
        return f"{class_name}/v_{class_name}_g{group:0{group_digits}d}_c{clip:0{clip_digits}d}.avi"


def demo_counts(split: int, **options: Any) -> tuple[int, int, int]:
    """Training clips, test clips and classes of one split of a demo set (:class:`Spec`) that may not be there yet."""
    train, test = checked(Spec, options, "demo_set").parts(split)
    return len(CLASSES) * len(train), len(CLASSES) * len(test), len(CLASSES)


def render_demo_set(root: Path | str, *, workers: int | None = None, **options: Any) -> Path:
    """Render the demo set of these ``options``, the fields of :class:`Spec`, into a folder and return it.

    Clips that are already there are kept, so an interrupted rendering goes on. The bytes do not depend on ``workers``
    (None: one a core). Warns where fewer than three groups a class leave some list empty.

    Raises ValueError for options out of range or when ``root`` holds another demo set or clips without a spec; OSError
    when a clip cannot be written in full (path, disk).
    """
    root, spec = Path(root), checked(Spec, options, "demo set")
    if _is_complete(root, spec):
        return root
    if spec.groups < len(SPLITS):
        warnings.warn(
            f"{spec.groups} group(s) a class: some train or test list of {root} is empty; have 3 or more", stacklevel=2
        )

    write_whole(root / "demo.spec.json", spec.model_dump_json(indent=1))
    for class_name in CLASSES:
        (root / "videos" / class_name).mkdir(parents=True, exist_ok=True)
    (root / "partial").mkdir(exist_ok=True)
    _render_missing(root, spec, workers)
    _write_annotations(root / "annotations", spec)
    shutil.rmtree(root / "partial")
    write_whole(root / "demo.json", spec.model_dump_json(indent=1))
    return root


def _is_complete(root: Path, spec: Spec) -> bool:
    """Whether `root` holds this set in full. Raises ValueError when it holds anything else."""
    wanted = spec.model_dump(mode="json")
    for name in ("demo.json", "demo.spec.json"):
        if not (root / name).exists():
            continue
        found = json.loads((root / name).read_text())
        differing = [key for key in {**wanted, **found} if wanted.get(key) != found.get(key)]
        if differing:
            details = ", ".join(f"{k} {found.get(k)!r} there but {wanted.get(k)!r} asked for" for k in differing)
            raise ValueError(
                f"{root} holds another demo set: {details}; delete the folder, choose another, or ask for the same"
            )
        return name == "demo.json"
    if any((root / "videos").glob("*/*.avi")):
        which = "neither demo.json nor demo.spec.json to say which"
        raise ValueError(f"{root} holds clips but {which}; delete the folder or choose another")
    return False


def _render_missing(root: Path, spec: Spec, workers: int | None) -> None:
    """Render the clips that are not there yet. Raises OSError when one cannot be written."""
    tasks = {
        f"{pair[0]} {group} {clip}": (root, spec, pair, group, clip)
        for pair in PAIRS
        for group, clip in spec.clips()
        if any(not (root / "videos" / spec.name(name, group, clip)).exists() for name in pair)
    }
    for name, done in run_all(_render_pair, tasks, title="rendering the demo set", unit="scene", workers=workers):
        if done is None:
            raise OSError(f"{name}: the process that rendered it died; run the same again, it goes on from there")


def _render_pair(root: Path, spec: Spec, pair: tuple[str, str], group: int, clip: int) -> bool:
    """Render the clips of both classes of a pair."""
    options = {"group": group, "clip": clip, "seed": spec.seed, "size": spec.size, "frames": spec.frames}
    first = render_clip(pair[0], **options)
    # One rendering serves both members of a backwards pair.
    second = first[::-1] if pair in BACKWARDS_PAIRS else render_clip(pair[1], **options)
    for class_name, video in zip(pair, (first, second)):
        path = root / "videos" / spec.name(class_name, group, clip)
        if not path.exists():
            write_clip(video, path, root / "partial")
    return True


def write_clip(video: np.ndarray, path: Path, scratch: Path) -> None:
    """Write uint8 (frames, H, W, 3) BGR to `path`, whole or not at all, by way of the folder `scratch`, as Motion JPEG:
    a reversed clip decodes to exactly the reversed frames. Raises OSError with the path.
    """
    unfinished = scratch / path.name
    height, width = video.shape[1:3]
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(unfinished), cv2.CAP_OPENCV_MJPEG, codec, FPS, (width, height))
    if not writer.isOpened():
        raise OSError(f"cannot open {unfinished} for writing: is the folder writable, the disk full?")
    try:
        for frame in video:
            writer.write(frame)
    finally:
        writer.release()
    # OpenCV does not report a failed write: read the frames back.
    capture, written = cv2.VideoCapture(str(unfinished), cv2.CAP_OPENCV_MJPEG), 0
    while capture.read()[0]:
        written += 1
    capture.release()
    if written != len(video):
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{path}: {written} of {len(video)} frames could be read back after writing: is the disk full?")
    os.replace(unfinished, path)


def _write_annotations(folder: Path, spec: Spec) -> None:
    """classInd.txt and the split lists: with labels for training, without for testing, as UCF101 has them."""
    folder.mkdir(exist_ok=True)
    write_whole(folder / "classInd.txt", "".join(f"{label} {name}\n" for label, name in enumerate(CLASSES, 1)))
    for split in SPLITS:
        for part, clips in zip(("train", "test"), spec.parts(split)):
            lines = [
                f"{spec.name(class_name, *clip)}{f' {label}' if part == 'train' else ''}\n"
                for label, class_name in enumerate(CLASSES, 1)
                for clip in clips
            ]
            write_whole(folder / f"{part}list{split:02d}.txt", "".join(lines))
