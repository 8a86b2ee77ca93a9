"""Views made on the device are the loader's own, pixel for pixel."""

import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch.utilities import move_data_to_device
from torch.utils.data._utils.pin_memory import pin_memory

from repro.data.clips import Clip
from repro.data.device_view import RawBatch, RawClip, to_views
from repro.data.images import frame_name
from repro.data.loaders import ClipDataset, collate_raw

SIZES = [(72, 96), (61, 83), (83, 61), (64, 64), (33, 150)]  # (height, width)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Made clips of noise: videos of even sizes, and folders of frames of odd ones, which a video's writer cuts."""
    folder, rng, clips = tmp_path_factory.mktemp("clips"), np.random.default_rng(0), []
    for height, width in SIZES:
        frames = rng.integers(0, 256, (7, height, width, 3), dtype=np.uint8)
        path = folder / f"{height}x{width}"
        if height % 2 == width % 2 == 0:
            path = path.with_suffix(".avi")
            video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, (width, height))
            for frame in frames:
                video.write(frame)
            video.release()
        else:
            path.mkdir()
            for number, frame in enumerate(frames):
                assert cv2.imwrite(str(path / frame_name(number)), frame)
        clips.append(Clip(path.name, path, 0, "g"))
    return clips


def both(clips, keys, size, **options):
    """The same items' views, made on the device (here the CPU, by PyTorch) and by the loader."""
    raw, cpu = (
        ClipDataset(clips, [7] * len(clips), frames=4, size=size, seed=3, crop_on=where, **options)
        for where in ("device", "cpu")
    )
    batch, _, _ = collate_raw([raw[key] for key in keys])
    return to_views(batch, size), torch.stack([cpu[key][0] for key in keys]), batch


def agree(views, expected) -> float:
    """The share of equal pixels; none may differ by more than a grey level (another OpenCV build may round so)."""
    assert views.shape == expected.shape and views.dtype == torch.uint8
    assert (views.int() - expected.int()).abs().max() <= 1
    return float((views == expected).float().mean())


@pytest.mark.parametrize("size", [32, 33, 112])
def test_training_views_are_the_loader_s(clips, size):
    keys = [(epoch, index) for epoch in range(12) for index in range(len(clips))]
    views, expected, batch = both(clips, keys, size)
    assert set(batch.mirrored) == {True, False}
    assert agree(views, expected) > 0.99 and not any(batch.testing)
    assert torch.equal(views, both(clips, keys, size)[0])


@pytest.mark.parametrize("size", [32, 33, 112])
def test_test_views_are_the_loader_s(clips, size):
    views, expected, batch = both(clips, list(range(len(clips))), size)
    assert [frames.shape[1:3] for frames in batch.frames] == SIZES and all(batch.testing)
    assert agree(views, expected) > 0.99


def test_any_box_resizes_as_opencv_does():
    rng, shares = np.random.default_rng(1), []
    for _ in range(200):
        height, width, size = (int(n) for n in rng.integers(1, 90, 3))
        frame = rng.integers(0, 256, (height + 5, width + 3, 3), dtype=np.uint8)
        clip = RawClip(torch.from_numpy(frame[None].copy()), (2, 1, height, width), False)
        views = to_views(collate_raw([(clip, 0, 0)])[0], size)
        plain = cv2.resize(frame[2 : 2 + height, 1 : 1 + width], (size, size), interpolation=cv2.INTER_LINEAR)
        shares.append(agree(views[0, 0], torch.from_numpy(plain).permute(2, 0, 1)))
    assert np.mean(shares) > 0.99


def places(height: int, width: int) -> torch.Tensor:
    """Two frames whose pixels say their row, column // 2 and column % 2."""
    rows, columns = np.mgrid[:height, :width]
    frame = np.stack([rows, columns // 2, columns % 2], axis=-1).astype(np.uint8)
    return torch.from_numpy(np.stack([frame, frame]))


def test_crops_by_hand():
    # nothing is resized: boxes as large as the view, and for the test view a short side of 256
    small, large = places(240, 320), places(256, 341)
    items = [
        RawClip(small, (10, 31, 224, 224), False),
        RawClip(small, (16, 96, 224, 224), True),
        RawClip(large, None, False),
    ]
    views = to_views(collate_raw([(item, 0, 0) for item in items])[0], 224)
    assert views.shape == (3, 2, 3, 224, 224)
    assert torch.equal(views[0, 1], small[0, 10:234, 31:255].permute(2, 0, 1))
    assert torch.equal(views[1, 0], small[0, 16:240, 96:320].flip(1).permute(2, 0, 1))
    assert torch.equal(views[2, 1], large[0, 16:240, 58:282].permute(2, 0, 1))


def test_a_ramp_is_halved_and_doubled_by_hand():
    ramp = torch.tensor([0, 20, 40, 81], dtype=torch.uint8).view(1, 1, 4, 1).expand(1, 4, 4, 3).contiguous()

    def row(size, mirrored=False):
        clip = RawClip(ramp, (0, 0, 4, 4), mirrored)
        return to_views(collate_raw([(clip, 0, 0)])[0], size)[0, 0, 0, 0].tolist()

    assert row(2) == [10, 61]  # means, halves rounded up: 60.5
    assert row(2, mirrored=True) == [61, 10]
    # at -0.25, 0.25 ...: the edges repeat, 5 = 0.75 x 0 + 0.25 x 20; 50.25 and 70.75
    assert row(8) == [0, 5, 15, 25, 35, 50, 71, 81]


def test_a_raw_batch_survives_pinning_and_moving(clips, monkeypatch):
    keys = [(0, 0), (1, 1), (0, 4)]
    views, _, batch = both(clips, keys, 32)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: tensor.clone())  # as where there is a GPU
    for moved in (pin_memory([batch, batch.pixels])[0], move_data_to_device(batch, torch.device("cpu"))):
        assert isinstance(moved, RawBatch) and torch.equal(to_views(moved, 32), views)
    tests = collate_raw([(RawClip(frames, None, False), 0, 0) for frames in batch.frames])[0]
    moved = move_data_to_device(pin_memory(tests), torch.device("cpu"))
    assert torch.equal(to_views(moved, 32), to_views(tests, 32))
    meta = move_data_to_device(batch, torch.device("meta"))  # every tensor is made where the batch is
    assert to_views(meta, 32).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_pixels(clips):
    views, _, batch = both(clips, [(0, 0), (1, 1), (0, 4), 2], 32)
    moved = move_data_to_device(pin_memory(batch), torch.device("cuda"))
    assert torch.equal(to_views(moved, 32).cpu(), views)
