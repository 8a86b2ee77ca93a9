"""Pictures of clips as the networks see them: one of each class, the frames that are sampled, the crops."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from repro.data.clips import Clip
from repro.data.decode import read_frames
from repro.data.sampling import POLICIES, test_frames, train_frames
from repro.data.transforms import augment, crop_offsets, crop_sizes, test_view
from repro.report import figures
from repro.report.audit import Audit, ClipSet

CLASSES = 24  # at most on a contact sheet
Strip = tuple[str, np.ndarray]  # a row's title, and its frames: uint8 (N, side, side, 3)


def contact_sheet(found: ClipSet) -> tuple[Figure, str]:
    """The first usable test clip of each class, at most :data:`CLASSES`, as the networks see it; with its alt text."""
    audit = _audit(found)
    lengths = _lengths(audit)
    firsts: dict[int, Clip] = {}
    for clip in audit.split.test:
        if clip.name in lengths:
            firsts.setdefault(clip.label, clip)
    chosen = [(audit.split.classes[label], clip) for label, clip in sorted(firsts.items())[:CLASSES]]
    sheet = [
        (name, test_view(read_frames(clip.path, test_frames(lengths[clip.name], found.frames)), found.size))
        for name, clip in chosen
    ]
    names = ", ".join(name for name, _ in sheet)
    alt = f"Contact sheet of {found.dataset}: one test clip a class, {found.frames} frames each: {names}."
    return figures.frame_strip(sheet), alt


def sampling_figure(found: ClipSet, segments: int) -> tuple[Figure, str]:
    """Which frames each policy takes of one training clip, on its time axis; with its alt text."""
    clip, length = _first_clip(_audit(found))
    alt = (
        f"Frames taken from {clip.name}, {length} frames, {segments} segments, by each policy: a different random "
        "frame of each segment in two training epochs, and the segment centres in testing."
    )
    return figures.sampling_plot(length, segments, sampled(length, segments)), alt


def crop_figures(found: ClipSet) -> Iterator[tuple[Figure, str]]:
    """The 13 places of the smallest crop on one frame, and one clip in four epochs of training; with alt texts."""
    clip, length = _first_clip(_audit(found))
    frame = read_frames(clip.path, [length // 2])[0]
    height, width = crop_sizes(*frame.shape[:2])[-1]
    places = crop_offsets(frame.shape[0], frame.shape[1], height, width)
    alt = f"The 13 fixed places of the smallest crop, {width} by {height} pixels, on a frame of {clip.name}."
    yield figures.crop_plot(frame, height, width, places), alt
    views = training_views(clip, length, found.frames, found.size)
    alt = f"The same clip in four epochs of training: other frames, crops and mirror images; {found.frames} frames."
    yield figures.frame_strip(views), alt


def _audit(found: ClipSet) -> Audit:
    if found.audit is None:
        raise ValueError(f"{found.dataset}: these clips are not at hand")
    return found.audit


def _first_clip(found: Audit) -> tuple[Clip, int]:
    """The first usable training clip and its decoded frames."""
    lengths = _lengths(found)
    clip = next(clip for clip in found.split.train if clip.name in lengths)
    return clip, lengths[clip.name]


def _lengths(found: Audit) -> dict[str, int]:
    """The decoded frames of the usable clips by name."""
    usable = found.table[found.table["frames"] > 0]
    return dict(zip(usable["name"], usable["frames"], strict=True))


def sampled(length: int, segments: int) -> dict[str, np.ndarray]:
    """The frames that each policy takes of a clip of ``length`` frames, in two epochs of training and in testing."""
    taken = {}
    for name, policy in POLICIES.items():
        for epoch in range(2):
            rng = np.random.default_rng([0, epoch])
            taken[f"{name},\ntraining, epoch {epoch}"] = policy.train(length, segments, rng)
        taken[f"{name},\ntest"] = policy.test(length, segments)
    return taken


def short_clip_table(length: int, segments: int) -> pd.DataFrame:
    """The frames that each policy takes of a clip that is shorter than its segments are many."""
    rows = []
    for name, policy in POLICIES.items():
        trained = policy.train(length, segments, np.random.default_rng(0))
        for part, indices in (("training", trained), ("test", policy.test(length, segments))):
            rows.append((f"{name}, {part}", " ".join(map(str, indices))))
    return pd.DataFrame(rows, columns=["policy", "frames taken, counted from 0"])


def training_views(clip: Clip, length: int, frames: int, size: int, epochs: int = 4) -> list[Strip]:
    """One clip in several epochs of training: other frames, crops and mirror images each time."""
    rngs = [np.random.default_rng([1, epoch]) for epoch in range(epochs)]
    views = [augment(read_frames(clip.path, train_frames(length, frames, rng)), size, rng)[0] for rng in rngs]
    return [(f"epoch {epoch}", view) for epoch, view in enumerate(views)]


def histograms(found: ClipSet) -> tuple[Figure, str]:
    """Decoded frames, durations, frame rates and picture sizes of a set's clips; with the alternative text."""
    table = _audit(found).table
    alt = (
        f"Decoded frames, duration, frame rate and picture size of the {len(table)} clips of {found.dataset}: "
        f"{table['frames'].sum():,} frames, {table['seconds'].sum() / 60:.0f} minutes."
    )
    return figures.clip_histograms(table), alt
