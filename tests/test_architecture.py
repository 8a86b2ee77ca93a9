"""The networks' page: stages add up to the network, and the untrained gate's factor is Equation 4's."""

import pytest

from repro.metrics.complexity import parameters
from repro.models import build
from repro.report import architecture

SMALL = {"frames": 4, "size": 64, "width": 0.125}


@pytest.mark.parametrize("model", ["resnet34_3dres18", "res34_se_im_net"])
def test_the_stages_are_the_whole_network(model):
    table = architecture.stages_table(model, classes=3, **SMALL).set_index("stage")
    assert list(table.index)[::8] == ["2D stem: 7×7 / 2, pool / 2", "classifier"] and table.index[-1] == "all"
    assert table.loc["all", "parameters"] == parameters(build(model, classes=3, width=0.125))
    assert table.loc["all", "GMACs"] == pytest.approx(table["GMACs"][:-1].sum())
    assert table.loc["2D layer 1", "output"] == "4 × 8 × 16 × 16" and table.loc["classifier", "output"] == "1 × 3"
    assert table.attrs["formats"] == {"parameters": ",", "GMACs": ".2f"}


def test_the_stack_that_the_head_reads():
    assert architecture.stacked_shape("resnet34_3dres18", frames=16, size=224, width=1.0) == "512 × 16 × 7 × 7"


def test_what_the_gates_add():
    models = ("resnet34_3dres18", "res34_se_im_net", "res34_se_im_ta_net")
    table = architecture.gates_costs(models, classes=3, **SMALL)
    assert list(table["gates"]) == [0, 16, 22] and table["parameters"].is_monotonic_increasing


def test_an_untrained_gate_multiplies_by_about_one_and_a_half():
    fig, alt = architecture.untrained_gates_figure()
    assert alt.endswith("near 1.5 for bias 0, near 1.1 for bias -2, near 1.0 for bias -4.")
    assert len(fig.axes[0].get_legend().get_texts()) == 3
