"""Starting from weights: what arrives, what is left out and said, and one clear message for each unusable source."""

import hashlib
import json
import pickle
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet34_Weights, WeightsEnum
from torchvision.models.video import r2plus1d_18, r3d_18

from repro.models import res34_se_im_net, resnet34_3dres18, resnet34_frame_average
from repro.models.fused import ResNet18Head3d, ResNet34Trunk
from repro.models.start import load_head, load_network, load_trunk, read_weights, start, weights_digest

NARROW = 0.125
IMAGENET = "ResNet34_Weights.IMAGENET1K_V1"


def randomised(module: nn.Module) -> dict[str, torch.Tensor]:
    """The module's state dict with another random value in each number, so that a tensor that arrived is known."""
    state = module.state_dict()
    return {k: torch.rand_like(v) if v.is_floating_point() else torch.full_like(v, 7) for k, v in state.items()}


def assert_holds(module: nn.Module, names, state, *, rename=str) -> None:
    own = module.state_dict()
    assert names
    for name in names:
        assert torch.equal(own[name], state[rename(name)]), name


def copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.fixture(scope="module")
def kinetics() -> dict[str, torch.Tensor]:
    return randomised(r3d_18(weights=None))


@pytest.fixture(scope="module")
def wide_head() -> nn.Module:
    return ResNet18Head3d(512, 51)


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """An empty torch cache; returns the folder of its weights files."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


# --- the trunk ---


def test_a_trunk_takes_every_tensor_it_has_and_says_what_is_left():
    trunk = ResNet34Trunk(width=NARROW, gate="se_im")
    before = copied(trunk)
    state = randomised(ResNet34Trunk(width=NARROW)) | {"fc.weight": torch.zeros(2, 2)}
    report = load_trunk(trunk, state)
    assert set(report.loaded) == set(state) - {"fc.weight"}
    assert_holds(trunk, report.loaded, state)
    assert len(report.not_loaded) == 16 * 4 and all(".gate." in name for name in report.not_loaded)
    assert_holds(trunk, report.not_loaded, before)
    assert report.unused == {"fc.weight": "the trunk ends before the classifier"}
    assert str(report) == (
        "loaded 216 of 280 tensors; not loaded 64: no gates in the file (layer1.0.gate.fc1.weight, "
        "layer1.0.gate.fc1.bias, layer1.0.gate.fc2.weight, ...); "
        "unused 1: the trunk ends before the classifier (fc.weight)"
    )


def test_gaps_in_a_file_are_not_hidden_among_the_gates():
    state = ResNet34Trunk(width=NARROW).state_dict()
    shallower = {name: tensor for name, tensor in state.items() if not name.startswith("layer1.2.")}
    report = load_trunk(ResNet34Trunk(width=NARROW, gate="se_im"), shallower)
    assert "loaded 204 of 280" in str(report)
    assert "not loaded 12: not in the file (layer1.2.conv1.weight, " in str(report)


def test_a_trunk_refuses_other_shapes_and_other_names():
    trunk = ResNet34Trunk(width=NARROW)
    with pytest.raises(ValueError, match=r"first conv1\.weight: another shape: \(64, 3, 7, 7\) there, \(8, .*width 1"):
        load_trunk(trunk, {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    with pytest.raises(ValueError, match=r"no tensor of this state dict.*found module\.conv1\.weight"):
        load_trunk(trunk, {"module.conv1.weight": torch.zeros(8, 3, 7, 7)})
    with pytest.raises(ValueError, match=r"start_from; found trunk\.conv1\.weight"):
        load_trunk(trunk, resnet34_frame_average(classes=2, width=NARROW).state_dict())


@pytest.mark.parametrize("load, part", [(load_trunk, "trunk"), (load_network, "")])
def test_counters_alone_are_no_weights(load, part):
    network = resnet34_3dres18(classes=2, width=NARROW)
    counter = f"{'' if part else 'trunk.'}bn1.num_batches_tracked"
    with pytest.raises(ValueError, match="no tensor of this state dict fits"):
        load(network.get_submodule(part), {counter: torch.tensor(3)})


# --- the 3D head ---


def in_r3d(name: str) -> str:
    """r3d_18's name of a tensor of the head's."""
    stage, rest = name.split(".", 1)
    for ours, theirs in (("conv1", "conv1.0"), ("bn1", "conv1.1"), ("conv2", "conv2.0"), ("bn2", "conv2.1")):
        rest = rest.replace(f".{ours}.", f".{theirs}.") if f".{ours}." in f".{rest}" else rest
    return f"layer{int(stage[-1]) + 1}.{rest}"


def test_a_head_of_width_1_takes_88_of_its_92_tensors_from_r3d_18(wide_head, kinetics):
    before = {name: wide_head.state_dict()[name].clone() for name in ("stage1.0.conv1.weight", "fc.bias")}
    report = load_head(wide_head, kinetics)
    assert len(wide_head.state_dict()) == 92 and len(report.loaded) == 88
    assert_holds(wide_head, report.loaded, kinetics, rename=in_r3d)
    assert_holds(wide_head, before, before)
    assert report.not_loaded == {
        "stage1.0.conv1.weight": "another shape: (128, 64, 3, 3, 3) there, (128, 512, 3, 3, 3) here",
        "stage1.0.downsample.0.weight": "another shape: (128, 64, 1, 1, 1) there, (128, 512, 1, 1, 1) here",
        "fc.weight": "another shape: (400, 512) there, (51, 512) here",
        "fc.bias": "another shape: (400,) there, (51,) here",
    }
    assert len(report.unused) == 122 - 92 and set(report.unused.values()) == {"the 2D trunk stands in its place"}
    assert "loaded 88 of 92 tensors; not loaded 4: another shape (stage1.0.conv1.weight, " in str(report)
    assert len(report.loaded) + len(report.not_loaded) + len(report.unused) == len(kinetics)


def test_a_head_refuses_another_width_another_network_and_nothing(wide_head, kinetics):
    before = copied(wide_head.stage1)
    with pytest.raises(ValueError, match=r"1\d tensors do not fit.*only a head of width 1"):
        load_head(ResNet18Head3d(64, 51, width=NARROW), kinetics)
    with pytest.raises(ValueError, match=r"stage1\.0\.conv2\.weight: not in the file.*only r3d_18's"):
        load_head(wide_head, r2plus1d_18(weights=None).state_dict())  # its batch norms would fit
    for state in ({"bn.weight": torch.zeros(3)}, {"layer2.0.conv1.1.num_batches_tracked": torch.tensor(3)}):
        with pytest.raises(ValueError, match=rf"13 tensors do not fit.*found {next(iter(state))}"):
            load_head(wide_head, state)
    assert_holds(wide_head.stage1, before, before)  # a refusal changes nothing


def test_a_frame_average_head_has_nothing_to_take(kinetics):
    head = resnet34_frame_average(classes=2, width=NARROW).head
    with pytest.raises(ValueError, match="FrameAverageHead has no convolutions"):
        load_head(head, kinetics)


# --- a whole network ---


def test_another_class_count_leaves_the_classifier_out():
    network = resnet34_3dres18(classes=5, width=NARROW)
    before, state = copied(network), randomised(resnet34_3dres18(classes=3, width=NARROW))
    report = load_network(network, state)
    assert report.not_loaded == {
        "head.fc.weight": "another shape: (3, 64) there, (5, 64) here",
        "head.fc.bias": "another shape: (3,) there, (5,) here",
    }
    assert set(report.loaded) == set(state) - set(report.not_loaded) and report.unused == {}
    assert_holds(network, report.loaded, state)
    assert_holds(network, report.not_loaded, before)


def test_baseline_to_se_im_keeps_the_gates_and_back_leaves_them_unused():
    plain, gated = resnet34_3dres18(classes=3, width=NARROW), res34_se_im_net(classes=3, width=NARROW)
    before, state = copied(gated), randomised(plain)
    report = load_network(gated, state)
    assert set(report.loaded) == set(state)
    assert_holds(gated, report.loaded, state)
    assert len(report.not_loaded) == 16 * 4 and set(report.not_loaded.values()) == {"no gates in the file"}
    assert_holds(gated, report.not_loaded, before)

    state = randomised(gated)
    back = load_network(plain, state)
    assert set(back.loaded) == set(plain.state_dict()) and back.not_loaded == {}
    assert_holds(plain, back.loaded, state)
    assert set(back.unused) == set(report.not_loaded) and set(back.unused.values()) == {"no gates here"}


def test_another_width_or_reduction_or_torchvision_s_names_are_refused():
    network = res34_se_im_net(classes=3, width=NARROW)
    with pytest.raises(ValueError, match=r"first trunk\.conv1\.weight: another shape: \(16, .* there, \(8, .*width"):
        load_network(network, res34_se_im_net(classes=3, width=0.25).state_dict())
    with pytest.raises(ValueError, match=r"first trunk\.layer.*gate.* there, .*gate reduction"):
        load_network(network, res34_se_im_net(classes=3, width=NARROW, reduction=2).state_dict())
    with pytest.raises(ValueError, match=r"no tensor .* belong in trunk_weights.*found conv1\.weight"):
        load_network(network, ResNet34Trunk(width=NARROW).state_dict())


def test_a_report_s_record_is_json_with_every_name_that_was_left_out():
    network = resnet34_3dres18(classes=5, width=NARROW)
    report = load_network(network, res34_se_im_net(classes=3, width=NARROW).state_dict())
    kept = json.loads(json.dumps(report.to_dict()))
    assert (kept["loaded"], kept["not_loaded"], kept["unused"]) == (306, 2, 64)
    assert kept["not_loaded_by_reason"]["another shape: (3, 64) there, (5, 64) here"] == ["head.fc.weight"]
    assert len(kept["unused_by_reason"]["no gates here"]) == 64


# --- files ---


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_are_read_from_both_kinds_of_file(tmp_path, ending):
    path, state = tmp_path / f"w.{ending}", {"conv1.weight": torch.randn(4, 3, 7, 7), "n": torch.tensor(2)}
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    for source in (path, str(path)):
        found = read_weights(source)
        torch.testing.assert_close(found, state)
        assert weights_digest(found) == weights_digest(state)


def test_files_from_before_torch_1_6_are_read(tmp_path):
    torch.save({"a": torch.arange(3)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "old.pth")["a"].tolist() == [0, 1, 2]


def test_a_training_checkpoint_of_ours_loses_its_prefix(tmp_path):
    layer = nn.Linear(2, 3)
    state = {f"network.{name}": value for name, value in layer.state_dict().items()}
    torch.save({"state_dict": state, "history": []}, tmp_path / "last.ckpt")
    found = read_weights(tmp_path / "last.ckpt")
    assert list(found) == ["weight", "bias"]
    assert_holds(layer, found, found)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_was_cut_short_is_named(tmp_path, ending, kept):
    path, state = tmp_path / f"cut.{ending}", {"a": torch.randn(100, 100)}
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ValueError, match=rf"cut\.{ending}: cannot be read as weights .*fetch or copy it again"):
        read_weights(path)


def test_a_changed_byte_is_found_by_the_file_s_checksums(tmp_path):
    path = tmp_path / "flipped.pth"
    torch.save({"a": torch.randn(100, 100)}, path)
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"flipped\.pth: cannot be read as weights"):
        read_weights(path)


def test_what_is_not_weights_is_named_and_not_executed(tmp_path):
    path = tmp_path / "x.pth"

    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match=r"x\.pth: not a file of tensors alone; write the network's state_dict\(\)"):
        read_weights(path)
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ValueError, match=r"x\.pth: "):
        read_weights(path)
    assert not (tmp_path / "ran").exists()
    path.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"x\.pth: "):
        read_weights(path)
    for value, message in (
        (torch.zeros(2), "holds a Tensor, not a state dict"),
        ({}, "holds nothing"),
        ({"a": torch.zeros(1), "epoch": 3}, "'epoch' is a int, not a tensor"),
        ({"state_dict": {"module.a": torch.zeros(1)}}, r"a training checkpoint, but not one of ours \(module\.a"),
    ):
        torch.save(value, path)
        with pytest.raises(ValueError, match=rf"x\.pth.*{message}"):
            read_weights(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.pth: no such file .*name a \.safetensors"):
        read_weights(tmp_path / "no.pth")
    with pytest.raises(FileNotFoundError, match="a folder, not a file"):
        read_weights(tmp_path)


# --- torchvision's weights by name ---


def test_a_name_goes_to_torchvision_and_its_checks(no_cache, monkeypatch):
    calls = []

    def get_state_dict(self, **options):
        calls.append((str(self), options["check_hash"], options["weights_only"]))
        return {"conv1.weight": torch.ones(2)}

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
    assert read_weights(IMAGENET)["conv1.weight"].tolist() == [1, 1]
    read_weights("R3D_18_Weights.KINETICS400_V1")
    assert calls == [(IMAGENET, True, True), ("R3D_18_Weights.KINETICS400_V1", True, True)]


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("invalid hash value")])
def test_a_failed_download_says_which_file_to_put_where(no_cache, monkeypatch, error):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(OSError) as caught:
        read_weights(IMAGENET)
    url = ResNet34_Weights.IMAGENET1K_V1.url
    for part in (IMAGENET, str(error), f"fetch {url} ", str(no_cache / url.rsplit("/", 1)[1]), "own path"):
        assert part in str(caught.value)


def test_a_file_put_into_the_cache_is_checked_and_read(no_cache, monkeypatch):
    place = no_cache / ResNet34_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    place.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"b627a593.*delete it and fetch it again"):
        read_weights(IMAGENET)
    torch.save({"conv1.weight": torch.ones(2)}, place)
    sound = hashlib.sha256(place.read_bytes()).hexdigest()[:8]
    moved = place.rename(no_cache / f"resnet34-{sound}.pth")
    monkeypatch.setattr(type(ResNet34_Weights.IMAGENET1K_V1), "url", property(lambda self: f"https://x/{moved.name}"))
    assert read_weights(IMAGENET)["conv1.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("name", ["ResNet34_Weights.NONE", "Nothing_Weights.V1"])
def test_a_name_that_torchvision_does_not_know_is_named(name):
    with pytest.raises(ValueError, match=rf"{name}: torchvision .* has no weights of this name"):
        read_weights(name)


# --- the digest ---


def test_a_digest_follows_values_names_types_and_shapes_not_order():
    state = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor(5), "h": torch.ones(2, dtype=torch.bfloat16)}
    digest = weights_digest(state)
    assert len(digest) == 16 and int(digest, 16) >= 0
    assert weights_digest(dict(reversed(state.items()))) == digest
    assert weights_digest(state | {"b": state["b"].T.contiguous().T}) == digest  # memory layout is no value
    changed = state["b"].clone()
    changed[1, 2] += 1e-6
    others = [
        state | {"b": changed},
        state | {"b": state["b"].reshape(3, 2)},
        state | {"a": torch.tensor(5, dtype=torch.int32)},
        {"c" if name == "b" else name: tensor for name, tensor in state.items()},
    ]
    assert len({digest, *map(weights_digest, others)}) == 5


# --- start ---


def test_nothing_given_starts_at_random(capsys):
    network = resnet34_3dres18(classes=2, width=NARROW)
    before = copied(network)
    assert start(network) == [] and capsys.readouterr().out == ""
    assert_holds(network, before, before)


def test_trunk_and_head_weights_arrive_and_are_recorded(tmp_path, capsys, wide_head, kinetics):
    trunk = randomised(ResNet34Trunk(width=NARROW))
    save_file(trunk, tmp_path / "trunk.safetensors")
    torch.save(kinetics, tmp_path / "kinetics.pth")
    network = resnet34_3dres18(classes=2, width=NARROW)
    network.head = wide_head  # a narrow trunk: full-width ones are slow to make
    entries = start(network, trunk_weights=tmp_path / "trunk.safetensors", head_weights=str(tmp_path / "kinetics.pth"))
    assert json.loads(json.dumps(entries)) == entries
    assert [(e["part"], e["digest"], e["loaded"]) for e in entries] == [
        ("trunk", weights_digest(trunk), 216),
        ("head", weights_digest(kinetics), 88),
    ]
    assert entries[0]["source"] == str(tmp_path / "trunk.safetensors")
    assert_holds(network.trunk, trunk, trunk)
    assert torch.equal(network.head.stage3[1].conv2.weight, kinetics["layer4.1.conv2.0.weight"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == f"trunk_weights {tmp_path / 'trunk.safetensors'}: loaded 216 of 216 tensors"


def test_a_network_starts_from_another(tmp_path, capsys):
    state = randomised(resnet34_3dres18(classes=3, width=NARROW))
    torch.save(state, tmp_path / "weights.pt")
    network = res34_se_im_net(classes=4, width=NARROW)
    (entry,) = start(network, start_from=tmp_path / "weights.pt")
    assert (entry["part"], entry["loaded"], entry["not_loaded"]) == ("network", 306, 66)
    assert torch.equal(network.trunk.conv1.weight, state["trunk.conv1.weight"])
    assert capsys.readouterr().out.startswith(f"start_from {tmp_path / 'weights.pt'}: loaded 306 of 372 tensors; ")


def test_errors_begin_with_the_field_s_name(tmp_path):
    network = resnet34_frame_average(classes=2, width=NARROW)
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pth")
    for field in ("trunk_weights", "head_weights", "start_from"):
        with pytest.raises(ValueError, match=f"^{field}: "):
            start(network, **{field: tmp_path / "x.pth"})
        with pytest.raises(FileNotFoundError, match=f"^{field}: .*no such file"):
            start(network, **{field: "nowhere.pth"})
    with pytest.raises(ValueError, match=r"^start_from: .*head_weights"):
        start(network, start_from=tmp_path / "x.pth", head_weights=tmp_path / "x.pth")
