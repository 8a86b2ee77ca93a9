"""Pictures of clips as the networks see them: one of each class, the frames that are sampled, the crops."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from repro.data.clips import Clip
from repro.data.decode import read_frames
from repro.data.sampling import POLICIES, test_frames, train_frames
from repro.data.transforms import augment, crop_offsets, crop_sizes, test_view
from repro.experiment.fields import BASELINE
from repro.report.datasets import Audit, ClipSet
from repro.report.figures import COLOURS, HIGHLIGHT, frame_strip

CLASSES = 24  # at most on a contact sheet


def contact_sheet(found: ClipSet) -> tuple[Figure, str]:
    """The first usable test clip of each class, at most :data:`CLASSES`, as the networks see it; with its alt text."""
    audit = _audit(found)
    lengths = _lengths(audit)
    firsts: dict[int, Clip] = {}
    for clip in audit.split.test:
        if clip.name in lengths:
            firsts.setdefault(clip.label, clip)
    sheet = []
    for label, clip in sorted(firsts.items())[:CLASSES]:
        frames = read_frames(clip.path, test_frames(lengths[clip.name], found.run.frames))
        sheet.append((audit.split.classes[label], test_view(frames, found.run.size)))
    names = ", ".join(name for name, _ in sheet)
    alt = f"Contact sheet of {found.run.dataset}: one test clip a class, {found.run.frames} frames each: {names}."
    return frame_strip(sheet), alt


def sampling_figure(found: ClipSet, segments: int) -> tuple[Figure, str]:
    """Which frames each policy takes of one training clip, on its time axis; with its alt text."""
    clip, length = _first_clip(_audit(found))
    taken = {}
    for name, policy in POLICIES.items():
        for epoch in range(2):
            taken[f"{name},\ntraining, epoch {epoch}"] = policy.train(
                length, segments, np.random.default_rng([0, epoch])
            )
        taken[f"{name},\ntest"] = policy.test(length, segments)
    fig, axis = plt.subplots(figsize=(9, 0.9 + 0.4 * len(taken)))
    for edge in np.arange(segments + 1) * length / segments:
        axis.axvline(edge - 0.5, color="#dddddd", linewidth=1)
    for row, (name, indices) in enumerate(taken.items()):
        marker, colour = ("s", HIGHLIGHT) if "test" in name else ("o", COLOURS[BASELINE])
        axis.plot(indices, np.full(len(indices), row), linestyle="", markersize=5, marker=marker, color=colour)
    axis.set_yticks(range(len(taken)), taken, fontsize=8)
    axis.set_xlabel(f"frame (clip of {length} frames, {segments} segments)")
    axis.set(xlim=(-0.5, length - 0.5), ylim=(len(taken) - 0.4, -0.6))
    axis.set_title("Frames taken", fontsize=10)
    fig.tight_layout()
    return fig, (
        f"Frames taken from {clip.name}, {length} frames, {segments} segments, by each policy: a different random "
        "frame of each segment in two training epochs, and the segment centres in testing."
    )


def crop_figures(found: ClipSet) -> Iterator[tuple[Figure, str]]:
    """The 13 places of the smallest crop on one frame, and one clip in four epochs of training; with alt texts."""
    clip, length = _first_clip(_audit(found))
    frame = read_frames(clip.path, [length // 2])[0]
    high, wide = frame.shape[:2]
    height, width = crop_sizes(high, wide)[-1]
    fig, axes = plt.subplots(2, 7, figsize=(10, 2.2 * 2 * high / wide + 0.4))
    for axis in axes.flat:
        axis.axis("off")
    for number, ((top, left), axis) in enumerate(zip(crop_offsets(high, wide, height, width), axes.flat), 1):
        axis.imshow(frame)
        axis.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=HIGHLIGHT, linewidth=2))
        axis.set_title(f"{number}", fontsize=8)
    fig.tight_layout()
    yield fig, f"The 13 fixed places of the smallest crop, {width} by {height} pixels, on a frame of {clip.name}."
    views = []
    for epoch in range(4):
        rng = np.random.default_rng([1, epoch])
        sampled = read_frames(clip.path, train_frames(length, found.run.frames, rng))
        views.append((f"epoch {epoch}", augment(sampled, found.run.size, rng)[0]))
    alt = f"The same clip in four epochs of training: other frames, crops and mirror images; {found.run.frames} frames."
    yield frame_strip(views), alt


def _audit(found: ClipSet) -> Audit:
    if found.audit is None:
        raise ValueError(f"{found.run.dataset}: these clips are not at hand")
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


def short_clip_table(length: int, segments: int) -> pd.DataFrame:
    """The frames that each policy takes of a clip that is shorter than its segments are many."""
    rows = []
    for name, policy in POLICIES.items():
        trained = policy.train(length, segments, np.random.default_rng(0))
        for part, indices in (("training", trained), ("test", policy.test(length, segments))):
            rows.append((f"{name}, {part}", " ".join(map(str, indices))))
    return pd.DataFrame(rows, columns=["policy", "frames taken, counted from 0"])


def histograms(found: ClipSet) -> tuple[Figure, str]:
    """Decoded frames, durations, frame rates and picture sizes of a set's clips; with the alternative text."""
    table = _audit(found).table
    fig, axes = plt.subplots(1, 4, figsize=(11, 2.7), layout="constrained")
    labels = {"frames": "decoded frames", "seconds": "duration (s)", "fps": "frames a second"}
    for axis, (column, label) in zip(axes, labels.items(), strict=False):
        axis.hist(table[column].dropna(), bins=24, color=COLOURS[BASELINE])
        axis.set(xlabel=label, ylabel="clips" if column == "frames" else "")
    sizes = (table["width"].astype(str) + " × " + table["height"].astype(str)).value_counts()
    shown = sizes.head(6)
    if len(sizes) > len(shown):
        shown = pd.concat([shown, pd.Series({f"{len(sizes) - 6} others": sizes.iloc[6:].sum()})])
    axes[3].barh(range(len(shown)), shown, color=COLOURS[BASELINE])
    axes[3].set_yticks(range(len(shown)), shown.index)
    axes[3].invert_yaxis()
    axes[3].set(xlabel="clips", title="width × height (pixels)")
    axes[3].title.set_fontsize(9)
    return fig, (
        f"Decoded frames, duration, frame rate and picture size of the {len(table)} clips of {found.run.dataset}: "
        f"{table['frames'].sum():,} frames, {table['seconds'].sum() / 60:.0f} minutes."
    )
