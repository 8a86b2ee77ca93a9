"""Everything that moves in the demo set is drawn from one shape: the tapered capsule, the convex hull of two discs.

Positions are in frame units (the frame is the unit square, y downwards) until a camera, an affine map, takes them to
pixels.
"""

from typing import NamedTuple

import cv2
import numpy as np

Values = np.ndarray | float  # over time, or the same all the time
Colour = tuple[int, int, int]  # BGR

SUBPIXEL_BITS = 4  # of the integers that OpenCV takes as polygon vertices: 1/16 px
ARC_POINTS = 9  # vertices on each of a capsule's two arcs


class Capsule(NamedTuple):
    """A tapered capsule over time: `start` and `end` are (frames, 2) or (2,), radii in the same units, colour BGR."""

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    colour: Colour

    def placed(self, origin: np.ndarray, scale: float) -> "Capsule":
        """From figure units (y upwards, 1 = standing height) to frame units, the figure's ground at `origin`."""
        start, end = (origin + place * np.array([scale, -scale]) for place in (self.start, self.end))
        return Capsule(start, end, self.start_radius * scale, self.end_radius * scale, self.colour)


def disc(centre: np.ndarray, radius: float, colour: Colour) -> Capsule:
    """A disc: a capsule whose ends coincide."""
    return Capsule(centre, centre, radius, radius, colour)


def shade(colour: Colour, factor: float) -> Colour:
    """`colour` times `factor`, kept inside 0..255."""
    blue, green, red = (int(min(255, max(0, round(channel * factor)))) for channel in colour)
    return blue, green, red


def chain(parts: list[Capsule], width: float, factor: float = 0.35) -> list[Capsule]:
    """`parts` drawn as one body with one outline: first all of them grown by `width` and dark, then all of them."""
    grown = [
        Capsule(p.start, p.end, p.start_radius + width, p.end_radius + width, shade(p.colour, factor)) for p in parts
    ]
    return grown + parts


def polygons(capsules: list[Capsule], cameras: np.ndarray) -> np.ndarray:
    """Outlines in pixels: int32 (frames, capsules, vertices, 2), in 1/16 px.

    `cameras` (frames, 2, 3) maps frame units to pixels.
    """
    frames = len(cameras)
    ends = np.empty((frames, len(capsules), 2, 2))
    for index, capsule in enumerate(capsules):
        ends[:, index, 0], ends[:, index, 1] = capsule.start, capsule.end
    radii = np.array([(capsule.start_radius, capsule.end_radius) for capsule in capsules]).reshape(-1, 2)
    linear, shift = cameras[:, :, :2], cameras[:, :, 2]
    ends = np.einsum("fij,fcej->fcei", linear, ends) + shift[:, None, None]
    radii = radii * np.sqrt(np.abs(np.linalg.det(linear)))[:, None, None]

    axis = ends[:, :, 1] - ends[:, :, 0]
    direction = np.arctan2(axis[..., 1], axis[..., 0])[..., None]
    length = np.maximum(np.hypot(axis[..., 0], axis[..., 1]), 1e-9)
    # The outer tangents touch both discs at this angle from the axis; 0 or pi when one disc holds the other.
    tangent = np.arccos(np.clip((radii[..., 0] - radii[..., 1]) / length, -1, 1))[..., None]
    sweep = np.linspace(0, 1, ARC_POINTS)
    end_angles = direction - tangent + 2 * tangent * sweep
    start_angles = direction + tangent + (2 * np.pi - 2 * tangent) * sweep
    angles = np.stack([start_angles, end_angles], axis=2)
    arcs = ends[..., None, :] + radii[..., None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    # A pixel's centre has integer coordinates in OpenCV, hence the half.
    fixed = np.rint((arcs - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    return fixed.reshape(frames, len(capsules), 2 * ARC_POINTS, 2)


def fill(canvas: np.ndarray, outlines: np.ndarray, colours: list[Colour]) -> None:
    """Fill one frame's `outlines` (capsules, vertices, 2) onto `canvas` (H, W, 3) uint8, in order."""
    for outline, colour in zip(outlines, colours):
        cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_8, SUBPIXEL_BITS)
