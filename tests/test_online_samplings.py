"""The samplings of an endless stream: sequences worked out by hand, and how much they hold and ask for."""

import weakref

import pytest

from repro.online.samplings import ByTime, Halves, Slots


def decisions(sampling, frames, rate=25.0):
    """The working sets of a stream whose frames are their own numbers, by the frame that made them due."""
    made = ((k, sampling.push(lambda k=k: k, k / rate)) for k in frames)
    return {k: list(found) for k, found in made if found is not None}


def test_halves_of_an_even_number():
    """N = 4. Of four, the middles of two halves are places 1 and 3."""
    assert decisions(Halves(4), range(16)) == {
        3: [0, 1, 2, 3],
        7: [1, 3, 5, 7],  # old 0..3 at places 1, 3; queue 4..7 at places 1, 3
        11: [3, 7, 9, 11],
        15: [7, 11, 13, 15],
    }


def test_halves_of_an_odd_number():
    """N = 5: 2 old (places 1, 3) and 3 new (places 0, 2, 4)."""
    assert decisions(Halves(5), range(15)) == {4: [0, 1, 2, 3, 4], 9: [1, 3, 5, 7, 9], 14: [3, 7, 10, 12, 14]}


def test_halves_picked_to_their_ends():
    """N = 4: places 0 and 3 of either half. N = 6: round(linspace(0, 5, 3)) is 0, 2 (of 2.5, to even), 5."""
    assert decisions(Halves(4, "ends"), range(12)) == {3: [0, 1, 2, 3], 7: [0, 3, 4, 7], 11: [0, 7, 8, 11]}
    assert decisions(Halves(6, "ends"), range(12))[11] == [0, 2, 5, 6, 8, 11]


def test_halves_picked_at_random():
    """Half old and half new, in order, the same again after a new start, and not always the same places."""
    sampling = Halves(8, "random")
    first = decisions(sampling, range(80))
    sampling.reset()
    assert decisions(sampling, range(80)) == first
    places = set()
    for due, found in list(first.items())[1:]:
        new = [k for k in found if k > due - 8]
        assert found == sorted(set(found)) and len(found) == 8 and len(new) == 4
        assert set(found) - set(new) <= set(first[due - 8])
        places.add(tuple(k - due for k in new))
    assert len(places) > 3


def test_slots_as_the_released_script_has_them():
    """N = 16. A slot of frames 0..15 gives, one decision after the other, what np.rint(np.linspace()) leaves of it:
    all; 0 2 4 6 9 11 13 15; of those places 0 2 5 7; of those 0 3; of those 0; still 0; then it is gone."""
    of_first = [list(range(16)), [0, 2, 4, 6, 9, 11, 13, 15], [0, 4, 11, 15], [0, 15], [0], []]
    found = decisions(Slots(16), range(16 * 8))
    assert list(found) == [15, 31, 47, 63, 79, 95, 111, 127]
    for number, working in enumerate(list(found.values())[:6]):
        assert [k for k in working if k < 16] == of_first[number]
        assert len(working) == 16 and working == sorted(working)
    newest = [64 + k for k in (0, 2, 4, 6, 9, 11, 13, 15)]
    assert found[79] == [0, 16, 32, 47, 48, 52, 59, 63, *newest]  # 1, 1, 2, 4 and 8 of five slots
    assert found[95] == [k + 16 for k in found[79]]  # from here on the same with every slot: 80 frames


def test_slots_of_four():
    """[4], [2, 2], [1, 1, 2]: places 0 3 of 4, then 0 of 2."""
    assert decisions(Slots(4), range(16)) == {3: [0, 1, 2, 3], 7: [0, 3, 4, 7], 11: [0, 4, 8, 11], 15: [4, 8, 12, 15]}


def test_by_time_is_the_same_at_every_rate():
    """Four stretches of 0.2 s, a decision each two: the first frame of each, at 25 and at 60 frames a second."""
    assert decisions(ByTime(4, 0.8, fresh=2), range(36), rate=25) == {
        15: [0, 5, 10, 15],
        25: [10, 15, 20, 25],
        35: [20, 25, 30, 35],
    }
    assert decisions(ByTime(4, 0.8, fresh=2), range(72), rate=60) == {36: [0, 12, 24, 36], 60: [24, 36, 48, 60]}


def test_by_time_a_slow_camera_repeats_frames():
    """5 frames a second, stretches of 0.125 s: frames 0 to 4 begin stretches 0, 1, 3, 4, 6; due at 3 and 5, so at 6."""
    assert decisions(ByTime(4, 0.5, fresh=2), range(5), rate=5) == {2: [0, 1, 1, 2], 4: [2, 3, 3, 4]}


def test_by_time_a_long_pause_leaves_the_frames_around_it():
    sampling = ByTime(3, 0.3, fresh=1)
    assert [sampling.push(lambda k=k: k, k) for k in (0.0, 0.1, 0.2)] == [None, None, [0.0, 0.1, 0.2]]
    assert sampling.push(lambda: 9.0, 9.0) == [0.2, 0.2, 9.0]


class Frame:
    """What a weak reference can point to."""


@pytest.mark.parametrize("rate", [5, 25, 240])
@pytest.mark.parametrize(
    ("make", "asked", "held"),
    [
        (lambda: Halves(16), 8 / 16, 16 + 8),
        (lambda: Halves(16, "random"), 8 / 16, 16 + 8),
        (lambda: Slots(16), 8 / 16, 16 + 8),
        (lambda: ByTime(16, 2.0), None, 17),
    ],
    ids=["halves", "random", "slots", "time"],
)
def test_frames_held_and_asked_for_are_bounded(make, asked, held, rate):
    """Whatever the stream's length and rate. Halves and slots ask for half of the frames, by time 8 a second."""
    sampling, alive, count, most = make(), weakref.WeakSet(), 0, 0

    def take():
        nonlocal count
        count += 1
        alive.add(frame := Frame())
        return frame

    for k in range(1600):
        found = sampling.push(take, k / rate)
        assert found is None or len(found) == 16
        del found
        most = max(most, len(alive))
    assert (16 if asked or rate > 8 else 10) <= most <= held  # a slow camera gives no more in two seconds
    share = asked or min(1, 8 / rate)
    assert count == pytest.approx(1600 * share, abs=8)


def test_a_reset_forgets():
    for sampling in (Halves(4), Slots(4), ByTime(4, 0.16, fresh=1)):
        first = decisions(sampling, range(10))
        sampling.reset()
        assert decisions(sampling, range(10)) == first and first


def test_what_cannot_be_sampled():
    for frames in (1, 0, -2):
        with pytest.raises(ValueError, match=rf"frames: {frames}; .*N must be 2 or more"):
            Halves(frames)
    for frames in (1, 0, 12):
        with pytest.raises(ValueError, match=rf"frames: {frames}; .*a power of two"):
            Slots(frames)
    for wrong in ((0, 1.0, 1), (4, 0.0, 1), (4, float("nan"), 1), (4, 1.0, 5), (4, 1.0, 0)):
        with pytest.raises(ValueError, match=r"need N >= 1, seconds > 0 and fresh in 1\.\.N"):
            ByTime(*wrong)
    with pytest.raises(ValueError, match="pick: unknown name 'midles'; did you mean 'middles'"):
        Halves(4, "midles")
