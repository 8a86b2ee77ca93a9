"""Which clips a batch has, on which process, and what the last one's fate does to the count."""

import pytest

from repro.data.batches import Batches, Order, scored_clips, window_clips
from repro.experiment.fields import Experiment
from repro.experiment.protocols import fields_of


# The forensics of the two reported accuracies: 92.196 % is 3485/3780, 71.85 % is 1095/1524
@pytest.mark.parametrize("clips, batch, last_batch, scored", [
    (3783, 12, "drop_partial", 3780), (1530, 12, "drop_partial", 1524),
    (3783, 135, "drop_partial", 3780), (1530, 135, "drop_partial", 1485),  # 71.85 % of 1485 is 1067
    (3783, 6, "drop_partial", 3780), (1530, 6, "drop_partial", 1530),  # 6 divides 1530: a loader drops nothing
    (1530, 6, "drop", 1524), (3783, 6, "drop", 3780),  # the published loop drops the last batch all the same
    (1530, 45, "drop", 1485), (3783, 45, "drop", 3780), (1530, 135, "drop", 1485), (3783, 135, "drop", 3780),
    (3783, 12, "keep", 3783), (1530, 6, "keep", 1530), (5, 8, "drop_partial", 0), (8, 8, "drop", 0),
])  # fmt: skip
def test_clips_that_count(clips, batch, last_batch, scored):
    assert scored_clips(clips, batch, last_batch) == scored


@pytest.mark.parametrize("layout, clips, batch, scored", [
    ("ucf101", 3783, 6, 3780), ("ucf101", 3783, 12, 3780), ("ucf101", 3783, 45, 3780), ("ucf101", 3783, 135, 3780),
    ("hmdb51", 1530, 6, 1524), ("hmdb51", 1530, 12, 1524), ("hmdb51", 1530, 45, 1485), ("hmdb51", 1530, 135, 1485),
])  # fmt: skip
def test_the_published_code_drops_the_last_batch_of_every_epoch(layout, clips, batch, scored):
    code = Experiment(**fields_of("as_published_code", layout=layout) | {"batch_size": batch})
    assert code.last_batch == "drop"
    batches = Batches(Order(clips), batch_size=code.batch_size, last_batch=code.last_batch)
    found = [index for share in batches for index in share]
    assert found == list(range(scored))
    assert batches.clips == sum(batches.sizes()) == scored
    assert len(list(batches)) == len(batches) == scored // batch


@pytest.mark.parametrize("arguments, message", [
    ((0, 4, "keep"), "both must be 1 or more"), ((4, 0, "keep"), "both must be 1 or more"),
    ((4, 2, "forget"), "last_batch: 'forget' is not one of keep, drop_partial, drop"),
])  # fmt: skip
def test_counts_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        scored_clips(*arguments)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("last_batch, count", [("keep", 20), ("drop_partial", 18), ("drop", 18)])
def test_processes_share_the_batches_of_one(processes, last_batch, count):
    options = {"batch_size": 6, "last_batch": last_batch}
    alone = list(Batches(Order(20, seed=3), **options))
    shares = [list(Batches(Order(20, seed=3), rank=k, processes=processes, **options)) for k in range(processes)]
    for number, batch in enumerate(alone):
        parts = [share[number] for share in shares if number < len(share)]
        assert sorted(key for part in parts for key in part) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    seen = [index for share in shares for batch in share for _, index in batch]
    assert len(seen) == len(set(seen)) == count


def test_an_epoch_has_its_own_order():
    order = Order(50, seed=1)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert [epoch for epoch, _ in second] == [1] * 50
    assert [i for _, i in first] != [i for _, i in second] and sorted(i for _, i in second) == list(range(50))
    assert list(Order(3)) == [0, 1, 2]


@pytest.mark.parametrize("options, message", [
    ({"batch_size": 6, "processes": 4}, "batch_size: 6 clips cannot be shared evenly by 4 processes"),
    ({"batch_size": 8, "last_batch": "drop"}, "last_batch: 'drop' leaves none of 7 clips in batches of 8"),
    ({"batch_size": 6, "processes": 2, "even": True},
     r"batch_size: the last batch of an epoch has 1 clip\(s\) for 2 processes; use another batch_size or last_batch"),
])  # fmt: skip
def test_what_cannot_be_dealt_out(options, message):
    with pytest.raises(ValueError, match=message):
        Batches(Order(7), **options)


@pytest.mark.parametrize("accumulate, windows", [
    (1, [4, 4, 4, 2]), (2, [8, 8, 6, 6]), (3, [12, 12, 12, 2]), (4, [14] * 4), (9, [14] * 4),
])  # fmt: skip
def test_the_clips_of_a_step(accumulate, windows):
    assert window_clips([4, 4, 4, 2], accumulate) == windows
