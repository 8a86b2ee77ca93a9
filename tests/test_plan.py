"""What a run or a profile says before it starts: counts by hand, memory, the batch that fits, and no trace left."""

import math
import os

import pytest
import tiny
import torch

from repro.data.demo import render_demo_set
from repro.experiment.fields import Experiment
from repro.metrics.memory import TrainingMemory
from repro.metrics.text import time_text
from repro.models import build
from repro.training import costs, plan
from repro.training import loop as training
from repro.training.loop import train
from repro.training.plan import Plan, Size, make_plan

GB = 10**9
SIZE = Size(parameters=10_000_000, multiply_adds=2 * GB, memory=TrainingMemory(fixed=GB, per_clip=GB // 2))


def made(available=40 * GB, step=None, load=None, clips=(100, 20, 30), device=plan.CPU, cores=4, **fields) -> Plan:
    parts = dict(zip(("train", "validation", "test"), clips))
    fields = {"schedule": "cosine", "batch_size": 16, "epochs": 4, "run": "r", **fields}
    return Plan(Experiment(**fields), parts, SIZE, device, available, step, load, cores)


def test_counts_by_hand():
    one = made()
    assert (one.batches, one.steps) == (7, 7)  # 6 of 16 and one of 4
    assert (made(last_batch="drop_partial").batches, made(accumulate=4).steps) == (6, 2)
    assert one.memory == 9 * GB  # 1 + 16 / 2
    assert made(devices=2).memory == 5 * GB
    assert one.batch_that_fits == 70  # (0.9 x 40 - 1) / 0.5
    # weights and momentum of the last, of the best and of one being written, and the weights: 4 bytes x 10 M x 7
    assert one.disk == 280_000_000 and made(clips=(100, 0, 30)).disk == 200_000_000


def test_time_by_hand():
    assert made().epoch_seconds is None
    # training 100 and scoring 20 clips at a third: 106.67 x 0.3 s; reading 120 x 0.1 s
    assert made(step=0.3, load=0.1, workers=0).epoch_seconds == pytest.approx(32 + 12)  # one after the other
    assert made(step=0.3, load=0.1, workers=2, device="GPU").epoch_seconds == pytest.approx(32)  # beside
    assert made(step=0.3, load=0.1, workers=2).epoch_seconds == pytest.approx(64)  # on the other two of four cores
    assert made(step=0.03, load=0.1, workers=2).epoch_seconds == pytest.approx(6.4)
    assert made(step=0.003, load=0.1, workers=2).epoch_seconds == pytest.approx(6)  # starved
    assert made(step=0.3, load=0.1, workers=2, devices=2, device="GPU").epoch_seconds == pytest.approx(16)


@pytest.mark.parametrize("fields, workers", [
    ({"step": 0.3, "load": 0.03, "epochs": 500}, 0),  # reading is a ninth of the time
    ({"step": 0.03, "load": 0.1, "epochs": 2}, 0),  # 18 s could be saved: what starting processes takes
    ({"step": 0.03, "load": 0.1, "device": "GPU", "epochs": 20}, 4),  # 3.75 would do
    ({"step": 0.04, "load": 0.1, "device": "GPU", "epochs": 20, "cores": 16}, 3),  # 2.8 would do: more bring nothing
    ({"step": 0.01, "load": 0.1, "device": "GPU", "epochs": 20}, 4),  # 11 would do, there are four cores
    ({"step": 0.03, "load": 0.1, "epochs": 20}, 2),  # on four cores: 6.4 s of arithmetic on two beside 6 of reading
    ({"step": 0.03, "load": 0.1, "epochs": 20, "cores": 2}, 1),  # on two: 6.4 s on one beside 12 of reading
    ({"step": 0.1, "load": 0.1, "epochs": 20, "cores": 2}, 0),  # 21.3 s on one; one after the other: 22.7
    ({"step": 0.03, "load": 0.1, "epochs": 20, "workers": 3}, 3),  # said is said
    ({"epochs": 20}, 0),  # nothing was measured
])  # fmt: skip
def test_loader_processes_by_hand(fields, workers):
    assert made(**fields).workers == workers


def test_what_would_help_a_run_that_waits():
    said = made(step=0.03, load=0.1, workers=2).slow_reading(60.0, 0.75, cached=False)
    assert said == (
        "75% of the time went by waiting for clips: without it an epoch takes 15.0 seconds, not 60.0 seconds. More "
        "loader processes (workers: 4, one a core; now 2) or frame caches, which are read sooner (repro prepare "
        "--frames) would help"
    )
    assert (
        made(workers=4)
        .slow_reading(60.0, 0.5, cached=True)
        .endswith("30.0 seconds, not 60.0 seconds. More cores would help")
    )


def test_reading_is_measured_as_most_epochs_find_it(data):
    """From the file where the set cannot be kept in memory, else of the copies; the dataset stays as it was."""
    experiment = tiny.experiment(data)
    split, lengths, _ = training.select_clips(experiment)
    dataset = training.make_dataset(experiment, split.train, lengths, split.classes)
    read, times = [], iter(range(100))
    item, clock = type(dataset).__getitem__, plan.time.perf_counter
    whole = sum(lengths[clip.name] for clip in split.train[:4]) / 4 * len(dataset) * 72 * 96 * 3
    for room, passes in ((0, 2), (10**9, 3), (1000, 2), (int(0.9 * whole), 3)):
        dataset.keep_decoded(room)
        read.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(dataset), "__getitem__", lambda self, key: read.append(key) or item(self, key))
            patch.setattr(plan.time, "perf_counter", lambda: next(times))
            assert plan.reading_seconds(dataset) == 1 / 4  # the clock ticks once a pass of four clips
        assert len(read) == 4 * passes
    assert plan.time.perf_counter is clock


def test_what_it_says():
    first, network, memory, time = made(step=0.3, load=0.1, workers=0, accumulate=4).lines()
    assert first == "r: 100 training clips, 20 validation clips, 30 test clips; 4 epochs of 2 steps, batch 16 x 4 = 64"
    # 6 operations x 2 G x 100 clips x 4 epochs
    assert network == "  network: 10.00 M parameters, 2.00 GMACs a clip; training is 4.8 TFLOP"
    assert memory.startswith(
        "  memory: about 9.00 GB on the CPU (40.0 GB free; up to 70 clips a device fit); disk: up to 0.28"
    )
    assert "about 44.0 seconds an epoch, 2.9 minutes in all (probe: 300 ms of arithmetic and 100 ms of reading" in time


def test_a_last_batch_of_one_clip_is_named():
    """Of 97 clips in batches of 16 the last batch is one clip."""
    assert any("last_batch: drop_partial" in line for line in made(clips=(97, 0, 23)).lines())
    dropped = made(clips=(97, 0, 23), last_batch="drop_partial").lines()
    assert not any("last batch" in line for line in [*made().lines(), *dropped])


@pytest.mark.parametrize("available, advice", [
    (6 * GB, "about 9.0 GB were expected, 6.0 GB were free at first; batch_size: 8 with accumulate: 2 keeps"),
    (4 * GB, "batch_size: 4 with accumulate: 4 keeps"),
    (GB, "not even one clip fits: use a smaller size or fewer frames"),
])  # fmt: skip
def test_advice_for_who_ran_out_of_memory(available, advice):
    assert advice in made(available).advice()


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.quick(monkeypatch)
    return tiny.write_ucf101(tmp_path / "set")


def test_the_probe_leaves_no_trace(data, tmp_path, monkeypatch):
    weights = []
    for name, probed in (("with", True), ("without", False)):
        with monkeypatch.context() as patch:
            if not probed:
                patch.setattr(training, "make_plan", lambda *a, **k: make_plan(*a, **k | {"dataset": None}))
            experiment = tiny.experiment(data, run=name)
            train(experiment, results=tmp_path / "results", work=tmp_path / "work")
        weights.append(torch.load(tmp_path / "work" / "tiny" / name / "weights.pt", weights_only=True))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory"),
])  # fmt: skip
def test_where_memory_runs_out_in_the_probe_the_run_says_it(data, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr(plan, "step_seconds", full)
    experiment = tiny.experiment(data)
    split, lengths, _ = training.select_clips(experiment)
    dataset = training.make_dataset(experiment, split.train, lengths, split.classes)
    network, clips = training.make_network(experiment, 2)[0], {"train": 6, "validation": 0, "test": 4}
    found = make_plan(experiment, network, clips=clips, device=torch.device("cpu"), dataset=dataset)
    assert found.step_seconds is None and len(found.lines()) == 3
    error.args = ("something else",)
    if type(error) is RuntimeError:
        with pytest.raises(RuntimeError, match="something else"):
            make_plan(experiment, network, clips=clips, device=torch.device("cpu"), dataset=dataset)


# --- of a profile


def test_costs_of_runs_by_hand(data, monkeypatch):
    """Two seeds of a network on the made clips: 6 training clips, and 4 test clips at a third."""
    monkeypatch.setattr(costs, "size_of", lambda *_: SIZE)
    runs = [tiny.experiment(data, seed=seed, epochs=5, workers=0) for seed in (0, 1)]
    (row,) = costs.cost_table(runs).to_dict("records")
    assert (row["study"], row["network"], row["protocol"], row["runs"]) == ("tiny", "Res34-SE-IM-Net", "sound", 2)
    assert (row["training clips"], row["counted in"], row["steps an epoch"]) == (6, "lists", 2)
    assert row["PFLOP"] == pytest.approx(2 * 12e9 * (6 * 5 + 4 / 3) / 1e15)
    assert row["GB a device"] == pytest.approx(2.5) and row["GB of disk"] == pytest.approx(2 * 0.2)
    monkeypatch.setattr(costs, "step_seconds", lambda *_: 36.0)
    monkeypatch.setattr(costs, "seconds_to_read", lambda _: 18.0)
    (row,) = costs.cost_table(runs, device=torch.device("cpu")).to_dict("records")
    assert row["hours"] == pytest.approx(2 * (6 * 5 * (36 + 18) + 4 / 3 * 36) / 3600)
    assert (row["ms a clip"], row["ms to read"], row["loaders"]) == (36_000, 18_000, 0)
    monkeypatch.setattr(costs, "seconds_to_read", lambda _: None)  # no clips are at hand
    assert "  -" in costs.cost_text(runs, measure=True) and "feed" not in costs.cost_text(runs, measure=True)
    monkeypatch.setattr(costs, "seconds_to_read", lambda _: 180.0)
    monkeypatch.setattr(costs, "cores", lambda: 2)
    assert "tiny: 5 cores that read clips would feed one device, 2 are here; frame" in costs.cost_text(
        runs, measure=True
    )


def test_reading_of_a_profile_is_measured_on_clips_at_hand(data):
    experiment = tiny.experiment(data)
    assert 0 < costs.seconds_to_read(experiment) < 10
    assert costs.seconds_to_read(tiny.experiment(data | {"annotations": "/nowhere"})) is None
    assert costs.seconds_to_read(tiny.experiment(data | {"videos": "/nowhere"})) is None


@pytest.mark.parametrize("fields, parts", [
    ({"layout": "hmdb51", "validation_fraction": 0.1}, (3213, 357, 1530)),
    ({"layout": "ucf101", "split": 2, "watch": "test", "validation_fraction": 0.0}, (9586, 3734, 3734)),
    ({"layout": "kinetics400", "schedule": "cosine", "validation_fraction": 0.0}, (246534, 0, 19906)),
])  # fmt: skip
def test_clips_of_a_dataset_that_is_not_here(fields, parts):
    found = costs.count_clips(Experiment(videos="nowhere", annotations="nowhere", **fields))
    assert tuple(found.parts.values()) == parts and found.source == "catalogue"


def test_clips_of_a_demo_set_that_is_not_rendered_yet(tmp_path):
    """The count of the plan is the count of the lists, once they are there; not UCF101's, whose layout it has."""
    demo = {"root": str(tmp_path / "demo"), "clips_per_class": 7, "clips_per_group": 2, "frames": 4, "size": 64}
    fields = {"videos": str(tmp_path / "demo/videos"), "annotations": str(tmp_path / "demo/annotations")}
    runs = [Experiment(**fields, split=split, validation_fraction=0.0, schedule="cosine") for split in (1, 2)]
    planned = [costs.count_clips(run, demo) for run in runs]
    assert {clips.source for clips in planned} == {"demo set"}
    assert costs.count_clips(Experiment(**fields, classes=["Sit", "Stand", "Put"]), demo).parts["test"] == 9
    render_demo_set(demo["root"], **{k: v for k, v in demo.items() if k != "root"})
    found = [costs.count_clips(run, demo) for run in runs]
    assert {clips.source for clips in found} == {"lists"}
    assert [clips.parts for clips in found] == [clips.parts for clips in planned]
    assert found[0].parts == {"train": 48, "validation": 0, "test": 36}  # groups 1 and 4 of 4 are tested: 2 + 1 clips


def test_clips_of_nobody_knows_what(monkeypatch, capsys):
    for fields in ({"layout": "folder"}, {"layout": "ucf101", "classes": ["A", "B"]}):
        experiment = Experiment(videos="nowhere", annotations="nowhere", **fields)
        assert costs.count_clips(experiment).missing.startswith("annotations: there is no folder nowhere")
    (row,) = costs.cost_table([experiment]).to_dict("records")
    assert row["counted in"] == "not at hand" and math.isnan(row["PFLOP"]) and row["GB of disk"] > 0
    monkeypatch.setattr(costs, "step_seconds", lambda *_: 36.0)
    text = costs.cost_text([experiment], measure=True)
    assert "1 runs, unknown PFLOP" in text and "unknown hours on" in text
    assert "videos: there is no folder nowhere yet" in text
    assert "its clips' number is unknown. annotations: there is no folder nowhere; set annotations to" in text
    assert "repro: measuring a training step of Res34-SE-IM-Net, 16 frames of 224 pixels ..." in capsys.readouterr().err


def test_a_step_is_measured_with_the_threads_of_its_run():
    """Two threads on a busy machine wait for each other: a run of one thread is many times as fast."""
    experiment = Experiment(model="resnet34_3dres18", width=0.125, frames=2, size=64, threads=1)
    network = build(experiment.model, classes=3, width=0.125)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert plan.step_seconds(experiment, network, torch.device("cpu")) > 0 and torch.get_num_threads() == 1
        assert plan.threads_of(Experiment(threads=0, devices=1)) == os.cpu_count()
    finally:
        torch.set_num_threads(before)


def test_little_time_is_said_in_its_unit(monkeypatch):
    monkeypatch.setattr(costs, "step_seconds", lambda *_: 1e-5)
    demo = {"root": "nowhere", "clips_per_class": 4, "clips_per_group": 1}
    experiment = Experiment(videos="nowhere/videos", annotations="nowhere/annotations")
    text = costs.cost_text([experiment], demo_set=demo, measure=True)
    assert text.count(" seconds") == 2 and "hours" not in text
    said = [time_text(3600 * hours) for hours in (0.01, 0.2, 1.4, 1.6, 1200)]
    assert said == ["36.0 seconds", "12.0 minutes", "84.0 minutes", "1.6 hours", "1,200.0 hours"]


def test_a_split_that_has_no_list_is_an_error(tmp_path):
    (tmp_path / "split1.csv").write_text("clip,part\na/1.avi,train\na/2.avi,test\nb/1.avi,train\nb/2.avi,test\n")
    fields = {"layout": "folder", "videos": "nowhere", "annotations": str(tmp_path)}
    assert costs.count_clips(Experiment(**fields, split=1)).parts["test"] == 2
    with pytest.raises(FileNotFoundError, match=r"there is no .*split9.csv, only split1.csv; write it or change split"):
        costs.cost_table([Experiment(**fields, split=9)])
