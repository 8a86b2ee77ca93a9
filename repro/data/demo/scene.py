"""What surrounds the figure: a painted background with clutter and furniture, and small things that move behind it."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from repro.data.demo import variation
from repro.data.demo.actions import PAIRS, seat_height, table_height
from repro.data.demo.figure import point
from repro.data.demo.shapes import Capsule, Colour, Values, chain, disc, fill, polygons, shade

SUPERSAMPLING = 2  # canvas pixels a frame pixel, each way: OpenCV's own antialiasing is slower and leaves seams
MARGIN = 0.15  # painted beyond the frame on each side, frame widths, for the camera to move over


class Background(NamedTuple):
    """A painted canvas, uint8 (side, side, 3) BGR, that covers the frame and `MARGIN` around it."""

    canvas: np.ndarray
    to_frame: np.ndarray  # (3, 3): canvas pixels to frame units


# A group's clips, and both classes of a pair, share one background.
@lru_cache(maxsize=2)
def paint_background(seed: int, pair: int, group: int, size: int) -> Background:
    """The background of a group for frames of `size` pixels."""
    rng = variation.stream("background", seed, pair, group)
    palette = variation.draw_palette(seed, pair, group)
    scale = size * SUPERSAMPLING
    side = round((1 + 2 * MARGIN) * scale)
    horizon = round((rng.uniform(*variation.HORIZON_Y) + MARGIN) * scale)

    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:horizon] = palette.wall
    canvas[horizon:] = palette.floor
    still = _wall_pattern(rng, palette, horizon / scale - MARGIN) + _clutter(rng, palette, horizon / scale - MARGIN)
    still += _furniture(seed, pair, group, palette)
    to_canvas = np.array([[scale, 0, MARGIN * scale], [0, scale, MARGIN * scale]], float)
    fill(canvas, polygons(still, to_canvas[None])[0], [part.colour for part in still])

    canvas = _texture_and_light(rng, canvas)
    canvas.flags.writeable = False
    return Background(canvas, np.linalg.inv(np.vstack([to_canvas, [0, 0, 1]])))


def _texture_and_light(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Add smooth noise, of two fixed grids so that a scene looks alike at every size, and a slope of brightness."""
    side = len(canvas)
    amplitude = rng.uniform(*variation.NOISE_LEVELS)
    first, second = (
        cv2.resize(rng.standard_normal((cells, cells)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        for cells in (8, 60)
    )
    across, down = rng.uniform(-variation.LIGHT_SLOPE, variation.LIGHT_SLOPE, 2) / 2
    corners = np.array([[-across - down, across - down], [-across + down, across + down]], np.float32)
    light = 1 + cv2.resize(corners, (side, side), interpolation=cv2.INTER_LINEAR)
    lit = (canvas + (amplitude * (first + second))[..., None]) * light[..., None]
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _wall_pattern(rng: np.random.Generator, palette: variation.Palette, horizon: float) -> list[Capsule]:
    """A plain wall, stripes, tiles or hills on the horizon."""
    kind = rng.integers(4)
    tint = shade(palette.wall, rng.uniform(0.84, 0.93) if rng.random() < 0.5 else rng.uniform(1.07, 1.15))
    lines = np.arange(-MARGIN, 1 + MARGIN, rng.uniform(0.09, 0.2))
    top = -2 * MARGIN
    parts = []
    if kind == 1:
        parts = [Capsule(point(x, top), point(x, horizon - 0.03), 0.022, 0.022, tint) for x in lines]
    elif kind == 2:
        parts = [Capsule(point(x, top), point(x, horizon - 0.01), 0.005, 0.005, tint) for x in lines]
        parts += [_bar(-1, 2, y, 0.005, tint) for y in lines[lines < horizon - 0.02]]
    elif kind == 3:
        hills = [(rng.uniform(-0.1, 1.1), rng.uniform(0.1, 0.3)) for _ in range(4)]
        parts = [disc(point(x, horizon), radius, tint) for x, radius in hills]
        # The band has round ends far outside the frame; below it the floor goes on.
        return [*parts, _bar(-1, 2, horizon + 0.2, 0.2, palette.floor)]
    parts.append(_bar(-1, 2, horizon - 0.012, 0.012, shade(palette.wall, 0.75)))
    return parts


def _clutter(rng: np.random.Generator, palette: variation.Palette, horizon: float) -> list[Capsule]:
    """Pictures and shelves on the wall, plants and boxes at its foot, in its own colours: the figure stands out."""
    parts = []
    for _ in range(rng.integers(*variation.CLUTTER)):
        x, tone = rng.uniform(0, 1), shade(palette.wall, rng.uniform(0.65, 1.25))
        kind = rng.integers(4)
        if kind == 0:  # a board or shelf
            y, half = rng.uniform(0.08, horizon - 0.2), rng.uniform(0.05, 0.12)
            parts += [_bar(x - half, x + half, y, 0.022, tone)]
        elif kind == 1:  # a round picture or clock
            y, radius = rng.uniform(0.1, horizon - 0.25), rng.uniform(0.03, 0.07)
            parts += [disc(point(x, y), radius, shade(tone, 0.7)), disc(point(x, y), 0.75 * radius, tone)]
        elif kind == 2:  # a lamp post or a trunk with a crown
            height, radius = rng.uniform(0.2, 0.4), rng.uniform(0.05, 0.1)
            top = point(x, horizon - height)
            parts += [Capsule(point(x, horizon + 0.01), top, 0.012, 0.01, shade(tone, 0.7)), disc(top, radius, tone)]
        else:  # a bush or a box
            half, radius = rng.uniform(0.02, 0.08), rng.uniform(0.03, 0.06)
            y = horizon - 0.5 * radius
            parts += [_bar(x - half, x + half, y, radius, tone)]
    return parts


def _furniture(seed: int, pair: int, group: int, palette: variation.Palette) -> list[Capsule]:
    """The seat of Sit and Stand, the table of Pick and Put: where the actor's body expects them."""
    style, actor = variation.draw_style(seed, pair, group), variation.draw_actor(seed, pair, group)
    wood = shade(palette.floor, 0.55)
    parts = []
    if "Sit" in PAIRS[pair]:
        seat = seat_height(style) - 0.02
        left, right = -0.27, -0.05
        parts = [Capsule(point(x, 0.012), point(x, seat), 0.014, 0.016, shade(wood, 0.8)) for x in (left, right)]
        parts.append(_bar(left, right, seat, 0.024, wood))
        if style.variant < 0.6:  # a chair; else a stool
            parts.append(Capsule(point(left, seat), point(left - 0.03, seat + 0.30), 0.018, 0.018, wood))
    elif "Pick" in PAIRS[pair] and table_height(style) > 0:
        top = table_height(style) - 0.02
        parts = [Capsule(point(x, 0.012), point(x, top), 0.014, 0.014, shade(wood, 0.8)) for x in (0.14, 0.36)]
        parts.append(_bar(0.11, 0.39, top, 0.02, wood))
    return chain([part.placed(actor.origin, actor.height) for part in parts], 0.006)


def draw_distractors(seed: int, pair: int, group: int, clip: int, time: np.ndarray) -> list[Capsule]:
    """Small things that cross behind the figure: the group says what they are, the clip where they go.

    `time` (frames,) runs from 0 to 1.
    """
    kinds = variation.stream("distractors", seed, pair, group)
    take = variation.stream("distractors", seed, pair, group, clip)
    brightness = variation.draw_palette(seed, pair, group).brightness
    parts = []
    for _ in range(kinds.integers(*variation.DISTRACTORS)):
        kind, size = int(kinds.integers(4)), kinds.uniform(0.8, 1.2)
        tone = variation.colour(kinds.random(), kinds.uniform(0.2, 0.6), kinds.uniform(0.4, 0.95))
        heading = 1 if take.random() < 0.5 else -1
        speed, middle, phase = take.uniform(*variation.DISTRACTOR_SPEED), take.uniform(0.1, 0.9), take.random()
        x = middle + heading * speed * (time - 0.5)
        thing = _distractor(kind, x, take.uniform(0, 1), phase, time, heading, size, shade(tone, brightness))
        parts += chain(thing, 0.005, 0.5)
    return parts


def _distractor(
    kind: int, x: np.ndarray, place: float, phase: float, time: np.ndarray, heading: int, size: float, tone: Colour
) -> list[Capsule]:
    """A ball (kind 0), a car (1), a balloon (2) or a walker (3) at `x`; `place` 0..1 says how low."""
    if kind == 0:
        bounce = np.abs(np.sin(np.pi * (2.5 * time + phase)))
        return [disc(point(x, 0.82 - 0.05 * place - 0.25 * bounce), 0.026 * size, tone)]
    if kind == 1:
        ground = 0.74 + 0.05 * place
        cabin = x - heading * 0.035 * size, x + heading * 0.01 * size
        wheels = [disc(point(x + s * 0.045 * size, ground + 0.024 * size), 0.016 * size, (40, 40, 40)) for s in (-1, 1)]
        return [
            _bar(*cabin, ground - 0.022 * size, 0.02 * size, shade(tone, 1.2)),
            _bar(x - 0.06 * size, x + 0.06 * size, ground, 0.022 * size, tone),
            *wheels,
        ]
    if kind == 2:
        y = 0.12 + 0.4 * place + 0.04 * np.sin(2 * np.pi * (time + phase))
        return [_bar(x - 0.02 * size, x + 0.02 * size, y, 0.022 * size, tone)]
    ground, tall = 0.80 + 0.03 * place, 0.22 * size
    hip = point(x, ground - 0.45 * tall)
    stride = 0.4 * np.sin(2 * np.pi * (3 * time + phase))
    feet = [hip + 0.45 * tall * point(np.sin(side * stride), np.cos(stride)) for side in (-1, 1)]
    legs = [Capsule(hip, foot, 0.05 * tall, 0.04 * tall, shade(tone, 0.6)) for foot in feet]
    body = Capsule(hip, point(x + 0.01 * heading, ground - 0.75 * tall), 0.07 * tall, 0.08 * tall, tone)
    return [*legs, body, disc(point(x + 0.02 * heading, ground - 0.92 * tall), 0.08 * tall, (120, 150, 190))]


def _bar(left: Values, right: Values, y: Values, radius: float, colour: Colour) -> Capsule:
    return Capsule(point(left, y), point(right, y), radius, radius, colour)
