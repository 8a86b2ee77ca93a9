"""repro.metrics.peak with cases and a clock under the test's control, and one real measurement.

No test says how fast anything is.
"""

import pytest
import torch
from test_metrics_speed import Clock
from torch.utils.flop_counter import FlopCounterMode

from repro.metrics import peak as module
from repro.metrics.peak import Peak, measure_peak, training_flops


def case(clock, operations, *seconds):
    """A case of so many operations whose calls take these times in turn, the last one for good."""
    return operations, lambda: clock.case(*seconds)


def cannot(error):
    def make():
        raise error

    return 1, make


def measured(monkeypatch, clock, cases, **options):
    monkeypatch.setattr(module, "_cases", lambda device, dtype: cases)
    return measure_peak("cpu", **{"precision": "32-true", "clock": clock} | options)


def test_best_of_all_timings_is_the_peak(monkeypatch):
    clock = Clock()
    cases = {
        "product": case(clock, 8, 9, 0.5),  # the first call picks kernels and does not count
        "conv": case(clock, 4, 9, 0.5, 0.5, 0.1, 0.5),  # once undisturbed
    }
    found = measured(monkeypatch, clock, cases, seconds=24)
    assert (found.flops, found.case) == (pytest.approx(40), "conv")
    assert 24 <= clock.now < 24.5


def test_short_calls_are_timed_many_at_once(monkeypatch):
    clock = Clock()
    reads = []

    def read():
        reads.append(clock.now)
        return clock.now

    tick = 2.0**-20  # exact in binary
    found = measured(monkeypatch, read, {"product": case(clock, 3, tick)}, seconds=1)
    assert found.flops == pytest.approx(3 / tick)
    assert len(reads) < 1000  # not one a call, of which there are a million


@pytest.mark.parametrize("seconds, peak", [
    (4, Peak(20, "product small")), (5, Peak(30, "product large")), (0.5, Peak(10, "conv small")),
])  # fmt: skip
def test_time_is_kept(monkeypatch, seconds, peak):
    """Dear cases come last, and not at all when the time is over or the smaller one of their kind was hopeless."""
    clock = Clock()
    cases = {
        "conv large": case(clock, 1000, 1, 1e-9),
        "conv small": case(clock, 10, 1),  # 10 FLOP/s, so 100 s for the large one
        "product small": case(clock, 20, 1),
        "product large": case(clock, 30, 1),
    }
    assert measured(monkeypatch, clock, cases, seconds=seconds) == peak  # one case at any rate


def test_what_the_device_cannot_run_is_left_out(monkeypatch):
    clock = Clock()
    cases = {
        "conv": cannot(RuntimeError('"slow_conv2d" not implemented for Half')),
        "product": case(clock, 6, 2),
        "large": cannot(torch.OutOfMemoryError("out of memory")),
    }
    assert measured(monkeypatch, clock, cases, precision="16-mixed", seconds=9) == Peak(3, "product")
    del cases["product"]
    with pytest.raises(ValueError, match=r"no case runs on cpu in 16-mixed: conv: .*; large: out of memory"):
        measured(monkeypatch, clock, cases, precision="16-mixed", seconds=9)


def test_a_real_measurement():
    assert measure_peak("cpu", "32-true", seconds=0.1).flops > 0
    with pytest.raises(ValueError, match="cannot time device meta"):
        measure_peak("meta", "32-true", seconds=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_real_measurement_on_a_gpu(precision):
    assert measure_peak("cuda", precision, seconds=1).flops > 0


def test_tf32_settings_are_recorded_as_found(monkeypatch):
    class Setting:
        def __init__(self, fp32_precision):
            self.fp32_precision = fp32_precision

    for found, words in (("none", "ieee"), ("tf32", "tf32")):
        monkeypatch.setattr(torch.backends.cuda, "matmul", Setting(found))
        assert module.float32_of(torch.device("cuda")) == f"products {words}, convolutions tf32"  # cuDNN's default


def test_float32_is_no_tf32_within_the_block():
    """CuDNN's convolutions take TF32 for it by default; the settings are found again, also after an error."""
    gpu, default = torch.device("cuda"), module.float32_of(torch.device("cuda"))
    assert default == "products ieee, convolutions tf32"
    with pytest.raises(KeyError), module.exact_float32():
        assert module.float32_of(gpu) == "products ieee, convolutions ieee"
        raise KeyError
    assert module.float32_of(gpu) == default


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_operations_of_every_case(monkeypatch, kind):
    """By torch's counter; no data, so that the GPU's shapes can be counted without one."""
    randn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *shape, device: randn(*shape, device="meta"))
    for name, (operations, make) in module._cases(torch.device(kind), torch.bfloat16).items():
        call = make()
        with FlopCounterMode(display=False) as counter:
            out = call()
        assert counter.get_total_flops() == operations, name
        assert out.dtype == torch.bfloat16


def test_training_flops_are_what_torch_counts_minus_the_first_layers_input():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 5, 3)).to("meta")
    with FlopCounterMode(display=False) as forward:
        out = net(torch.empty(2, 3, 8, 8, device="meta"))
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    first = 2 * (2 * 4 * 6 * 6 * 3 * 9)
    counted = forward.get_total_flops() + backward.get_total_flops()
    assert training_flops(forward.get_total_flops() // 2) == counted + first
