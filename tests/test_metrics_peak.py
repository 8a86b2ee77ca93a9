"""repro.metrics.peak with cases and a clock under the test's control, and one real measurement.

No test says how fast anything is.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from repro.metrics import peak as module
from repro.metrics.peak import dtype_of, measure_peak, training_flops


class Clock:
    """A clock that only the cases advance."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def case(self, operations, *seconds):
        """A case whose calls take these times in turn, the last one for good."""
        remaining = list(seconds)

        def call():
            self.now += remaining.pop(0) if len(remaining) > 1 else remaining[0]

        return operations, lambda: call


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
        "product": clock.case(8, 9, 0.5),  # the first call picks kernels and does not count
        "conv": clock.case(4, 9, 0.5, 0.5, 0.1, 0.5),  # once undisturbed
    }
    found = measured(monkeypatch, clock, cases, seconds=24)
    assert found.by_case == {"product": pytest.approx(16), "conv": pytest.approx(40)}
    assert (found.flops, found.case) == (pytest.approx(40), "conv")
    assert found.left_out == {}
    assert 24 <= found.seconds < 24.5
    assert (found.precision, found.dtype, found.device, found.threads) == (
        "32-true",
        "float32",
        "CPU",
        torch.get_num_threads(),
    )


def test_short_calls_are_timed_many_at_once(monkeypatch):
    clock = Clock()
    reads = []

    def read():
        reads.append(clock.now)
        return clock.now

    tick = 2.0**-20  # exact in binary
    found = measured(monkeypatch, read, {"product": clock.case(3, tick)}, seconds=1)
    assert found.flops == pytest.approx(3 / tick)
    assert len(reads) < 1000  # not one a call, of which there are a million


def test_time_is_kept(monkeypatch):
    """Dear cases come last, and not at all when the time is over or the smaller one of their kind was hopeless."""
    clock = Clock()
    cases = {
        "conv large": clock.case(1000, 1),
        "conv small": clock.case(10, 1),  # 10 FLOP/s, so 100 s for the large one
        "product small": clock.case(20, 1),
        "product large": clock.case(30, 1),
    }
    found = measured(monkeypatch, clock, cases, seconds=4)
    assert set(found.by_case) == {"conv small", "product small"}
    assert found.left_out == dict.fromkeys(["product large", "conv large"], "no time was left for it")
    assert set(measured(monkeypatch, clock, cases, seconds=5).left_out) == {"conv large"}
    assert measured(monkeypatch, clock, cases, seconds=0.5).by_case == {"conv small": 10}  # one case at any rate


def test_what_the_device_cannot_run_is_named(monkeypatch):
    clock = Clock()
    cases = {
        "conv": cannot(RuntimeError('"slow_conv2d" not implemented for Half\nmore')),
        "product": clock.case(6, 2),
        "large": cannot(torch.OutOfMemoryError("out of memory")),
    }
    found = measured(monkeypatch, clock, cases, precision="16-mixed")
    assert found.by_case == {"product": 3}
    assert found.left_out == {"conv": '"slow_conv2d" not implemented for Half', "large": "out of memory"}
    assert (found.dtype, found.float32) == ("float16", "")
    del cases["product"]
    with pytest.raises(ValueError, match=r"no case runs on cpu in 16-mixed: conv: .*; large: out of memory"):
        measured(monkeypatch, clock, cases, precision="16-mixed")


def test_a_real_measurement():
    found = measure_peak("cpu", "32-true", seconds=0.1)
    assert found.flops == max(found.by_case.values()) == found.by_case[found.case] > 0
    assert found.float32 == "products ieee, convolutions ieee"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_real_measurement_on_a_gpu(precision):
    found = measure_peak("cuda", precision, seconds=1)
    assert found.flops > 0 and not any("time" not in reason for reason in found.left_out.values())
    assert found.device == torch.cuda.get_device_name()
    assert bool(found.float32) == (precision == "32-true")


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


def test_training_counts_three_forward_passes_of_two_operations():
    assert training_flops(7) == 42
    with pytest.raises(ValueError, match="-1 must be 0 or more"):
        training_flops(-1)


def test_training_flops_are_what_torch_counts_minus_the_first_layers_input():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 5, 3)).to("meta")
    with FlopCounterMode(display=False) as forward:
        out = net(torch.empty(2, 3, 8, 8, device="meta"))
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    first = 2 * (2 * 4 * 6 * 6 * 3 * 9)
    counted = forward.get_total_flops() + backward.get_total_flops()
    assert training_flops(forward.get_total_flops() // 2) == counted + first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "meta"}, "cannot time device meta"),
        ({"precision": "8-bit"}, "'8-bit' is not one of 32-true, bf16-mixed"),
        ({"seconds": 0}, "seconds: 0 must be more than 0"),
        ({"clock": lambda: 1.0}, "the clock did not advance during"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        measure_peak(**{"device": "cpu", "precision": "32-true"} | options)


def test_types_of_precisions():
    assert dtype_of("bf16-true") == dtype_of("bf16-mixed") == torch.bfloat16
    assert (dtype_of("16-mixed"), dtype_of("32-true")) == (torch.float16, torch.float32)
