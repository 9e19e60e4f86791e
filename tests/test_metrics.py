"""Measures: against scikit-image, at their limits, and by hand."""

import doctest

import numpy as np
import pytest
import torch
from davd.data.sample import Planes
from davd.restore.measuring import metrics


def pictures(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(0, 256, (2, 32, 40), generator=generator).float()
    noise = torch.randint(-20, 21, picture.shape, generator=generator)
    return picture, (picture + noise).clamp(0, 255)


def test_examples_in_the_docstrings() -> None:
    failures, tried = doctest.testmod(metrics)
    assert failures == 0 and tried >= 4


def test_psnr_equals_scikit_image() -> None:
    other = pytest.importorskip("skimage.metrics")
    a, b = pictures()
    for k in range(2):
        expected = other.peak_signal_noise_ratio(b[k].numpy(), a[k].numpy(), data_range=255)
        assert float(metrics.psnr(a, b, data_range=255)[k]) == pytest.approx(expected, abs=1e-4)


def test_ssim_equals_scikit_image() -> None:
    other = pytest.importorskip("skimage.metrics")
    a, b = pictures(1)
    for k in range(2):
        _, full = other.structural_similarity(
            a[k].numpy().astype(float), b[k].numpy().astype(float), data_range=255,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True,
        )  # fmt: skip
        expected = full[5:-5, 5:-5].mean()
        assert float(metrics.ssim(a, b, data_range=255)[k]) == pytest.approx(expected, abs=1e-6)


def test_equal_pictures() -> None:
    a, _ = pictures()
    assert torch.isinf(metrics.psnr(a, a, data_range=255)).all()
    torch.testing.assert_close(metrics.ssim(a, a, data_range=255), torch.ones(2))
    assert metrics.flicker(a, a) == 0


def test_psnr_of_ten_bits_uses_their_range() -> None:
    a, b = pictures()
    eight = metrics.psnr(a, b, data_range=255)
    ten = metrics.psnr(a * 1023 / 255, b * 1023 / 255, data_range=1023)
    torch.testing.assert_close(eight, ten, atol=1e-3, rtol=0)


def test_as_codes_rounds_and_clips() -> None:
    plane = torch.tensor([-0.1, 0.0019, 0.0021, 0.9999, 3.0])
    assert metrics.as_codes(plane).tolist() == [0, 0, 1, 255, 255]
    assert metrics.as_codes(torch.tensor([1.0]), 10).tolist() == [1023]


def test_rgb_of_grey_and_of_red() -> None:
    def planes(y: float, cb: float, cr: float) -> Planes:
        return Planes(
            torch.full((4, 4), y / 255), torch.full((2, 2), cb / 255), torch.full((2, 2), cr / 255)
        )

    assert metrics.rgb_codes(planes(16, 128, 128)).unique().tolist() == [0]
    assert metrics.rgb_codes(planes(235, 128, 128)).unique().tolist() == [255]
    red = metrics.rgb_codes(planes(81, 90, 240))[:, 0, 0]
    np.testing.assert_allclose(red.numpy(), [254, 0, 0], atol=1)


def test_flicker_counts_change_that_the_source_does_not_have() -> None:
    still = torch.full((3, 4, 4), 100.0)
    blinking = still.clone()
    blinking[1] += 6
    assert metrics.flicker(blinking, still) == pytest.approx(6.0)
    assert metrics.flicker(blinking, blinking) == 0
    assert metrics.flicker(still[:1], still[:1]) == 0
