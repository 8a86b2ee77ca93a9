"""Cropping, flipping, swapped labels, the test view and normalisation, by hand."""

import zlib

import cv2
import numpy as np
import pytest
import tiny
import torch

from repro.data.sampling import train_frames
from repro.data.transforms import augment, crop_offsets, crop_sizes, normalise, planes, swap_sides, train_crop
from repro.data.transforms import test_view as centre_view


def test_crop_sizes_are_at_most_one_scale_apart():
    a, b, c, d = 240, 210, 180, 158
    assert crop_sizes(240, 320) == [
        (a, a), (a, b), (b, a), (b, b), (b, c), (c, b), (c, c), (c, d), (d, c), (d, d)
    ]  # fmt: skip
    assert crop_sizes(320, 240) == crop_sizes(240, 320)


def test_the_crops_of_a_320x240_frame_by_hand():
    # base 240; 0.66 x 240 = 158.4 is cut to 158. A crop 158 high and 180 wide leaves 82 rows and 140 columns free,
    # which is steps of 20 and 35
    assert (158, 180) in crop_sizes(240, 320) and (158, 210) not in crop_sizes(240, 320)
    assert crop_offsets(240, 320, 158, 180) == [
        (0, 0), (0, 140), (80, 0), (80, 140), (40, 70),  # corners, centre
        (40, 0), (40, 140), (80, 70), (0, 70),  # edge middles
        (20, 35), (20, 105), (60, 35), (60, 105),  # quarter points
    ]  # fmt: skip
    assert crop_offsets(240, 320, 240, 240)[1::2][:2] == [(0, 80), (0, 80)]  # no row is free


@pytest.mark.parametrize(
    "seed, epoch, name, frames, crop, mirrored",
    [
        (4, 0, "Foo/v_Foo_g08_c01.avi", 40, (0, 140, 210, 180), False),
        (0, 7, "Bar/v_Bar_g10_c02.avi", 186, (40, 0, 158, 158), False),
        (2, 3, "y", 29, (0, 0, 210, 240), True),
    ],
)
def test_recorded_runs_would_draw_the_same_crops_today(seed, epoch, name, frames, crop, mirrored):
    rng = np.random.default_rng([seed, epoch, zlib.crc32(name.encode())])  # ClipDataset's
    train_frames(frames, 8, rng)
    state = rng.bit_generator.state
    assert train_crop(240, 320, rng) == crop
    rng.bit_generator.state = state
    assert augment(np.zeros((1, 240, 320, 3), np.uint8), 8, rng)[1] == mirrored


def test_drawn_crops_are_the_listed_ones_and_inside_the_frame():
    rng = np.random.default_rng(0)
    drawn = {train_crop(240, 320, rng) for _ in range(3000)}
    for top, left, height, width in drawn:
        assert (height, width) in crop_sizes(240, 320) and (top, left) in crop_offsets(240, 320, height, width)
        assert 0 <= top <= 240 - height and 0 <= left <= 320 - width
    assert {size[2:] for size in drawn} == set(crop_sizes(240, 320))


def frames(count: int = 3) -> np.ndarray:
    ramp = np.tile(np.arange(0, 192, 2, dtype=np.uint8), (72, 1))  # brighter to the right
    return np.repeat(np.stack([ramp] * 3, axis=-1)[None], count, axis=0)


def test_half_the_views_are_mirrored_and_none_without_flip():
    rng = np.random.default_rng(0)

    def mirrored(**options):
        views = (augment(frames(1), 16, rng, **options)[0][0, 8, :, 0].astype(int) for _ in range(400))
        return sum(view[-1] < view[0] for view in views)

    assert 160 <= mirrored() <= 240  # 200 expected, 4 standard deviations
    assert mirrored(flip=False) == 0


@pytest.mark.parametrize("size", [32, 33])
def test_the_view_is_the_resized_crop_and_its_mirror_image(size):
    noise = np.random.default_rng(3).integers(0, 256, (3, 61, 83, 3), dtype=np.uint8)
    seen = set()
    for seed in range(8):
        view, mirrored = augment(noise, size, np.random.default_rng(seed))
        top, left, height, width = train_crop(61, 83, np.random.default_rng(seed))
        crops = [frame[top : top + height, left : left + width] for frame in noise]
        plain = np.stack([cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR) for crop in crops])
        np.testing.assert_array_equal(view, plain[:, :, ::-1] if mirrored else plain)
        seen.add(mirrored)
    assert seen == {True, False}


def test_planes_are_the_transposed_view():
    noise = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(planes(noise), noise.transpose(0, 3, 1, 2))


# --- labels that name a side ---


def test_sides_swap_as_words_only():
    names = ["from left to right", "from right to left", "TurnLeft", "TurnRight", "wave_left", "wave_right", "Upright"]
    assert swap_sides(names) == [1, 0, 3, 2, 5, 4, 6]
    # no partner: never mirrored
    assert swap_sides(["Turn left", "Turn right on", "Hold", "Brightleft"]) == [None, None, 2, 3]


def test_something_v1_has_three_pairs_and_one_label_without_a_partner():
    lists = tiny.shared_data() / "annotations" / "something_v1" / "something-something-v1-labels.csv"
    names = lists.read_text(encoding="utf-8").splitlines()
    swapped = swap_sides(names)
    assert {names[k] for k, other in enumerate(swapped) if other not in (k, None)} == {
        "Turning the camera left while filming something",
        "Turning the camera right while filming something",
        "Pushing something from left to right",
        "Pushing something from right to left",
        "Pulling something from left to right",
        "Pulling something from right to left",
    }
    assert [names[k] for k, other in enumerate(swapped) if other is None] == [
        "Plugging something into something but pulling it right out as you remove your hand"
    ]
    assert all(swapped[other] == k for k, other in enumerate(swapped) if other is not None)


@pytest.mark.parametrize("shape", [(240, 320), (320, 240), (33, 500), (64, 64)])
def test_the_test_view_has_the_asked_size(shape):
    assert centre_view(np.zeros((2, *shape, 3), np.uint8), 56).shape == (2, 56, 56, 3)


def test_the_test_view_is_a_crop_of_the_whole_frame_resized():
    noise = np.random.default_rng(3).integers(0, 256, (2, 61, 83, 3), dtype=np.uint8)
    # short side round(56 x 256 / 224) = 64; 83 x 64 / 61 = 87.08
    whole = np.stack([cv2.resize(frame, (87, 64), interpolation=cv2.INTER_LINEAR) for frame in noise])
    np.testing.assert_array_equal(centre_view(noise, 56), whole[:, 4:60, 15:71])
    np.testing.assert_array_equal(centre_view(iter(noise), 56, count=2), whole[:, 4:60, 15:71])


def test_normalise_by_hand():
    values = normalise(torch.tensor([0, 255, 128], dtype=torch.uint8).view(1, 3, 1, 1)).flatten()
    expected = [(0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (128 / 255 - 0.406) / 0.225]
    assert values.tolist() == pytest.approx(expected, rel=1e-5)
