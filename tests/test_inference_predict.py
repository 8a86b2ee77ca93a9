"""Labels of clips by a trained network: its test's own numbers, whichever way it is found; what is refused."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from test_cli import call

from repro.inference import trained
from repro.inference.predict import find_clips, predict
from repro.inference.trained import find_trained


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs on two classes of made clips; the first one is older."""
    folder = tmp_path_factory.mktemp("project")
    _, record = (tiny.trained(folder, run=f"r{seed}", seed=seed) for seed in (0, 1))
    old = folder / "runs" / "s" / "r0" / "weights.pt"
    os.utime(old, (1, 1))
    return folder, record


def where(folder):
    return {"results": folder / "results", "work": folder / "runs"}


def test_scores_are_those_of_the_runs_own_test(made):
    folder, record = made
    clips = [folder / "set" / "videos" / name for name in record.predictions["clip"]]
    found = predict(clips, run="s/r1", **where(folder))
    scores = torch.tensor(record.scores).softmax(1).numpy()
    assert found["clip"].tolist() == [str(clip) for clip in clips] and (found["problem"] == "").all()
    order = np.argsort(-scores, 1)
    for rank, name in enumerate(("", "_2")):
        assert found[f"label{name}"].tolist() == [record.classes[k] for k in order[:, rank]]
        np.testing.assert_allclose(found[f"score{name}"], np.sort(scores, 1)[:, ::-1][:, rank], atol=1e-5)
    assert "label_3" not in found, "there are two classes"


@pytest.mark.parametrize("backend", ["folded-channels-last-fp32", "eager-fp32"])
def test_another_backend_gives_the_same_labels(made, capsys, backend):
    folder, record = made
    clips = [folder / "set" / "videos" / name for name in record.predictions["clip"]]
    own = predict(clips, **where(folder))
    found = predict(clips, backend=backend, **where(folder))
    assert found["label"].tolist() == own["label"].tolist()
    np.testing.assert_allclose(found["score"], own["score"], atol=1e-4)


def test_a_backend_that_nobody_knows_is_refused_before_a_clip_is_read(made):
    folder, _ = made
    with pytest.raises(ValueError, match="backend: unknown name 'openvin-int8'; did you mean 'openvino-int8'"):
        predict([folder / "set"], backend="openvin-int8", **where(folder))


def test_the_network_is_the_one_last_trained(made):
    folder, _ = made
    assert find_trained(**where(folder)).name == "s/r1"
    newest = find_trained(**where(folder)).network.state_dict()
    assert all(
        torch.equal(value, newest[name])
        for name, value in find_trained("s/r1", **where(folder)).network.state_dict().items()
    )


def test_weights_from_a_file(made, tmp_path):
    folder, record = made
    shutil.copy(folder / "runs" / "s" / "r1" / "weights.pt", tmp_path / "w.pt")
    clip = folder / "set" / "videos" / record.predictions["clip"][0]
    own = predict([clip], run="s/r1", **where(folder))
    pd.testing.assert_frame_equal(
        predict([clip], run="s/r1", weights=tmp_path / "w.pt", results=folder / "results"), own
    )
    with pytest.raises(FileNotFoundError, match=r"weights: .*nothing: there is no such file or folder"):
        predict([clip], weights=tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"w\.pt does not say which classes it knows; name its record by run"):
        predict([clip], weights=tmp_path / "w.pt", results=folder / "results")


def test_a_folder_of_clips(made, tmp_path):
    tiny.write_video(tmp_path / "b" / "two.mp4", frames=9)
    tiny.write_video(tmp_path / "b" / "a one.avi", frames=3)  # fewer than the network takes
    (tmp_path / "b" / "notes.txt").write_text("no clip")
    (tmp_path / "b" / "._two.mp4").write_bytes(b"of macOS")
    shutil.copytree(tmp_path / "b", tmp_path / "b" / "deep er")
    (tmp_path / "b" / "broken.mp4").write_bytes(b"not a video" * 50)
    frames = tmp_path / "b" / "frames of one"
    frames.mkdir()
    import cv2

    for k in range(5):
        cv2.imwrite(str(frames / f"{k + 1:05d}.jpg"), np.full((70, 80, 3), 40 * k, np.uint8))
    folder, _ = made
    found = predict([tmp_path / "b", tmp_path / "b" / "two.mp4"], **where(folder)).set_index("clip")
    names = ["a one.avi", "broken.mp4", "deep er/a one.avi", "deep er/two.mp4", "frames of one", "two.mp4"]
    assert list(found.index) == [str(tmp_path / "b" / name) for name in names]
    assert found["frames"].tolist() == [3, 0, 3, 9, 5, 9]
    broken = found.loc[str(tmp_path / "b" / "broken.mp4")]
    assert "broken.mp4" in broken["problem"] and pd.isna(broken["label"]) and pd.isna(broken["score"])
    assert found.drop(broken.name)["label"].isin(tiny.CLASSES).all()


@pytest.mark.parametrize("count", [7, 8, 9, 17])
def test_every_clip_has_its_own_row_however_they_fall_into_batches(made, tmp_path, count):
    folder, _ = made
    for k in range(count):
        tiny.write_video(tmp_path / f"{k:02d}.avi", frames=4, brightness=10 * k)
    together = predict([tmp_path], **where(folder))
    assert together["clip"].tolist() == [str(tmp_path / f"{k:02d}.avi") for k in range(count)]
    for k in (0, count - 1):
        alone = predict([tmp_path / f"{k:02d}.avi"], **where(folder))
        np.testing.assert_allclose(alone["score"][0], together["score"][k], atol=1e-5)


@pytest.mark.parametrize(
    "given, message",
    [
        (["nowhere.mp4"], r"nowhere\.mp4: there is no such file or folder"),
        (["empty"], r"empty: no clip is in this folder; clips end in \.avi"),
        (["notes.txt"], r"notes\.txt: not a clip by its name"),
        (["notes.txt", "nowhere.mp4"], r"notes\.txt: not a clip by its name"),
        ([], "clips: name a file or a folder"),
    ],
)
def test_what_is_no_clip_is_refused_before_anything_is_read(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no clip")
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        find_clips(given)


def test_a_run_that_is_not_there_names_those_that_are(made, tmp_path):
    folder, _ = made
    with pytest.raises(FileNotFoundError, match=r"no record .*s/r7; the nearest: s/r0, s/r1|the nearest: s/r1, s/r0"):
        find_trained("s/r7", **where(folder))
    with pytest.raises(FileNotFoundError, match="`make book` trains three"):
        find_trained(results=folder / "results", work=tmp_path)


def test_the_command(made, monkeypatch, capsys, tmp_path):
    folder, record = made
    clip = folder / "set" / "videos" / record.predictions["clip"][0]
    options = ["--results", folder / "results", "--work", folder / "runs"]
    status, out, err = call(monkeypatch, capsys, "predict", clip, "--to", tmp_path / "t.json", *options)
    assert status == 0 and out.startswith(f"{clip}: ") and "%" in out and "by s/r1, which knows 2 classes" in err
    assert f"({trained.tested_text(record)})" in err and trained.tested_text(record).endswith("%, not yet learned")
    (row,) = json.loads((tmp_path / "t.json").read_text())
    assert row["clip"] == str(clip) and row["label"] in out and row["problem"] == "" and 0.5 <= row["score"] <= 1
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "notes.txt").write_text("no clip")
    bad = [tmp_path / name for name in ("broken.mp4", "nowhere.mp4", "notes.txt")]
    arguments = ["predict", clip, *bad, "--run", "s/r0", "--to", tmp_path / "t.csv"]
    status, out, err = call(monkeypatch, capsys, *arguments, *options)
    assert status == 1 and "broken.mp4: not read: no video (text?)" in out and "3 of 4 clips could not be read" in err
    assert "nowhere.mp4: not read: there is no such file or folder\n" in out
    assert "notes.txt: not read: not a clip by its name; clips end in .avi" in out
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["label"].notna().tolist() == [True] + 3 * [False]
    assert table["frames"].tolist() == [row["frames"], 0, 0, 0]
    status, _, err = call(monkeypatch, capsys, "predict", clip, "--to", tmp_path / "t.xlsx", *options)
    assert status == 1 and "t.xlsx must end in .csv or .json" in err
