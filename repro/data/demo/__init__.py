"""The demo set: rendered clips of a moving figure, an action-recognition task for a machine without any dataset.

Twelve actions in six look-alike pairs; in two of the pairs one action is the other played backwards.
"""

from repro.data.demo.actions import BACKWARDS_PAIRS, ONE_WAY, PAIRS
from repro.data.demo.dataset import demo_counts, render_demo_set
from repro.data.demo.render import CLASSES, render_clip

__all__ = ["BACKWARDS_PAIRS", "CLASSES", "ONE_WAY", "PAIRS", "demo_counts", "render_clip", "render_demo_set"]
