"""The twelve actions: each a pose over time, made from body, style and rhythm.

Periodic actions repeat a movement; one-way actions go from one posture to another, with a rest before and after.
`time` (frames,) runs from 0 to 1; the second member of a backwards pair is the first with time from 1 to 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repro.data.demo.figure import Body, Joints, Pose, Trunk, point, reach, swing, trunk
from repro.data.demo.shapes import Capsule, Colour, Values, chain, disc, shade
from repro.data.demo.variation import Rhythm, Style

FRONT, SIDE = 1.0, 0.22  # how much of the shoulders' width is seen
BLADE = 0.42  # length, figure units
BLADE_COLOUR = (225, 225, 230)
THING = 0.10  # radius of what is picked up and put down, figure units: a ball that shows at 64 pixels


Legs = tuple[list[Joints], list[np.ndarray]]  # knee and ankle of each, and the toes


class Act(NamedTuple):
    """A pose over time with what the near hand holds, and a thing that lies apart from the hand."""

    pose: Pose
    prop: Sequence[Capsule] = ()
    apart: Sequence[Capsule] = ()


def ease(x: Values) -> np.ndarray:
    """0 to 1 with a soft start and a soft end; symmetric about the middle."""
    x = np.clip(x, 0, 1)
    return x * x * x * (x * (6 * x - 15) + 10)


def progress(time: np.ndarray, rhythm: Rhythm) -> np.ndarray:
    """Linear progress 0..1 of a one-way action between its two rests."""
    return np.clip((time - rhythm.rest_before) / (1 - rhythm.rest_before - rhythm.rest_after), 0, 1)


def periods(time: np.ndarray, rhythm: Rhythm, fewest: float, most: float) -> np.ndarray:
    """Elapsed periods. Fewer than four a clip, so that eight frames still show the movement (Nyquist)."""
    return rhythm.phase + time * (fewest + (most - fewest) * rhythm.cycles)


def pulse(periods: np.ndarray, duty: float, softness: float = 0.16) -> np.ndarray:
    """A soft 0-1-0 pulse once a period, up for the share `duty` of it."""
    place = np.mod(periods, 1.0)
    return ease((0.5 * duty + 0.5 * softness - np.abs(place - 0.5)) / softness)


def spline(x: np.ndarray, knots: Sequence[float], values: Sequence[float]) -> np.ndarray:
    """Smooth curve through `values` at `knots` (Catmull-Rom), flat at both ends."""
    at, y = np.asarray(knots, float), np.asarray(values, float)
    slopes = np.zeros_like(y)
    slopes[1:-1] = (y[2:] - y[:-2]) / (at[2:] - at[:-2])
    index = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    width = at[index + 1] - at[index]
    s = (x - at[index]) / width
    return (
        y[index] * (1 + 2 * s) * (1 - s) ** 2
        + y[index + 1] * s * s * (3 - 2 * s)
        + width * (slopes[index] * s * (1 - s) ** 2 - slopes[index + 1] * s * s * (1 - s))
    )


def _planted(body: Body, torso: Trunk, feet: Joints) -> Legs:
    """Legs in side view with the ankles at `feet` (far, near), and toes."""
    legs = [reach(hip, body.thigh, body.shin, foot, bend=1) for hip, foot in zip(torso.hips, feet)]
    return legs, [ankle + np.array([body.foot, -0.012]) for _, ankle in legs]


def _arm_forwards(body: Body, shoulder: np.ndarray, target: np.ndarray) -> Joints:
    return reach(shoulder, body.upper_arm, body.forearm, target, bend=-1)


# --- Wave / Clap: front view; arms that move side by side, or against each other ---


def _front_standing(body: Body, time: np.ndarray, rhythm: Rhythm) -> tuple[Trunk, Legs]:
    sway = 0.012 * np.sin(2 * np.pi * (time + rhythm.phase))
    torso = trunk(body, point(sway, body.hip_height - 0.004 + 0 * time), 0.03 * np.sin(2 * np.pi * time), FRONT)
    legs, toes = [], []
    for side, hip in zip((-1, 1), torso.hips):
        legs.append(reach(hip, body.thigh, body.shin, point(side * 0.085, body.ankle), bend=side))
        toes.append(legs[-1][1] + np.array([side * 0.035, -0.012]))
    return torso, (legs, toes)


def wave(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """One hand (two groups in three) or both wave at head height or above; two hands move side by side."""
    torso, (legs, toes) = _front_standing(body, time, rhythm)
    swinging = rhythm.amplitude * np.deg2rad(44) * np.sin(2 * np.pi * periods(time, rhythm, 1.6, 3.2))
    raised = np.deg2rad(100 + 45 * style.place)
    arms = []
    for side, shoulder in zip((-1, 1), torso.shoulders):
        if side == 1 or style.variant < 0.35:
            arms.append(swing(shoulder, body.upper_arm, body.forearm, side * raised, np.pi - swinging))
        else:
            arms.append(swing(shoulder, body.upper_arm, body.forearm, side * 0.22 + 0.2 * swinging, side * 0.12))
    return Act(Pose(torso, arms, legs, toes, 0.05 * np.sin(2 * np.pi * time)))


def clap(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Both hands meet and part, before the chest (half of the groups) or overhead."""
    torso, (legs, toes) = _front_standing(body, time, rhythm)
    apart = 0.022 + rhythm.amplitude * 0.16 * (1 + np.cos(2 * np.pi * periods(time, rhythm, 1.6, 3.2))) / 2
    height: Values
    overhead = style.variant < 0.5
    if overhead:
        height, widening, visible, bend = 0.24 + 0.05 * style.place - 0.4 * apart, 1.3, 1.0, -1
    else:  # arms that point at the viewer look shorter
        height, widening, visible, bend = -0.17 + 0.06 * style.place, 1.0, 0.7, 1
    arms = []
    for side, shoulder in zip((-1, 1), torso.shoulders):
        target = torso.neck + point(side * apart * widening, height)
        arms.append(reach(shoulder, visible * body.upper_arm, visible * body.forearm, target, bend * side))
    return Act(Pose(torso, arms, legs, toes, 0.05 * np.sin(2 * np.pi * time)))


# --- Drink / Eat: side view; a hand goes to the mouth with a cup or a piece of food ---


def _feeding(time: np.ndarray, body: Body, style: Style, lift: np.ndarray, nod: np.ndarray, lean: np.ndarray) -> Pose:
    torso = trunk(body, point(0.01 * np.sin(2 * np.pi * time), body.hip_height - 0.01 + 0 * time), lean, SIDE)
    legs, toes = _planted(body, torso, (point(-0.06, body.ankle), point(0.05, body.ankle)))
    ahead, up = point(np.cos(nod), -np.sin(nod)), point(np.sin(nod), np.cos(nod))
    mouth = torso.neck + (body.neck + 0.45 * body.head) * up + 1.25 * body.head * ahead
    rest = torso.neck + np.array([0.2 + 0.05 * style.place, -0.24 + 0.1 * style.detail])
    lift = lift[:, None]
    target = rest + (mouth - rest) * lift + 0.06 * np.sin(np.pi * lift) * np.array([1, 0])
    near = _arm_forwards(body, torso.shoulders[1], target)
    if style.variant < 0.5:
        far = swing(torso.shoulders[0], body.upper_arm, body.forearm, -0.1, 0.15)
    else:  # the other hand waits at the waist
        far = _arm_forwards(body, torso.shoulders[0], torso.pelvis + np.array([0.2, 0.1]))
    return Pose(torso, (far, near), legs, toes, nod)


def drink(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Long sips: the cup stays at the mouth and tips while the head and the back lean backwards."""
    elapsed = periods(time, rhythm, 1.0, 1.7)
    lift = pulse(elapsed, 0.5, 0.3)
    tip = pulse(elapsed, 0.34, 0.2) * rhythm.amplitude
    pose = _feeding(time, body, style, lift, nod=-0.42 * tip, lean=-0.12 * tip)
    hand = pose.hand(1) + np.array([0.02, 0.01])
    angle = -1.75 * tip
    up, across = point(np.sin(angle), np.cos(angle)), point(np.cos(angle), -np.sin(angle))
    cup = [
        Capsule(hand - 0.028 * up, hand + 0.028 * up, 0.028, 0.034, prop),
        Capsule(hand + 0.05 * up - 0.026 * across, hand + 0.05 * up + 0.026 * across, 0.012, 0.012, shade(prop, 1.35)),
    ]
    return Act(pose, chain(cup, 0.009))


def eat(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Short bites: the hand comes up more often, the head nods forwards to meet it and chews in between."""
    elapsed = periods(time, rhythm, 1.7, 2.9)
    lift = pulse(elapsed, 0.46, 0.24)
    chew = 0.05 * np.sin(2 * np.pi * 3 * elapsed)
    pose = _feeding(time, body, style, lift, nod=0.24 * rhythm.amplitude * lift + chew, lean=0.10 * lift)
    hand = pose.hand(1) + np.array([0.028, 0.012])
    return Act(pose, chain([disc(hand, 0.040, prop)], 0.009))


# --- Fencing / Sword: side view; thrust with a lunge, or swing from overhead ---


def _blade(grip: np.ndarray, angle: Values, prop: Colour) -> list[Capsule]:
    """A blade from `grip`; `angle` (frames,) from +x, upwards."""
    along = point(np.cos(angle), np.sin(angle))
    across = point(-np.sin(angle), np.cos(angle))
    guard = grip + 0.045 * along
    steel = Capsule(grip, grip + BLADE * along, 0.012, 0.007, BLADE_COLOUR)
    return chain([steel, Capsule(guard - 0.028 * across, guard + 0.028 * across, 0.011, 0.011, prop)], 0.008)


def _on_guard(
    body: Body, forward: Values, sink: Values, lean: Values, step: Values, back_arm: Values
) -> tuple[Trunk, list[Joints], list[np.ndarray], Joints]:
    """The shared stance: knees bent, one foot ahead; `step` (frames,) moves it, `forward` and `sink` the pelvis."""
    torso = trunk(body, point(-0.17 + forward, body.hip_height - 0.07 - sink), lean, SIDE)
    lifted = 0.04 * np.sin(np.pi * np.clip(step / 0.2, 0, 1))
    feet = point(-0.34 + 0 * step, body.ankle), point(-0.03 + step, body.ankle + lifted)
    legs, toes = _planted(body, torso, feet)
    far = swing(torso.shoulders[0], body.upper_arm, body.forearm, back_arm, back_arm - 0.9)
    return torso, legs, toes, far


def fencing(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Thrusts: the blade stays level, the arm straightens and the front foot lunges."""
    out = pulse(periods(time, rhythm, 1.4, 2.6), 0.35, 0.36) * min(1.0, rhythm.amplitude)
    torso, legs, toes, far = _on_guard(body, 0.12 * out, 0.07 * out, 0.05 + 0.2 * out, 0.2 * out, -1.7 + 0.7 * out)
    shoulder = torso.shoulders[1]
    drawn, straight = shoulder + np.array([0.13, -0.12]), shoulder + body.arm * np.array([0.99, 0.05])
    near = _arm_forwards(body, shoulder, drawn + (straight - drawn) * out[:, None])
    pose = Pose(torso, (far, near), legs, toes)
    angle = 0.28 * (1 - out) + 0.15 * (style.detail - 0.5)
    return Act(pose, _blade(pose.hand(1), angle, prop))


def sword(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Cuts: the blade swings from behind the head down to the front, and is slowly raised again."""
    place = np.mod(periods(time, rhythm, 1.4, 2.6), 1.0)
    down = spline(place, (0, 0.12, 0.55, 0.72, 1), (0, 0, 1, 1, 0)) * min(1.0, rhythm.amplitude)
    torso, legs, toes, far = _on_guard(
        body, 0.06 * down, 0.04 * down, -0.1 + 0.32 * down, 0.1 * down, -1.2 + 0.5 * down
    )
    shoulder = torso.shoulders[1]
    arm = 2.9 - 2.1 * down
    near = swing(shoulder, body.upper_arm, body.forearm, arm - 0.25 * (1 - down), arm + 0.35)
    pose = Pose(torso, (far, near), legs, toes)
    angle = np.deg2rad(140 - 165 * down) + 0.2 * (style.detail - 0.5)
    return Act(pose, _blade(pose.hand(1), angle, prop))


# --- Cartwheel / FlicFlac: the body turns over, sideways with limbs spread or backwards with an arched back ---


def _grounded(pose: Pose, lift: Values, shift: Values) -> Pose:
    """Put the lowest hand or foot on the ground, plus `lift`, and shift sideways."""
    ends = [*(ankle for _, ankle in pose.legs), *pose.toes, *(pose.hand(side) for side in (0, 1))]
    heights = [joint[:, 1] - 0.03 for joint in ends]
    return pose.moved(point(shift, lift - np.min(heights, axis=0)))


def cartwheel(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Front view: arms overhead, legs apart, a full turn in the picture's plane while travelling sideways."""
    done = progress(time, rhythm)
    turned = 0.6 * ease(done) + 0.4 * done
    over = np.sin(np.pi * done) ** 2  # 1 halfway: most spread
    lean = 2 * np.pi * turned
    torso = trunk(body, np.zeros((len(time), 2)), lean, FRONT)
    spread = 0.14 + np.deg2rad(34) * over * rhythm.amplitude
    arm_spread = 0.35 + 0.15 * style.detail
    legs, arms, toes = [], [], []
    for side, hip, shoulder in zip((-1, 1), torso.hips, torso.shoulders):
        down = side * spread - lean
        legs.append(swing(hip, body.thigh, body.shin, down, down))
        toes.append(legs[-1][1] + 0.04 * point(np.sin(down + 0.5 * side), -np.cos(down + 0.5 * side)))
        raised = side * (np.pi - arm_spread) - lean
        arms.append(swing(shoulder, body.upper_arm, body.forearm, raised, raised + 0.12 * side))
    pose = Pose(torso, arms, legs, toes, lean)
    return Act(_grounded(pose, 0.0, 0.42 * (turned - 0.5)))


def flic_flac(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Side view: squat, jump backwards with an arched back, over the hands, feet land together."""
    done = progress(time, rhythm)
    knots = (0, 0.22, 0.40, 0.56, 0.76, 1)
    lean = spline(done, knots, (0, -0.25, -1.55, -3.14, -5.0, -2 * np.pi))
    thigh = spline(done, knots, (0.05, 1.0, -0.55, -0.45, 1.0, 0.05)) * rhythm.amplitude
    knee = spline(done, knots, (0.05, 1.5, 0.5, 0.6, 0.35, 0.05))
    arm = spline(done, knots, (2.6 - style.detail, -0.4, 3.4, 3.3, 2.7, 2.6 - style.detail))
    torso = trunk(body, np.zeros((len(time), 2)), lean, SIDE)
    legs, arms, toes = [], [], []
    for apart, hip, shoulder in zip((-0.08, 0.08), torso.hips, torso.shoulders):
        hip_angle = thigh + apart - lean
        legs.append(swing(hip, body.thigh, body.shin, hip_angle, hip_angle - knee))
        foot = hip_angle - knee + 1.35
        toes.append(legs[-1][1] + body.foot * point(np.sin(foot), -np.cos(foot)))
        arms.append(swing(shoulder, body.upper_arm, body.forearm, arm + apart - lean, arm + apart - lean + 0.1))
    pose = Pose(torso, arms, legs, toes, lean - 0.3 * np.sin(np.pi * done))
    lift = 0.05 * (np.exp(-(((done - 0.42) / 0.05) ** 2)) + np.exp(-(((done - 0.68) / 0.05) ** 2)))
    return Act(_grounded(pose, lift, 0.42 * (0.5 - ease(done))))


# --- Sit (Stand backwards): side view, onto the seat that the scene holds ---


def seat_height(style: Style) -> float:
    """Top of the seat, figure units."""
    return 0.25 + 0.05 * style.place


def sit(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """From standing before a seat to sitting on it, torso tipped forwards on the way down."""
    down = ease(progress(time, rhythm))
    lean = 0.55 * np.sin(np.pi * down) * rhythm.amplitude - 0.04 * down
    seated = seat_height(style) + 0.05 * body.girth
    hip_x = 0.06 - (0.8 * body.thigh) * np.sin(0.5 * np.pi * down)
    torso = trunk(body, point(hip_x, body.hip_height - 0.01 + (seated - body.hip_height + 0.01) * down), lean, SIDE)
    legs, toes = _planted(body, torso, (point(0.05, body.ankle), point(0.09, body.ankle)))
    arms = []
    for shoulder, (knee, _) in zip(torso.shoulders, legs):
        hanging = shoulder + body.arm * np.array([0.1, -0.97])
        lap = 0.75 * knee + 0.25 * torso.pelvis + np.array([0.0, 0.06])
        arms.append(_arm_forwards(body, shoulder, hanging + (lap - hanging) * down[:, None]))
    return Act(Pose(torso, arms, legs, toes, 0.5 * lean))


# --- Pick (Put backwards): side view, a thing on the floor or on a low table that the scene holds ---


def table_height(style: Style) -> float:
    """Top of the low table, figure units; 0 stands for the floor."""
    return 0.0 if style.variant < 0.5 else 0.16 + 0.1 * style.place


def pick(time: np.ndarray, body: Body, style: Style, rhythm: Rhythm, prop: Colour) -> Act:
    """Bend down, take the thing with both hands, rise and hold it up before the face."""
    done = progress(time, rhythm)
    bent = ease(done / 0.45) * ease((1 - done) / 0.45)
    taken = done >= 0.5
    rest_height = table_height(style) + THING

    depth = 1 - rest_height / 0.5  # bend further for what lies lower
    lean = (0.65 + 0.75 * depth) * bent
    squat = 0.2 * depth * bent
    torso = trunk(body, point(-0.08 - 0.11 * bent, body.hip_height - 0.01 - squat), lean, SIDE)
    legs, toes = _planted(body, torso, (point(-0.14, body.ankle), point(-0.04, body.ankle)))
    low = ease(np.minimum(done, 1 - done) / 0.5)[:, None]
    arms = []
    for shoulder in torso.shoulders:  # both hands, so that the posture before differs clearly from the one after
        grasp = point(0.18, rest_height + 0.04)
        hanging = shoulder + body.arm * np.array([0.06, -0.98])
        holding = shoulder + np.array([0.20, 0.10 + 0.08 * style.detail])
        start = np.where(taken[:, None], holding, hanging)
        arms.append(_arm_forwards(body, shoulder, start + (grasp - start) * low))
    pose = Pose(torso, arms, legs, toes, 0.75 * lean)

    at_rest = point(0.245, rest_height)
    in_hand = pose.hand(1) + np.array([0.065, -0.04])  # where it lies when the hands reach `grasp`
    thing = chain([disc(np.where(taken[:, None], in_hand, at_rest), THING, prop)], 0.010)
    return Act(pose, apart=thing)


# The pairs in the order of the random streams; a new pair goes to the end.
PAIRS = (
    ("Wave", "Clap"),
    ("Drink", "Eat"),
    ("Fencing", "Sword"),
    ("Cartwheel", "FlicFlac"),
    ("Sit", "Stand"),
    ("Pick", "Put"),
)
BACKWARDS_PAIRS = (("Sit", "Stand"), ("Pick", "Put"))
ONE_WAY = frozenset(name for pair in PAIRS[3:] for name in pair)  # move once, then rest; the others repeat

ACTIONS = {
    "Wave": wave,
    "Clap": clap,
    "Drink": drink,
    "Eat": eat,
    "Fencing": fencing,
    "Sword": sword,
    "Cartwheel": cartwheel,
    "FlicFlac": flic_flac,
    "Sit": sit,
    "Pick": pick,
}
