"""Names beside points: inside the axes, none on another or on a point, and the same ones each time."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from repro.report.labels import label_points


def written(x, y, **options):
    fig, axis = plt.subplots(figsize=(9, 5))
    axis.plot(x, y, "o", markersize=6)
    axis.margins(0.3)
    label_points(axis, x, y, [f"network {k}" for k in range(len(x))], **options)
    fig.canvas.draw()
    room, boxes = axis.get_window_extent(), [text.get_window_extent() for text in axis.texts]
    points = axis.transData.transform(np.column_stack([x, y]))
    plt.close(fig)
    return room, boxes, points


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_no_name_lies_on_another_or_on_a_point(spread):
    x, y = np.random.default_rng(0).normal(0, spread, (2, 18))
    x, y = np.append(x, (-1, 1)), np.append(y, (-1, 1))  # so that the first 18 are crowded, or not
    room, boxes, points = written(x, y)
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert all(room.contains(box.x0, box.y0) and room.contains(box.x1, box.y1) for box in boxes)


def test_a_name_keeps_off_large_markers_and_points_without_a_name():
    _, (box,), _ = written([0.5], [0.5], radii=[40])
    _, (near,), (point,) = written([0.5], [0.5])
    assert box.x0 - point[0] > near.x0 - point[0] + 30
    _, (moved,), _ = written([0.5], [0.5], others=np.array([[0.502, 0.5]]))
    assert not np.allclose(moved.extents, near.extents)
