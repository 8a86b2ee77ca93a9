"""What one clip on disk really is: decoded once from end to end, as training will read it.

HMDB51 as distributed announces one frame more than decodes: the last packet of its files is empty. So "count differs"
is usual there and harmless; a count that is short by more is told as a clip that may have been cut.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from repro.data.decode import DecodeError, open_video, read_frames
from repro.data.facts import COUNT_DIFFERS, FIELDS, OK, state_of
from repro.data.images import FrameFolder, decode_image, frame_name, holds_images, open_images
from repro.data.sampling import test_frames

PRINTS = 4  # frames of a clip with a perceptual hash: the middle ones of four equal segments


def inspect_clip(path: Path) -> dict[str, Any]:
    """Decode the clip at ``path`` (video file, folder of frames, or .zip of frames) and say what it is.

    Returns the keys of :data:`repro.data.facts.FIELDS`. ``verdict`` is "ok"; "count differs", usable with ``frames``
    frames; or "does not decode", unusable; ``reason`` says why. ``codec`` is the container's four letters, "jpg" for
    frames; ``sha256`` is of the file's bytes, or of the frames in order; ``prints`` is four dHashes of 16 hexadecimal
    digits each. Never raises for a bad clip.
    """
    facts = dict(FIELDS)
    try:
        facts["bytes"], facts["modified"] = state_of(path)
        facts |= _inspect_images(path) if holds_images(path) else _inspect_video(path)
    except FileNotFoundError:
        facts["reason"] = "no such clip; extract the dataset again"
    except DecodeError as error:
        facts["reason"] = str(error).removeprefix(f"{path}: ")
    except OSError as error:
        facts["reason"] = f"cannot be read: {error.strerror}"
    except cv2.error as error:
        facts["reason"] = f"OpenCV cannot decode it ({error.err})"
    return facts


def _inspect_video(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        facts: dict[str, Any] = {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    with open_video(path) as video:
        announced, fps, codec = video.announced()
        # The middle frames by the announced count: converting every frame to choose among them would triple the time
        positions = test_frames(max(1, announced), PRINTS).tolist()
        count, converted = 0, {}
        for count, convert in enumerate(video, start=1):
            if count - 1 in positions:
                converted[count - 1] = convert()
    facts |= {"codec": codec, "reader": video.name if count else ""}
    if fps > 0:
        facts |= {"fps": fps, "seconds": count / fps}
    middle = [converted[index] for index in positions if index in converted]
    if count and (abs(count - announced) > 1 or len(middle) < PRINTS):
        middle = list(read_frames(path, test_frames(count, PRINTS)))
    return facts | _counted(count, announced, middle)


def _inspect_images(path: Path) -> dict[str, Any]:
    digest, shape, count, reason = hashlib.sha256(), None, 0, ""
    with open_images(path) as images:
        announced = len(images.images) if isinstance(images, FrameFolder) else len(images)
        while count < len(images):
            data = images.encoded(count)
            try:
                frame = decode_image(data, frame_name(count))
            except DecodeError as error:
                reason = str(error)
                break
            if shape not in (None, frame.shape):
                reason = f"{frame_name(count)} is of another size than the frames before it"
                break
            digest.update(data.tobytes())
            shape, count = frame.shape, count + 1
    facts = _counted(count, announced, read_frames(path, test_frames(count, PRINTS)) if count else [])
    if count < announced:
        reason = reason or f"{frame_name(count)} is missing"
        facts["reason"] = f"{count} of {announced} images can be used: {reason}"
    return facts | {"sha256": digest.hexdigest(), "codec": "jpg"}


def _counted(count: int, announced: int, middle: Sequence[np.ndarray] | np.ndarray) -> dict[str, Any]:
    """What the counts say of a clip of which ``count`` frames decode; ``middle`` are the frames to print."""
    if count == 0:
        return {"announced": announced, "reason": f"opens, but not one of {announced} frames decodes; fetch it again"}
    verdict, reason = OK, ""
    if count != announced:
        verdict, reason = COUNT_DIFFERS, f"frames decoded: {count}, announced: {announced}"
    if count < announced - 1:
        reason += "; cut short, or announced wrongly"
    # dHash: whether each of 8x8 places is brighter than its left neighbour
    small = [cv2.resize(frame, (9, 8), interpolation=cv2.INTER_AREA).sum(axis=2) for frame in middle]
    prints = b"".join(np.packbits(each[:, 1:] > each[:, :-1]).tobytes() for each in small).hex()
    height, width = middle[0].shape[:2]
    counts = {"frames": count, "announced": announced, "verdict": verdict, "reason": reason}
    return counts | {"prints": prints, "width": width, "height": height}
