"""A trained network as a folder: it comes back the same, its card says what its record says, faults name the file."""

import json
import re

import numpy as np
import pytest
import tiny
import torch
import yaml
from test_cli import call

from repro.inference.export import export
from repro.inference.predict import predict
from repro.inference.trained import find_trained
from repro.metrics.text import with_interval
from repro.records.scores import is_right, share_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    record = tiny.trained(folder, epochs=2, dataset="made clips", remark="Made.")
    return folder, record, {"results": folder / "results", "work": folder / "runs"}


@pytest.fixture(scope="module")
def exported(made, tmp_path_factory):
    return export("s/r", tmp_path_factory.mktemp("out") / "my network", **made[2])


def test_it_comes_back_as_the_same_network(made, exported):
    folder, record, places = made
    assert sorted(path.name for path in exported.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (exported / "model.safetensors").stat().st_mode == (exported / "config.json").stat().st_mode
    clips = [folder / "set" / "videos" / name for name in record.predictions["clip"]]
    own, back = predict(clips, run="s/r", **places), predict(clips, weights=exported)
    assert own.equals(back)
    found = find_trained(weights=exported)
    assert found.name == "s/r" and found.classes == record.classes
    assert (found.experiment.frames, found.experiment.size) == (record.experiment.frames, record.experiment.size)
    with pytest.raises(ValueError, match="says itself which run it is; leave run away"):
        find_trained("s/r", exported)


def test_nothing_of_this_machine_is_in_it(made, exported):
    for name in ("README.md", "config.json"):
        assert str(made[0]) not in (exported / name).read_text()


def test_the_card_says_what_the_record_says(made, exported):
    _, record, _ = made
    text = (exported / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    (result,) = yaml.safe_load(head)["model-index"][0]["results"]
    top1 = share_of([record], is_right)
    assert result["metrics"] == [{"type": "accuracy", "value": round(top1.point, 4)}]
    assert with_interval(top1) in body and f"{top1.clips} clips of {top1.groups} sources" in body
    network = find_trained("s/r", **made[2]).network
    assert f"{sum(p.numel() for p in network.parameters()):,} parameters" in body
    assert "Made." in body and "made clips, split 1" in body and "random weights" in body
    assert "its accuracy says nothing of the paper's" in body and "not known to this study" in body
    assert "answers with one of its 2 classes whatever it sees" in body
    assert re.search(r"commit [0-9a-f]{12}|commit", body) and record.provenance["started"][:10] in body


def test_onnx_takes_any_batch(made, tmp_path, capsys):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = export("s/r", tmp_path / "out", onnx=True, **made[2])
    session = runtime.InferenceSession(str(folder / "model.onnx"))
    network = find_trained("s/r", **made[2])
    for batch in (1, 3):
        shape = batch, network.experiment.frames, 3, network.experiment.size, network.experiment.size
        clips = torch.randn(shape, generator=torch.Generator().manual_seed(batch))
        (logits,) = session.run(None, {session.get_inputs()[0].name: clips.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, network.network(clips), rtol=1e-3, atol=1e-3)
    text = (folder / "README.md").read_text()
    fed, given = session.get_inputs()[0], session.get_outputs()[0]
    size = network.experiment.size
    assert f"`model.onnx` takes `{fed.name}`, float32 (batch, {network.experiment.frames}, 3, {size}, {size}): " in text
    assert f"it gives `{given.name}`, float32\n(batch, 2): " in text
    (code,) = re.findall(r"```python\n(import numpy.*?)```", text, re.S)
    exec(code.replace("FOLDER", str(folder)))
    assert "[[" in capsys.readouterr().out


def test_what_is_there_already_is_not_touched(made, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="out holds something already"):
        export("s/r", tmp_path / "out", **made[2])
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]
    (tmp_path / "empty").mkdir()
    assert export("s/r", tmp_path / "empty", **made[2]) == tmp_path / "empty"


def test_nothing_half_written_stays(made, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("repro.inference.export.save_file", full)
    with pytest.raises(OSError, match="No space"):
        export("s/r", tmp_path / "out", **made[2])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda f: (f / "config.json").unlink(), r"no folder that `repro export` wrote: it has no config\.json"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json: .*; export the run again"),
        (lambda f: edit(f, form=9), r"config\.json: form: .*; export the run again"),
        (lambda f: edit(f, classes=["a"]), "these are of another network, or of other classes"),
        (lambda f: edit(f, frames=3), r"config\.json: unknown name 'frames'"),
        (lambda f: cut(f / "model.safetensors"), r"model\.safetensors: is not the file that config\.json names"),
    ],
)
def test_a_damaged_folder_names_the_file(made, tmp_path, break_it, message):
    folder = export("s/r", tmp_path / "out", **made[2])
    break_it(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        find_trained(weights=folder)


def edit(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_the_commands(made, monkeypatch, capsys, tmp_path):
    folder, record, places = made
    options = ["--results", places["results"], "--work", places["work"]]
    status, out, _ = call(monkeypatch, capsys, "export", "s/r", "--to", tmp_path / "out", *options)
    assert status == 0 and str(tmp_path / "out") in out
    clip = folder / "set" / "videos" / record.predictions["clip"][0]
    status, out, err = call(monkeypatch, capsys, "predict", clip, "--weights", tmp_path / "out")
    assert status == 0 and str(clip) in out and "by s/r" in err
    status, out, _ = call(monkeypatch, capsys, "online", "--source", clip, "--weights", tmp_path / "out", "--no-window")
    assert status == 0 and json.loads(out.splitlines()[0])["label"] in record.classes
    status, _, err = call(monkeypatch, capsys, "export", "s/none", "--to", tmp_path / "other", *options)
    assert status == 1 and "there is no record" in err and not (tmp_path / "other").exists()
