"""repro.bench.counts: what the verdicts compare, at each network's own input and at one common input."""

import pytest

from repro.bench.counts import counts_at_published, counts_of
from repro.models.peers.rows import COMMON, rows


def test_counts_at_the_own_and_at_the_common_input():
    found = counts_of(["c3d", "r3d_18", "trn_multiscale", "tsm_resnet50-16"])
    assert found["c3d"]["common"] is None and rows()["c3d"].fixed
    r3d = found["r3d_18"]  # twice the side: four times the operations of its convolutions, which are nearly all
    assert r3d["multiply_adds"] / 1e9 == pytest.approx(40.70, abs=0.01) and (r3d["frames"], r3d["size"]) == (16, 112)
    assert r3d["common"]["multiply_adds"] == pytest.approx(4 * r3d["multiply_adds"], rel=1e-4)
    assert r3d["common"]["parameters"] == r3d["parameters"] == 33_371_472 and (r3d["depth"], r3d["layers"]) == (18, 21)
    trn = found["trn_multiscale"]  # built for 16 frames, with relations among up to 16: twice the frames, more weights
    assert trn["common"]["multiply_adds"] == pytest.approx(2 * trn["multiply_adds"], rel=0.01)
    assert trn["common"]["parameters"] > trn["parameters"]
    tsm = found["tsm_resnet50-16"]
    assert (tsm["frames"], tsm["size"]) == tuple(COMMON.values())
    assert tsm["common"] == {key: tsm[key] for key in ("parameters", "multiply_adds")}


def test_published_counts_are_counted_at_their_own_input():
    assert counts_at_published()["i3d"] == pytest.approx((12.69, 138.9), rel=0.01)  # 79 frames
