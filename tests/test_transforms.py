"""Cropping, flipping, the test view and normalisation, by hand."""

import numpy as np
import pytest
import torch

from repro.data.transforms import crop_offsets, crop_sizes, normalise, train_crop, train_view
from repro.data.transforms import test_view as centre_view


def test_the_thirteen_offsets_by_hand():
    # 12 rows and 20 columns are free: steps of 3 and 5
    expected = {(0, 0), (0, 20), (12, 0), (12, 20), (6, 10), (6, 0), (6, 20), (12, 10), (0, 10)}
    expected |= {(3, 5), (3, 15), (9, 5), (9, 15)}
    offsets = crop_offsets(112, 120, 100, 100)
    assert len(offsets) == 13 and set(offsets) == expected


def test_crop_sizes_are_at_most_one_scale_apart():
    a, b, c, d = 240, 210, 180, 158
    assert crop_sizes(240, 320) == [
        (a, a), (a, b), (b, a), (b, b), (b, c), (c, b), (c, c), (c, d), (d, c), (d, d)
    ]  # fmt: skip
    assert crop_sizes(320, 240) == crop_sizes(240, 320)


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


def test_every_frame_gets_the_same_crop_and_flip():
    for seed in range(10):
        view = train_view(frames(), 32, np.random.default_rng(seed))
        assert view.shape == (3, 32, 32, 3) and view.dtype == np.uint8
        assert (view == view[0]).all()


def test_half_the_views_are_mirrored_and_none_without_flip():
    rng = np.random.default_rng(0)

    def mirrored(**options):
        views = (train_view(frames(1), 16, rng, **options)[0, 8, :, 0].astype(int) for _ in range(400))
        return sum(view[-1] < view[0] for view in views)

    assert 160 <= mirrored() <= 240  # 200 expected, 4 standard deviations
    assert mirrored(flip=False) == 0


def test_the_same_generator_state_gives_the_same_view():
    one, two = (train_view(frames(), 24, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("shape", [(240, 320), (320, 240), (33, 500), (64, 64)])
def test_the_test_view_has_the_asked_size(shape):
    assert centre_view(np.zeros((2, *shape, 3), np.uint8), 56).shape == (2, 56, 56, 3)


def test_the_test_view_is_the_centre():
    # 256 x 320 at size 224: no resizing; rows 16 to 239, columns 48 to 271
    image = np.random.default_rng(0).integers(0, 256, (1, 256, 320, 3), dtype=np.uint8)
    np.testing.assert_array_equal(centre_view(image, 224), image[:, 16:240, 48:272])


def test_normalise_by_hand():
    values = normalise(torch.tensor([0, 255, 128], dtype=torch.uint8).view(1, 3, 1, 1)).flatten()
    expected = [(0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (128 / 255 - 0.406) / 0.225]
    assert values.tolist() == pytest.approx(expected, rel=1e-5)
