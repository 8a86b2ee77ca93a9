"""Names beside the points of a figure, none on another, on a point or outside; a thin line leads to a point far off.

adjustText moves labels by forces, which leaves some on one another where points are dense; here each name takes the
nearest free place of a fixed list, so that the same points always give the same picture.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

DISTANCES = (4, 8, 14, 22, 32, 44, 58, 74, 92, 112, 134, 158)  # points between a marker's edge and its name
ANGLES = np.deg2rad([0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 70, 110, 250, 290])  # in this order


def label_points(
    axis: Axes,
    x: Sequence[float],
    y: Sequence[float],
    names: Sequence[str],
    *,
    radii: Sequence[float] | None = None,
    others: np.ndarray | None = None,
) -> None:
    """Write a name beside each point, at 8 points; the axes' limits and layout are what they then stay.

    radii: of the markers, in points (3 by default). others: further points that no name may cover, ``(n, 2)``. Where
    no place is free a name takes the best there is.
    """
    fig = axis.get_figure(root=True)
    assert isinstance(fig, Figure)  # an axis that is drawn has one
    fig.canvas.draw()
    fig.set_layout_engine("none")  # what the layout has found must stand from now on
    unit = fig.dpi / 72
    sizes = np.full(len(x), 3.0) if radii is None else np.asarray(radii, dtype=float)
    points = axis.transData.transform(np.column_stack([x, y]))
    discs = [_square(at, unit * size) for at, size in zip(points, sizes)]
    if others is not None and len(others):
        discs += [_square(at, 3 * unit) for at in axis.transData.transform(others)]
    room = axis.get_window_extent()
    boxes: list[Bbox] = []
    leaders: list[Path] = []
    near = np.linalg.norm(points[:, None] - points[None], axis=2)
    for k in np.argsort(-(near < 80 * unit).sum(1), kind="stable"):  # the most crowded first
        text = axis.text(0, 0, list(names)[k], fontsize=8, ha="center", va="center")
        places = _places(points[k], text.get_window_extent(), unit * sizes[k], unit)
        around = [discs[k], *discs[:k], *discs[k + 1 :]]
        box, leader = min(places, key=lambda place: _faults(place, room, around, boxes, leaders))
        boxes.append(box)
        leaders.append(leader)
        _write(axis, text, box, leader, far=max(leader.get_extents().size) > 10 * unit)


def _square(at: np.ndarray, half: float) -> Bbox:
    return Bbox([at - half, at + half])


def _places(point: np.ndarray, size: Bbox, radius: float, unit: float) -> Iterator[tuple[Bbox, Path]]:
    """Boxes for a name around a point, the nearest first, with the line from the marker's edge to the box's edge."""
    half = np.array([size.width, size.height]) / 2 + unit
    for distance in DISTANCES:
        for angle in ANGLES:
            way = np.array([np.cos(angle), np.sin(angle)])
            middle = point + way * (radius + distance * unit + half)
            box = Bbox([middle - half, middle + half])
            yield box, Path([point + radius * way, np.clip(point, box.min, box.max)])


def _faults(place: tuple[Bbox, Path], room: Bbox, discs: list[Bbox], boxes: list[Bbox], leaders: list[Path]) -> int:
    """How badly a name stands there: outside the axes or on others is worse than a leader across something.

    discs: of the markers, the name's own first.
    """
    box, leader = place
    outside = not (room.x0 < box.x0 and box.x1 < room.x1 and room.y0 < box.y0 and box.y1 < room.y1)
    crossed = sum(leader.intersects_bbox(other) for other in (*boxes, *discs[1:]))
    crossed += sum(other.intersects_bbox(box) for other in leaders)
    return 10 * (outside + box.count_overlaps([*discs, *boxes])) + crossed


def _write(axis: Axes, text: Text, box: Bbox, leader: Path, *, far: bool) -> None:
    x, y = axis.transData.inverted().transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    text.set_position((x, y))
    if far:
        ends = axis.transData.inverted().transform(leader.vertices)
        axis.plot(*ends.T, color="#888888", linewidth=0.6, scalex=False, scaley=False)
