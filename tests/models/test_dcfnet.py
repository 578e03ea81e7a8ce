"""DCFNet: the filter solved in numpy, and properties of its response."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from siamcorr.models import dcfnet
from siamcorr.models.dcfnet import CorrelationFilterHead, DCFNetFeatures

SIDES = (30, 24)


def features(batch: int = 1, seed: int = 0, sides: tuple[int, int] = SIDES) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, *sides, generator=generator, dtype=torch.float64)


def windowed(values: Tensor) -> np.ndarray:
    """(C, H, W) under a Hann window."""
    plane = values[0].numpy()
    return plane * np.outer(np.hanning(plane.shape[1]), np.hanning(plane.shape[2]))


def filter_by_hand(values: Tensor, regularization: float, sigma: float) -> np.ndarray:
    """Spectrum of the filter, (H, W): label / (energy + regularization)."""
    z = windowed(values)
    label = np.zeros(z.shape[1:])
    for i in range(z.shape[1]):
        for j in range(z.shape[2]):
            away = [min(p, n - p) / (sigma * n) for p, n in zip((i, j), z.shape[1:], strict=True)]
            label[i, j] = np.exp(-(away[0] ** 2 + away[1] ** 2) / 2)
    energy = (np.abs(np.fft.fft2(z)) ** 2).sum(axis=0) / z.size
    return np.fft.fft2(label) / (energy + regularization)


@pytest.mark.parametrize(
    ("head", "regularization", "sigma"),
    [
        (CorrelationFilterHead(), 1e-4, 0.1 / 3),
        (CorrelationFilterHead(0.05, 0.3, 1.5), 0.05, 0.12),
    ],
)
def test_closed_form(head, regularization, sigma):
    template, search = features(), features(seed=1)
    z, alpha = head.template(template)
    np.testing.assert_allclose(z[0].numpy(), windowed(template), atol=1e-12)
    expected = filter_by_hand(template, regularization, sigma)
    half = SIDES[1] // 2 + 1
    assert alpha.shape == (1, 1, SIDES[0], half)
    np.testing.assert_allclose(alpha[0, 0].numpy(), expected[:, :half], rtol=1e-9, atol=1e-9)
    spectra = np.fft.fft2(windowed(search)), np.fft.fft2(windowed(template))
    correlation = (spectra[0] * spectra[1].conj()).sum(axis=0) / template.numel()
    response = np.fft.ifft2(expected * correlation)
    assert abs(response.imag).max() < 1e-12
    logits, boxes = head(search, (z, alpha))
    np.testing.assert_allclose(logits[0, 0].numpy(), response.real, rtol=0, atol=1e-10)
    assert boxes.shape == (1, 0, *SIDES)


def test_batch():
    """Each template serves its own search; one template serves all."""
    head, template, search = CorrelationFilterHead(), features(2), features(2, seed=1)
    together = head(search, head.template(template)).logits
    for b in range(2):
        one = head.template(template[b : b + 1])
        torch.testing.assert_close(head(search[b : b + 1], one).logits[0], together[b])
    shared = head(search, head.template(template[:1])).logits
    torch.testing.assert_close(shared[0], together[0])
    assert not torch.allclose(shared[1], together[1], atol=1e-3)


def test_nothing_in_is_nothing_out():
    head, some = CorrelationFilterHead(), features()
    full, empty = head.template(some), head.template(some[:0])
    for one, other in zip(empty, full, strict=True):
        assert (one.shape[1:], one.dtype) == (other.shape[1:], other.dtype)
        assert len(one) == 0
    for template in (full, empty):
        for one, other in zip(head(some[:0], template), head(some, full), strict=True):
            assert one.shape == (0, *other.shape[1:])


def test_the_response_to_the_template_is_the_label():
    head, template = CorrelationFilterHead(), features()
    response = head(template, head.template(template)).logits[0, 0]
    assert response.argmax() == 0
    assert response[0, 0] == pytest.approx(1, abs=0.01)
    assert response[15, 12] == pytest.approx(0, abs=0.01)
    assert response[1, 0] == pytest.approx(np.exp(-0.5), abs=0.01)  # a deviation of one cell
    assert response[0, 1] == pytest.approx(np.exp(-0.5 / 0.8**2), abs=0.01)


@pytest.mark.parametrize("shift", [(0, 0), (3, 5), (-4, 0), (7, -2), (15, 11)])
def test_a_circular_shift_moves_the_peak(shift, monkeypatch):
    """By as many cells; the window, which does not move with the features, is left out."""
    monkeypatch.setattr(dcfnet, "_window", lambda features: features.new_ones(()))
    head, template = CorrelationFilterHead(), features()
    response = head(template.roll(shift, (2, 3)), head.template(template)).logits[0, 0]
    row, column = np.unravel_index(int(response.argmax()), SIDES)
    assert (row, column) == (shift[0] % SIDES[0], shift[1] % SIDES[1])
    assert response.max() == pytest.approx(1, abs=0.01)


def test_a_target_that_moved_is_found_through_the_window():
    values = torch.zeros(1, 3, *SIDES, dtype=torch.float64)
    values[:, :, 11:19, 8:16] = features(sides=(8, 8))
    head = CorrelationFilterHead()
    response = head(values.roll((2, -3), (2, 3)), head.template(values)).logits[0, 0]
    row, column = np.unravel_index(int(response.argmax()), SIDES)
    assert (row, column) == (2, SIDES[1] - 3)


def test_averaging_templates_is_linear():
    """Of the features under one filter and of the filter for one set of features."""
    head, search = CorrelationFilterHead(), features(seed=2)
    (z, alpha), (other_z, other_alpha) = head.template(features()), head.template(features(seed=1))

    def respond(z: Tensor, alpha: Tensor) -> Tensor:
        return head(search, (z, alpha)).logits

    for rate in (0.01, 0.5):
        mixed = z + rate * (other_z - z), alpha + rate * (other_alpha - alpha)
        corners = torch.stack(
            [
                (1 - rate) ** 2 * respond(z, alpha),
                (1 - rate) * rate * respond(z, other_alpha),
                rate * (1 - rate) * respond(other_z, alpha),
                rate**2 * respond(other_z, other_alpha),
            ]
        )
        torch.testing.assert_close(respond(*mixed), corners.sum(0))


def test_gradcheck():
    head = CorrelationFilterHead(regularization=0.01)
    inputs = [features(2, seed, (6, 5)).requires_grad_() for seed in range(2)]
    assert gradcheck(lambda x, z: head(x, head.template(z)).logits, inputs)


def test_gradients_reach_the_convolutions():
    torch.manual_seed(0)
    net, head = DCFNetFeatures(), CorrelationFilterHead()
    image = torch.randn(2, 3, 25, 25) * 50
    response = head(net(image.flip(0)), head.template(net(image))).logits
    response.square().mean().backward()
    gradients = {name: p.grad for name, p in net.named_parameters()}
    assert len(gradients) == 4
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.abs().amax() > 0, name


def test_features_are_normalised_locally():
    """x / (1 + 2e-5 * the sum of squares over five channels) ** 0.75."""
    torch.manual_seed(0)
    net = DCFNetFeatures().double()
    image = torch.randn(1, 3, 9, 9, dtype=torch.float64) * 100
    plain = net.feature[2](net.feature[0](image).relu())
    squares = torch.nn.functional.pad(plain.square(), (0, 0, 0, 0, 2, 2))
    sums = torch.stack([squares[:, c : c + 32] for c in range(5)]).sum(0)
    expected = plain / (1 + 1e-4 / 5 * sums) ** 0.75
    torch.testing.assert_close(net(image), expected)
    assert not torch.allclose(plain, expected, rtol=1e-3)
