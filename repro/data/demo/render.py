"""One clip of the demo set: from (class, group, clip, seed) to frames."""

import cv2
import numpy as np

from repro.data.demo import variation
from repro.data.demo.actions import ACTIONS, BACKWARDS_PAIRS, PAIRS
from repro.data.demo.figure import draw, point
from repro.data.demo.scene import SUPERSAMPLING, draw_distractors, paint_background
from repro.data.demo.shapes import Capsule, fill, polygons, shade

CLASSES = tuple(sorted(name for pair in PAIRS for name in pair))
# Test-time segment centres of 40 frames, int(40/N/2 + 40/N*i), are mirror images of each other for N = 8 and N = 16:
# a network that averages frames then sees the same set of frames in a clip and in its reversal, so within a backwards
# pair it can only guess.
FRAMES = 40


def render_clip(
    class_name: str, *, group: int, clip: int, seed: int = 0, size: int = 80, frames: int = FRAMES
) -> np.ndarray:
    """One clip, uint8 (frames, size, size, 3) in OpenCV's BGR, a function of the arguments alone.

    `group` and `clip` count from 1. The two classes of a backwards pair are each other's exact reversal; a seeded coin
    says which one was rendered forwards.
    """
    pair, names = next((index, names) for index, names in enumerate(PAIRS) if class_name in names)
    forwards = class_name
    if names in BACKWARDS_PAIRS:
        forwards = names[variation.rendered_forwards(seed, pair, group, clip)]
    time = np.linspace(0, 1, frames)
    own = forwards in ACTIONS
    figure = _figure(forwards if own else names[0], pair, group, clip, seed, time if own else time[::-1])
    moving = draw_distractors(seed, pair, group, clip, time) + figure
    colours = [part.colour for part in moving]

    background = paint_background(seed, pair, group, size)
    side = size * SUPERSAMPLING
    cameras = variation.draw_cameras(seed, pair, group, clip, frames) * side
    outlines = polygons(moving, cameras)
    warps = cameras @ background.to_frame

    video = np.empty((frames, size, size, 3), np.uint8)
    for frame in range(frames):
        canvas = cv2.warpAffine(
            background.canvas, warps[frame], (side, side), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
        fill(canvas, outlines[frame], colours)
        cv2.resize(canvas, (size, size), dst=video[frame], interpolation=cv2.INTER_AREA)
    return video if class_name == forwards else video[::-1].copy()


def _figure(action: str, pair: int, group: int, clip: int, seed: int, time: np.ndarray) -> list[Capsule]:
    """Shadow, figure and props in frame units, back to front."""
    actor = variation.draw_actor(seed, pair, group)
    style, rhythm = variation.draw_style(seed, pair, group), variation.draw_rhythm(seed, pair, group, clip)
    act = ACTIONS[action](time, actor.body, style, rhythm, actor.clothes.prop)
    floor = shade(variation.draw_palette(seed, pair, group).floor, 0.72)
    middle = point(act.pose.trunk.pelvis[:, 0], -0.005)
    half = np.array([0.14, 0])
    shadow = Capsule(middle - half, middle + half, 0.018, 0.018, floor)
    parts = [shadow, *act.apart, *draw(act.pose, actor.clothes, act.prop)]
    return [part.placed(actor.origin, actor.height) for part in parts]
