"""What varies between groups and clips, and by how much: every knob of the demo set, and the seeded draws.

A *group* (UCF101's gNN) has one actor, one scene and one camera position; its clips differ a little in timing,
amplitude and shake. Both classes of a look-alike pair share it, so nothing but the motion (and what the hand holds)
tells them apart, and every pair draws from the same distributions. Only what an action needs differs: a seat, a table.
"""

import colorsys
from typing import NamedTuple

import numpy as np

from repro.data.demo.figure import Body, Clothes
from repro.data.demo.shapes import Colour, shade

# --- actor (per group) ---
LEG_SHARE = 0.06  # relative spread of the legs' share of the height
ARM_LENGTH = 0.07  # relative
HEAD_SIZE = 0.10  # relative
SHOULDER_WIDTH = 0.12  # relative
GIRTH = (0.85, 1.25)  # factor on limb radii
FIGURE_HEIGHT = (0.62, 0.74)  # of the frame's height
FIGURE_X = 0.04  # spread of the figure's place, frame widths
GROUND_Y = (0.90, 0.94)  # the line the figure stands on, frame heights
CONTRAST = 95  # least distance of clothes to wall and floor, Euclidean in BGR levels
# --- scene (per group) ---
HORIZON_Y = (0.60, 0.78)  # where the floor begins, frame heights
BACKGROUND_SATURATION = (0.05, 0.40)
BACKGROUND_VALUE = (0.45, 0.95)
NOISE_LEVELS = (2, 8)  # amplitude of the texture, grey levels
LIGHT_SLOPE = 0.25  # largest relative change of brightness from one edge to the other
BRIGHTNESS = (0.75, 1.10)  # factor on everything
CLUTTER = (1, 5)  # pieces of clutter, first included, last not
DISTRACTORS = (0, 3)  # moving things behind the figure, first included, last not
DISTRACTOR_SPEED = (0.15, 0.8)  # frame widths a clip
# --- camera ---
CAMERA_ZOOM = 0.05  # relative, per group
CAMERA_SHIFT = 0.03  # frame widths, per group
CAMERA_ROLL = 1.5  # degrees, per group
CAMERA_PAN = 0.025  # frame widths over the clip, either way from the middle, per clip
CAMERA_DOLLY = 0.03  # relative zoom over the clip, per clip
CAMERA_SHAKE = 0.004  # frame widths, per clip
# --- motion (per group, with a little per clip) ---
CYCLES = (0.0, 1.0)  # place in the action's own range of repetitions
CYCLES_IN_GROUP = 0.08  # spread among a group's clips
AMPLITUDE = (0.85, 1.15)  # factor
AMPLITUDE_IN_GROUP = 0.05
PHASE_IN_GROUP = 0.10  # of a period
# Both rests come from one distribution: were the rest at the end longer, it would tell a backwards pair's direction.
REST = (0.02, 0.22)  # rest before and after a one-way action, share of the clip

_SKINS = ((176, 202, 241), (140, 172, 222), (108, 145, 200), (80, 112, 165), (58, 82, 125), (44, 62, 98))
_HAIRS = ((30, 28, 28), (32, 46, 70), (48, 78, 120), (92, 140, 180), (120, 120, 125), (40, 52, 110))

# One random stream a purpose, so that a new draw in one does not shift the others.
_STREAMS = ("actor", "scene", "view", "motion", "coin", "take", "rhythm", "background", "distractors")


def stream(purpose: str, seed: int, pair: int, group: int, clip: int = 0) -> np.random.Generator:
    """The random generator of one purpose, from integer keys alone; `clip` 0 is for what a whole group shares."""
    # The keys have a fixed length, since zeros are padded.
    return np.random.default_rng([1 + _STREAMS.index(purpose), seed, pair, group, clip])


def rendered_forwards(seed: int, pair: int, group: int, clip: int) -> int:
    """The coin of a backwards pair: which member (0 or 1) is rendered forwards; the other is its reversal."""
    return int(stream("coin", seed, pair, group, clip).integers(2))


def colour(hue: float, saturation: float, value: float) -> Colour:
    """BGR levels of an HSV colour given in 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * blue), round(255 * green), round(255 * red)


class Palette(NamedTuple):
    """Wall (or sky) and floor (or grass) colours, BGR, before lighting."""

    wall: Colour
    floor: Colour
    brightness: float


def draw_palette(seed: int, pair: int, group: int) -> Palette:
    """The two large colours of a group's scene."""
    rng = stream("scene", seed, pair, group)
    wall, floor = (
        colour(rng.random(), rng.uniform(*BACKGROUND_SATURATION), rng.uniform(*BACKGROUND_VALUE)) for _ in range(2)
    )
    brightness = rng.uniform(*BRIGHTNESS)
    return Palette(shade(wall, brightness), shade(floor, 0.85 * brightness), brightness)


class Actor(NamedTuple):
    """Who moves: proportions, clothes, standing height (frame heights) and place (frame units)."""

    body: Body
    clothes: Clothes
    height: float
    origin: np.ndarray


def draw_actor(seed: int, pair: int, group: int) -> Actor:
    """A group's actor, in colours that stand out from its scene."""
    rng = stream("actor", seed, pair, group)
    palette = draw_palette(seed, pair, group)

    def vary(spread: float) -> float:
        return 1 + rng.uniform(-spread, spread)

    plain = Body()
    legs, arms = vary(LEG_SHARE), vary(ARM_LENGTH)
    body = Body(
        head=plain.head * vary(HEAD_SIZE),
        torso=plain.torso + (1 - legs) * plain.leg,  # the standing height stays 1
        upper_arm=plain.upper_arm * arms,
        forearm=plain.forearm * arms,
        thigh=plain.thigh * legs,
        shin=plain.shin * legs,
        shoulders=plain.shoulders * vary(SHOULDER_WIDTH),
        girth=rng.uniform(*GIRTH),
    )

    def standing_out(avoided: list[Colour]) -> Colour:
        drawn = [colour(rng.random(), rng.uniform(0.3, 0.95), rng.uniform(0.2, 1.0)) for _ in range(12)]
        candidates = [shade(candidate, palette.brightness) for candidate in drawn]

        def distance(candidate: Colour) -> float:
            return min(float(np.linalg.norm(np.subtract(candidate, other))) for other in avoided)

        good = (candidate for candidate in candidates if distance(candidate) >= CONTRAST)
        return next(good, None) or max(candidates, key=distance)

    shirt = standing_out([palette.wall, palette.floor])
    trousers = standing_out([palette.wall, palette.floor, shirt])
    skin = shade(_SKINS[rng.integers(len(_SKINS))], palette.brightness)
    clothes = Clothes(
        skin=skin,
        hair=shade(_HAIRS[rng.integers(len(_HAIRS))], palette.brightness),
        shirt=shirt,
        trousers=trousers,
        shoes=shade(colour(rng.random(), 0.4, rng.uniform(0.15, 0.9)), palette.brightness),
        prop=standing_out([palette.wall, palette.floor, shirt, skin]),
        long_sleeves=bool(rng.random() < 0.5),
        long_trousers=bool(rng.random() < 0.7),
        long_hair=bool(rng.random() < 0.4),
    )
    origin = np.array([0.5 + rng.uniform(-FIGURE_X, FIGURE_X), rng.uniform(*GROUND_Y)])
    return Actor(body, clothes, rng.uniform(*FIGURE_HEIGHT), origin)


class Style(NamedTuple):
    """How a group performs its action; three free numbers in 0..1 that each action reads as it likes."""

    variant: float
    place: float
    detail: float


def draw_style(seed: int, pair: int, group: int) -> Style:
    return Style(*stream("motion", seed, pair, group).random(3))


class Rhythm(NamedTuple):
    """A clip's timing: `cycles` 0..1 in the action's own range, `phase` in periods, rests as shares of the clip."""

    cycles: float
    phase: float
    amplitude: float
    rest_before: float
    rest_after: float


def draw_rhythm(seed: int, pair: int, group: int, clip: int) -> Rhythm:
    """A clip's timing: the group's, changed a little."""
    shared, own = stream("rhythm", seed, pair, group), stream("rhythm", seed, pair, group, clip)
    return Rhythm(
        cycles=float(np.clip(shared.uniform(*CYCLES) + own.uniform(-CYCLES_IN_GROUP, CYCLES_IN_GROUP), 0, 1)),
        phase=shared.random() + own.uniform(-PHASE_IN_GROUP, PHASE_IN_GROUP),
        amplitude=shared.uniform(*AMPLITUDE) + own.uniform(-AMPLITUDE_IN_GROUP, AMPLITUDE_IN_GROUP),
        rest_before=own.uniform(*REST),
        rest_after=own.uniform(*REST),
    )


def draw_cameras(seed: int, pair: int, group: int, clip: int, frames: int) -> np.ndarray:
    """The camera over a clip: (frames, 2, 3) affine maps from frame units to frame units."""
    view, take = stream("view", seed, pair, group), stream("take", seed, pair, group, clip)
    time = np.linspace(-1, 1, frames) if frames > 1 else np.zeros(1)

    def shake() -> np.ndarray:
        rates, phases = take.uniform(1.0, 4.0, 2), take.uniform(0, 2 * np.pi, 2)
        return CAMERA_SHAKE * np.sin(np.pi * rates * time[:, None] + phases).sum(axis=1)

    mirrored = -1 if view.random() < 0.5 else 1
    zoom = (1 + view.uniform(-CAMERA_ZOOM, CAMERA_ZOOM)) * (1 + take.uniform(-CAMERA_DOLLY, CAMERA_DOLLY) * time)
    roll = np.deg2rad(view.uniform(-CAMERA_ROLL, CAMERA_ROLL))
    pan = take.uniform(-CAMERA_PAN, CAMERA_PAN, 2) * (1, 0.4)
    shift = view.uniform(-CAMERA_SHIFT, CAMERA_SHIFT, 2) * (1, 0.4) + time[:, None] * pan
    shift = shift + np.stack([shake(), shake()], axis=1)
    rotation = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]) @ np.diag([mirrored, 1])
    linear = zoom[:, None, None] * rotation
    # Zoom and roll turn about a point low in the frame, so that the figure's feet stay in view.
    pivot = np.array([0.5, 0.75])
    offset = pivot + shift - linear @ pivot
    return np.concatenate([linear, offset[:, :, None]], axis=2)
