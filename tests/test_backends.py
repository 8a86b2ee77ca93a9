"""repro.bench.backends: every backend gives the eager network's logits; what is folded, what is refused."""

import json
import time
from types import SimpleNamespace

import pandas as pd
import pytest
import tiny
import torch
from torch import nn

from repro.bench import backends
from repro.data.clips import Clip
from repro.data.transforms import normalise
from repro.experiment.fields import Experiment
from repro.inference import backends as inference
from repro.inference.backends import BACKENDS, agreement, check_option, choose, eager, fast, folded, openvino, option_of
from repro.models import MODELS, build
from repro.models.blocks import BasicBlock
from repro.records.measure import write_measurement
from repro.report import speed as report
from repro.training.network_and_clips import make_dataset


def trained(name="res34_se_im_net", **options):
    """A narrow network whose batch norms and branches do something, as after training."""
    torch.manual_seed(0)
    network = build(name, classes=4, width=0.125, **options)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 2)
                part.weight.uniform_(0.3, 1)
                part.bias.normal_(0, 0.1)
    return network.eval()


def clips(count=3):
    return torch.randn(count, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MODELS)
def test_folded_network_is_the_same_function_without_batch_norm(name):
    network = trained(name)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    ready = folded(network)
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in ready.modules())
    with torch.no_grad():
        torch.testing.assert_close(ready(clips()), network(clips()), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert isinstance(next(m for m in network.modules() if isinstance(m, BasicBlock)).bn1, nn.BatchNorm2d)


def test_a_batch_norm_that_cannot_be_folded_is_named():
    with pytest.raises(ValueError, match=r"batch norm 1\.odd follows no convolution"):
        folded(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ModuleDict({"odd": nn.BatchNorm2d(3)})))


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_gives_the_eager_logits(name):
    network, reference = trained(), eager(trained())(clips(1))
    found = BACKENDS[name](network, clips(1))(clips(1))
    assert found.dtype == torch.float32 and found.shape == (1, 4)
    limit = 1e-3 if "fp32" in name else 0.1
    assert agreement(found, reference).difference < limit


@pytest.mark.slow
def test_int8_is_of_integers_whose_ranges_are_those_of_its_clips():
    """Equal logits would mean that nothing was quantised; ranges of clips a hundred times darker clip all the rest."""
    reference = eager(trained())(clips())
    right = agreement(openvino(trained(), clips(), precision="int8")(clips()), reference)
    assert 1e-4 < right.difference < 0.2  # 0.12 by VNNI, under 0.1 without
    wrong = agreement(openvino(trained(), clips() / 100, precision="int8")(clips()), reference)
    assert wrong.difference > 2 * right.difference


def test_auto_takes_the_fastest_that_gives_the_same_numbers(monkeypatch):
    """Of made backends, one a known time slower than another; the fastest of all is wrong."""

    def made(seconds, factor=1.0):
        def make(network, clips):
            predict = eager(network)
            return lambda clips: (time.sleep(seconds), factor * predict(clips))[1]

        return make

    def missing(network, clips):
        raise ImportError("not here")

    listed = {"eager, fp32": made(1.0), "Quick, fp32": made(0.2), "Wrong, fp32": made(0.0, 1.1), "None, fp32": missing}
    listed["Rough, bf16"] = made(0.0)
    monkeypatch.setattr(inference, "BACKENDS", listed)
    monkeypatch.setattr(inference, "OPTIONS", {option_of(name): name for name in listed})
    said = []
    predict = choose("auto", trained(), clips(), say=said.append)
    torch.testing.assert_close(predict(clips()), eager(trained())(clips()))
    assert said[0].startswith("backend: timing the ways to run this network here")
    assert said[1].startswith("backend: quick-fp32, ") and said[1].endswith(" times as fast as eager-fp32")
    assert 1 < float(said[1].split()[2]) < 5.5
    assert choose("rough-bf16", trained(), clips())(clips()).shape == (3, 4)
    with pytest.raises(ValueError, match="backend: unknown name 'quik-fp32'; did you mean 'quick-fp32'"):
        choose("quik-fp32", trained(), clips())


def test_backends_of_a_cpu_are_no_choice_on_a_gpu():
    check_option("openvino-int8", gpu=False)
    check_option("torch.compile-bf16", gpu=True)
    with pytest.raises(ValueError, match="backend: unknown name 'openvino-int8'"):
        check_option("openvino-int8", gpu=True)


@pytest.mark.parametrize("option", ["eager-fp32", "folded-channels-last-fp32"])
def test_the_halves_of_a_network_take_a_backend_each(option):
    network, pixels = trained(), clips(1)[0]
    maps = network.trunk(pixels)
    torch.testing.assert_close(choose(option, network.trunk, pixels)(pixels), maps, rtol=1e-3, atol=1e-3)
    stack = maps.detach().transpose(0, 1)[None]
    found = choose(option, network.head, stack)(stack)
    torch.testing.assert_close(found, network(clips(1)), rtol=1e-3, atol=1e-3)


def test_bf16_really_computes_in_16_bits():
    """Equal logits would mean that the precision was ignored."""
    found = fast(trained(), precision="bf16")(clips())
    assert 1e-5 < agreement(found, eager(trained())(clips())).difference < 0.1


def test_agreement_by_hand():
    reference = torch.tensor([[1.0, 0.0], [0.5, 0.4999], [0.0, -2.0]])
    found = agreement(torch.tensor([[1.0, 0.0], [0.4999, 0.5], [0.0, 0.5]]), reference)
    assert found.difference == pytest.approx(2.5 / 2)
    assert (found.same, found.clips) == (1, 3)
    assert found.contradicted == 1  # the second clip's margin is below 1e-3 of the largest logit


def measured(attention_gain=2.4, ratio=0.96):
    def interval(median):
        return {"median": median, "low": median - 0.1, "high": median + 0.1}

    def network(rate, gain):
        rates = {"median": rate, "q25": rate, "q75": rate}
        return {"clips_per_second": rates, "prepared_in": 3.0, "gain": interval(gain)}

    def row(gain, ratio):
        networks = {"resnet34_3dres18": network(2.0, gain), "res34_se_im_net": network(2.0 * ratio, gain)}
        return networks | {"second_over_first": interval(ratio)}

    variants = {"eager, fp32": row(1.0, 1.0), "x, bf16": row(attention_gain, ratio), "y, fp32": {"reason": "no y here"}}
    plain = {"difference": 0.0, "same": 104, "clips": 104, "contradicted": 0, "right": 52}
    agreed = {"difference": 2e-3, "same": 103, "clips": 104, "contradicted": 1, "right": 50}
    logits = {"eager, fp32": plain, "x, bf16": agreed, "y, fp32": {"reason": "no y here"}}
    return {"run": "s/r", "variants": variants, "logits": logits}


def test_report_says_what_is_fastest_and_what_did_not_run():
    table = report.backends_table(measured())
    assert table["Res34-SE-IM-Net: gain [95 %]"].tolist()[:2] == ["1.00 [0.90, 1.10]", "2.40 [2.30, 2.50]"]
    assert table["remark"].tolist()[2] == "not run: no y here"
    logits = report.logits_table(measured())
    assert logits["same label"].tolist()[:2] == ["104 / 104", "103 / 104"]
    assert (logits["top-1"][1], logits["difference in points"][1]) == ("48.1 %", "-1.9")
    assert "no y here" in logits.iloc[2].tolist()[1]
    assert report.agreed(measured()) == (
        "Of eager's labels of the test clips of s/r, bf16 keeps 103 of 104 (99.0 %), top-1 moves by -1.9 points."
    )
    lines = report.findings(measured())
    assert lines[0].startswith("The fastest is **x, bf16**: Res34-SE-IM-Net runs 2.40 [2.30, 2.50] times as fast")
    least = "the least under x, bf16."
    assert lines[-1] == f"Res34-SE-IM-Net runs at 0.96 [0.86, 1.06] times the baseline's rate or more, {least}"


def test_backends_are_compared_in_turn(monkeypatch):
    """One backend is eager with a known sleep, one cannot run here. A sleep is never shorter than asked for."""
    calls = []

    def missing(network, clip):
        raise ImportError("made is not installed")

    def slowed(network, clip):
        predict = eager(network)
        return lambda clips: (calls.append(network), time.sleep(0.05), predict(clips))[-1]

    listed = {"eager, fp32": lambda network, clip: eager(network), "slowed": slowed, "missing": missing}
    monkeypatch.setattr(backends, "BACKENDS", listed)
    networks = {name: trained(name) for name in ("resnet34_3dres18", "res34_se_im_net")}
    found = backends.compare_backends(networks, clips(1), repeats=5)
    rows = found["variants"]
    assert rows["missing"] == {"reason": "made is not installed"}
    assert rows["eager, fp32"]["res34_se_im_net"]["gain"]["median"] == 1
    assert 1 / rows["slowed"]["res34_se_im_net"]["clips_per_second"]["median"] >= 0.05
    assert [calls.count(network) for network in networks.values()] == [7, 7]  # prepared, warmed up, five timed
    labels = eager(trained())(clips()).argmax(1).tolist()
    logits = backends.compare_logits(
        trained(), list(clips().split(1)), [labels[0], *(3 - k for k in labels[1:])], clips()
    )
    assert logits["slowed"] == {"difference": 0.0, "same": 3, "clips": 3, "contradicted": 0, "right": 1}
    assert logits["missing"] == {"reason": "made is not installed"}


def test_logits_of_a_trained_network_are_filed_with_what_they_are_of(monkeypatch, tmp_path):
    """The network sees what its run fed it: BGR values of 0 to 255 here."""
    clip = Clip("a", tiny.write_video(tmp_path / "a.avi", frames=6), 0, "g")
    experiment = Experiment(
        study="made", model="res34_se_im_net", width=0.125, frames=4, size=64, values="eco_pytorch_resnet"
    )
    fed, other = [], Clip("b", tiny.write_video(tmp_path / "b.avi", frames=7, brightness=80), 1, "h")
    split = SimpleNamespace(test=(clip,), train=(other, other))

    def seeing(network, clip):
        fed.append(clip)
        return eager(network)

    made = {
        "read_record": lambda folder: SimpleNamespace(experiment=experiment, classes=("a", "b", "c", "d")),
        "trained": lambda *_: trained(),
        "select_clips": lambda _: SimpleNamespace(split=split, lengths=pd.Series({"a": 6, "b": 7})),
        "BACKENDS": {"eager, fp32": seeing},
    }
    for name, value in made.items():
        monkeypatch.setattr(backends, name, value)
    filed = json.loads(backends.measure_logits("made/run", results=tmp_path).read_text())
    (row,) = filed["logits"].values()
    assert row.pop("right") in (0, 1) and row == {"difference": 0.0, "same": 1, "clips": 1, "contradicted": 0}
    assert (filed["run"], filed["width"], filed["frames"], filed["size"]) == ("made/run", 0.125, 4, 64)
    assert filed["calibrated_on"] == 2
    dataset = make_dataset(experiment, (other,), pd.Series({"b": 7}), ("a", "b", "c", "d"))
    torch.testing.assert_close(fed[0][1], normalise(dataset[0][0], "eco_pytorch_resnet"))  # of the training clips


def test_the_page_shows_the_measurement_of_backends_alone_before_that_beside_table_6(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(report, "show_measured", lambda table, caption, folded: shown.append((len(table), caption)))
    monkeypatch.setattr(report, "say", shown.append)
    record = SimpleNamespace(name="a CPU of another machine", content={"variants": measured() | {"repeats": 20}})
    report.show_backends(SimpleNamespace(name="x", content={}))
    caption = "The two networks on each backend, 16 frames of 224×224"
    assert shown == [(0, caption)]
    report.show_backends(record)
    assert shown[2] == (3, f"{caption}, 20 interleaved rounds, a CPU of another machine")
    made = {"device": "CPU, 2 thread(s)", "processor": "P", "started": "2026-11-29T10:00", "commit": "0123456789abc"}
    content = {"instructions": "AVX2", "repeats": 5} | measured(attention_gain=3.1)
    write_measurement("backends-avx2", "cpu", content, provenance=made)
    report.show_backends(record)
    assert shown[3].startswith("On CPU, 2 threads of P with AVX2:") and "3.10 [3.00, 3.20] times as fast" in shown[3]
    assert shown[4][1].endswith("5 interleaved rounds, CPU, 2 threads of P with AVX2, 2026-11-29, commit 0123456789")
