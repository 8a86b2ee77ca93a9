"""Batches depend on (seed, epoch, clip) alone: not on workers, order or place."""

import numpy as np
import pytest
import tiny
import torch

from repro.data import loaders
from repro.data.clips import ClipFields, read_split
from repro.data.loaders import ClipDataset, train_loader
from repro.data.loaders import test_loader as evaluation_loader
from repro.data.manifest import build_manifest


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    data = tiny.write_ucf101(tmp_path_factory.mktemp("set") / "set", train_groups=(8, 9, 10, 11))
    clips = read_split(ClipFields(**data)).train
    return clips, build_manifest(clips)["frames"]


def dataset(clips, **options) -> ClipDataset:
    return ClipDataset(*clips, **{"frames": 2, "size": 32, "seed": 4, **options})


def epochs(loader, count=2):
    """As the loop does: the sampler is told the epoch, then a new iterator is made."""
    batches = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        batches.append(list(loader))
    return batches


def test_an_item_depends_on_seed_epoch_and_name_only(clips):
    listed, lengths = clips
    one = dataset(clips)
    other = ClipDataset(list(listed)[::-1], list(lengths)[::-1], frames=2, size=32, seed=4)
    last = len(one) - 1
    for index in range(len(one)):
        torch.testing.assert_close(one[(1, index)][0], other[(1, last - index)][0], rtol=0, atol=0)
    stacked = {key: torch.stack([dataset(clips, seed=key[0])[(key[1], i)][0] for i in range(8)]) for key in
               ((4, 0), (4, 1), (5, 0))}  # fmt: skip
    assert not torch.equal(stacked[4, 0], stacked[4, 1]) and not torch.equal(stacked[4, 0], stacked[5, 0])


def test_an_item_s_shape_and_label(clips):
    one = dataset(clips)
    view, label, index = one[5]
    assert view.shape == (2, 3, 32, 32) and view.dtype == torch.uint8
    assert (label, index) == (one.clips[5].label, 5)
    torch.testing.assert_close(one[5][0], view, rtol=0, atol=0)


def test_clips_kept_in_memory_give_the_same_items(clips):
    """With room for all, for three of them and for none."""
    read = epochs(train_loader(dataset(clips), batch_size=2))
    size = max(clips[1]) * 72 * 96 * 3  # of the longest clip
    for room, kept in ((100 * size, range(8, 9)), (3 * size, range(1, 8)), (size // 9, range(1))):
        one = dataset(clips)
        one.keep_decoded(room)
        for batches, known in zip(epochs(train_loader(one, batch_size=2)), read, strict=True):
            for batch, other in zip(batches, known, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))
        assert sum(frames is not None for frames in one.kept.values()) in kept


def test_a_clip_that_cannot_be_kept_is_read_as_before(clips, monkeypatch):
    """A frame that is not sampled does not decode: training does not need it."""
    one, read = dataset(clips), loaders.iter_frames
    one.keep_decoded(10**9)

    def broken(path, indices, **options):
        if len(indices) > 2:
            raise loaders.DecodeError(f"{path}: frame 5 is broken")
        return read(path, indices, **options)

    monkeypatch.setattr(loaders, "iter_frames", broken)
    torch.testing.assert_close(one[(0, 3)][0], dataset(clips)[(0, 3)][0], rtol=0, atol=0)


def asked(monkeypatch, **options) -> ClipDataset:
    """A dataset of one clip of 40 frames whose frames are not read; what is asked for stands in ``calls``."""
    one = ClipDataset([loaders.Clip("Foo/v_Foo_g08_c01.avi", "a path", 0, "g")], [40], size=32, seed=4, **options)
    one.calls = []

    def read(path, indices, *, decoder):
        one.calls.append((path, list(indices), decoder))
        return np.zeros((len(indices), 48, 64, 3), np.uint8)

    monkeypatch.setattr(loaders, "iter_frames", read)
    return one


def test_the_default_reads_what_recorded_runs_read(monkeypatch):
    one = asked(monkeypatch, frames=8)
    one[0, 0], one[0]
    # drawn at commit c2f1985, and the segments' middle frames
    assert one.calls == [
        ("a path", [1, 7, 12, 19, 20, 28, 34, 37], "opencv"),
        ("a path", [2, 7, 12, 17, 22, 27, 32, 37], "opencv"),
    ]


def test_policy_and_decoder_are_taken(monkeypatch):
    one = asked(monkeypatch, frames=40, sampling="eco_pytorch", decoder="pyav")
    one[0, 0], one[0]
    # 40 frames of 40: in testing, ECO's code takes the first 40 times
    assert one.calls == [("a path", list(range(40)), "pyav"), ("a path", [0] * 40, "pyav")]


def test_a_mirror_image_has_the_label_of_the_other_side(clips):
    plain, swapped = dataset(clips), dataset(clips, mirror_labels=[1, 0])
    never, unflipped = dataset(clips, mirror_labels=[None, None]), dataset(clips, flip=False)
    changed = 0
    for key in [(epoch, index) for epoch in range(3) for index in range(len(plain))]:
        view, label, _ = swapped[key]
        torch.testing.assert_close(view, plain[key][0], rtol=0, atol=0)  # the same draws
        flat = unflipped[key][0]
        mirrored = torch.equal(view, flat.flip(-1))
        assert mirrored != torch.equal(view, flat)
        assert label == (1 - plain[key][1] if mirrored else plain[key][1])
        torch.testing.assert_close(never[key][0], flat, rtol=0, atol=0)
        assert never[key][1] == plain[key][1]
        changed += mirrored
    assert 4 <= changed <= 20  # of 24
    assert [swapped[k][1] for k in range(8)] == [clip.label for clip in swapped.clips]  # the test view is not mirrored


def test_workers_do_not_change_a_batch(clips):
    alone, side_by_side = (epochs(train_loader(dataset(clips), batch_size=3, workers=n)) for n in (0, 2))
    for a, b in zip(alone, side_by_side, strict=True):
        for one, two in zip(a, b, strict=True):
            for x, y in zip(one, two, strict=True):
                torch.testing.assert_close(x, y, rtol=0, atol=0)


def test_every_clip_once_an_epoch_with_the_last_partial_batch(clips):
    first, second = epochs(train_loader(dataset(clips), batch_size=3))
    orders = [[int(i) for batch in epoch for i in batch[2]] for epoch in (first, second)]
    assert [len(batch[2]) for batch in first] == [3, 3, 2]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(8)) and orders[0] != orders[1]
    evaluated = [int(i) for batch in evaluation_loader(dataset(clips), batch_size=3) for i in batch[2]]
    assert evaluated == list(range(8))


def test_loaders_deal_out_batches_and_drop_the_last_as_asked(clips):
    one = dataset(clips)
    whole = [batch[2].tolist() for batch in train_loader(one, batch_size=4)]
    shares = [[b[2].tolist() for b in train_loader(one, batch_size=4, rank=k, processes=2)] for k in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(batch) for batch in whole]
    assert [len(b[2]) for b in train_loader(one, batch_size=3, last_batch="drop_partial")] == [3, 3]
    assert [b[2].tolist() for b in evaluation_loader(one, batch_size=4, last_batch="drop")] == [[0, 1, 2, 3]]
    scored = [[b[2].tolist() for b in evaluation_loader(one, batch_size=6, rank=k, processes=3)] for k in range(3)]
    assert scored == [[[0, 3], [6]], [[1, 4], [7]], [[2, 5]]]
    with pytest.raises(ValueError, match=r"the last batch of an epoch has 2 clip\(s\) for 3 processes"):
        train_loader(one, batch_size=6, processes=3)
