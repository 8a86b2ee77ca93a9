"""The human figure: proportions, kinematics and how it is drawn.

Figure units: 1 is the standing height, x to the right, y upwards, the ground at y = 0. The figure faces +x in side
view. Angles are in radians from "hanging straight down", growing towards +x, so an arm at 0 hangs, at pi/2 points
forwards and at pi points up.
Index 0 of a pair of limbs is the far one (left in front view), index 1 the near one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repro.data.demo.shapes import Capsule, Colour, Values, chain, disc, shade

Joints = tuple[np.ndarray, np.ndarray]  # each (frames, 2): a far and a near one, or a middle joint and an end

OUTLINE = 0.011  # width of the dark outline, figure units
FAR_SIDE_SHADE = 0.72  # brightness of the far limbs in side view


class Body(NamedTuple):
    """Limb lengths and radii in figure units."""

    head: float = 0.07  # radius
    neck: float = 0.05
    torso: float = 0.30  # pelvis to shoulder line
    upper_arm: float = 0.165
    forearm: float = 0.15
    thigh: float = 0.24
    shin: float = 0.23
    ankle: float = 0.035  # height above the ground
    foot: float = 0.09
    shoulders: float = 0.105  # half width
    hips: float = 0.052  # half width
    girth: float = 1.0  # factor on all limb radii

    @property
    def leg(self) -> float:
        """Height of the pelvis above the ankles, legs straight."""
        return self.thigh + self.shin

    @property
    def hip_height(self) -> float:
        """Height of the pelvis above the ground, standing."""
        return self.leg + self.ankle

    @property
    def arm(self) -> float:
        return self.upper_arm + self.forearm


class Clothes(NamedTuple):
    """BGR colours and cut."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    prop: Colour
    long_sleeves: bool
    long_trousers: bool
    long_hair: bool


def polar(angle: Values) -> np.ndarray:
    """Unit vectors (..., 2) of angles measured from straight down."""
    return np.stack([np.sin(angle), -np.cos(angle)], axis=-1)


def point(x: Values, y: Values) -> np.ndarray:
    """(x, y) as one array (..., 2), scalars broadcast."""
    return np.stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)), axis=-1)


class Trunk(NamedTuple):
    """A body's pelvis, shoulders and hips, each (frames, 2); `turn` is 1 in front view and towards 0 in side view."""

    body: Body
    turn: float
    pelvis: np.ndarray
    neck: np.ndarray
    shoulders: Joints
    hips: Joints


def trunk(body: Body, pelvis: np.ndarray, lean: Values, turn: float) -> Trunk:
    """Lay the torso on the pelvis; `lean` (frames,) tips it towards +x."""
    up, across = -polar(-lean), polar(np.pi / 2 - lean)
    neck = pelvis + body.torso * up
    left, right = (neck - 0.015 * up + side * turn * body.shoulders * across for side in (-1, 1))
    far, near = (pelvis + side * turn * body.hips * across for side in (-1, 1))
    return Trunk(body, turn, pelvis, neck, (left, right), (far, near))


def swing(origin: np.ndarray, first: float, second: float, angle: Values, second_angle: Values) -> Joints:
    """Forward kinematics of a two-segment limb: the middle joint and the end, each (frames, 2)."""
    middle = origin + first * polar(angle)
    return middle, middle + second * polar(second_angle)


def reach(origin: np.ndarray, first: float, second: float, target: np.ndarray, bend: float) -> Joints:
    """Two-bone inverse kinematics: middle joint and end of a limb that reaches for `target`, as far as it is long.

    `bend` = 1 puts the middle joint on the +x side of a limb that points down (a knee), -1 on the other (an elbow).
    """
    away = target - origin
    distance = np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
    direction = away / distance
    length = np.clip(distance, abs(first - second) + 1e-3, (first + second) * 0.999)
    along = (first**2 + length**2 - second**2) / (2 * length)
    aside = np.sqrt(np.maximum(first**2 - along**2, 0))
    normal = np.stack([-direction[..., 1], direction[..., 0]], axis=-1)
    return origin + along * direction + bend * aside * normal, origin + length * direction


class Pose(NamedTuple):
    """A trunk with its limbs over time, the far one of each pair first."""

    trunk: Trunk
    arms: Sequence[Joints] | np.ndarray  # elbow and wrist
    legs: Sequence[Joints] | np.ndarray  # knee and ankle
    toes: Sequence[np.ndarray] | np.ndarray
    head_tilt: Values = 0.0  # radians towards +x, on top of the world's vertical

    def moved(self, offset: np.ndarray) -> "Pose":
        """The same pose shifted by `offset` (frames, 2)."""
        joints = {name: np.add(getattr(self.trunk, name), offset) for name in ("pelvis", "neck", "shoulders", "hips")}
        arms, legs, toes = (np.add(each, offset) for each in (self.arms, self.legs, self.toes))
        return Pose(self.trunk._replace(**joints), arms, legs, toes, self.head_tilt)

    def hand(self, side: int) -> np.ndarray:
        """The middle of the far (0) or near (1) hand, (frames, 2)."""
        elbow, wrist = self.arms[side]
        return wrist + 0.02 / self.trunk.body.forearm * (wrist - elbow)


def draw(pose: Pose, clothes: Clothes, prop: Sequence[Capsule]) -> list[Capsule]:
    """The figure as capsules in figure units, back to front; `prop` goes under the near hand, which holds it."""
    far = 1 - (1 - FAR_SIDE_SHADE) * (1 - pose.trunk.turn)
    far_leg, near_leg = (_leg(pose, side, clothes, shading) for side, shading in enumerate((far, 1.0)))
    far_arm, near_arm = (_arm(pose, side, clothes, shading) for side, shading in enumerate((far, 1.0)))
    rest = far_leg + near_leg + _torso(pose, clothes) + _head(pose, clothes)
    # in front view both arms pass before the trunk
    return [*(rest + far_arm if pose.trunk.turn > 0.5 else far_arm + rest), *prop, *near_arm]


def _leg(pose: Pose, side: int, clothes: Clothes, shading: float) -> list[Capsule]:
    girth = pose.trunk.body.girth
    trousers = shade(clothes.trousers, shading)
    lower = trousers if clothes.long_trousers else shade(clothes.skin, shading)
    knee, ankle = pose.legs[side]
    parts = [
        Capsule(ankle, pose.toes[side], 0.028, 0.022, shade(clothes.shoes, shading)),
        Capsule(knee, ankle, 0.036 * girth, 0.026 * girth, lower),
        Capsule(pose.trunk.hips[side], knee, 0.054 * girth, 0.039 * girth, trousers),
    ]
    return chain(parts, OUTLINE)


def _arm(pose: Pose, side: int, clothes: Clothes, shading: float) -> list[Capsule]:
    girth = pose.trunk.body.girth
    # A sleeve a little brighter than the trunk keeps an arm visible before it.
    sleeve = shade(clothes.shirt, 1.12 * shading)
    skin = shade(clothes.skin, shading)
    elbow, wrist = pose.arms[side]
    parts = [
        disc(pose.hand(side), 0.031, skin),
        Capsule(elbow, wrist, 0.029 * girth, 0.023 * girth, sleeve if clothes.long_sleeves else skin),
        Capsule(pose.trunk.shoulders[side], elbow, 0.038 * girth, 0.031 * girth, sleeve),
    ]
    return chain(parts, OUTLINE)


def _torso(pose: Pose, clothes: Clothes) -> list[Capsule]:
    trunk, girth = pose.trunk, pose.trunk.body.girth
    sides = [
        Capsule(0.75 * shoulder + 0.25 * trunk.neck, hip, 0.052 * girth, 0.05 * girth, clothes.shirt)
        for shoulder, hip in zip(trunk.shoulders, trunk.hips)
    ]
    middle = Capsule(0.93 * trunk.neck + 0.07 * trunk.pelvis, trunk.pelvis, 0.06 * girth, 0.058 * girth, clothes.shirt)
    throat = trunk.neck - 0.05 * polar(-pose.head_tilt)
    neck = Capsule(trunk.neck, throat, 0.03 * girth, 0.028 * girth, shade(clothes.skin, 0.85))
    return chain([neck, *sides, middle], OUTLINE)


def _head(pose: Pose, clothes: Clothes) -> list[Capsule]:
    up, ahead = -polar(-pose.head_tilt), polar(np.pi / 2 - pose.head_tilt)
    profile = 1 - pose.trunk.turn  # 1: seen from the side
    radius = pose.trunk.body.head
    centre = pose.trunk.neck + (pose.trunk.body.neck + 0.8 * radius) * up
    chin, crown = centre - 0.2 * radius * up, centre + 0.15 * radius * up
    skull = centre + radius * (0.2 * up - 0.28 * profile * ahead)
    hair = [disc(skull, 1.02 * radius, clothes.hair)]
    if clothes.long_hair:
        nape = skull - radius * (1.1 * up + 0.3 * profile * ahead)
        hair.append(Capsule(skull, nape, radius, 0.7 * radius, clothes.hair))
    jaw, brow = chin + 0.12 * radius * profile * ahead, crown + radius * (0.12 * profile * ahead - 0.12 * up)
    face = Capsule(jaw, brow, 0.86 * radius, 0.86 * radius, clothes.skin)
    nose = disc(centre + radius * (0.95 * profile * ahead - 0.15 * up), 0.2 * radius, clothes.skin)
    # Hair that shows on the brow, on top of the face.
    back = skull + radius * (0.62 * up - (0.5 - 0.3 * profile) * ahead)
    front = skull + radius * (0.62 * up + (0.5 + 0.15 * profile) * ahead)
    fringe = Capsule(back, front, 0.4 * radius, 0.34 * radius, clothes.hair)
    across = [0.5 * profile + offset * (1 - 0.75 * profile) for offset in (-0.36, 0.36)]
    eyes = [disc(centre + radius * (x * ahead + 0.02 * up), 0.13 * radius, (30, 25, 25)) for x in across]
    return [*chain([*hair, face, nose], OUTLINE), fringe, *eyes]
