import builtins
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_model import Upscaler
from sr_model.errors import ConfigError
from sr_model.inference import engines
from sr_model.inference.engines import HALF_LEVEL, OpenVinoEngine, TorchEngine, half_precision_error
from sr_model.models import weights
from sr_model.networks import Network, presets
from tests.conftest import EXAMPLES, randomised, tiny_model
from tests.test_networks import SMALL

pytestmark = pytest.mark.long

CPU = torch.device("cpu")
SHIPPED = [entry for entry in weights.available() if not entry[0].endswith(presets.INT8)]


@pytest.mark.parametrize(("preset", "scale"), SHIPPED)
@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png"])
def test_engines_agree_within_a_level_on_photos(preset: str, scale: int, name: str) -> None:
    """What is seen does not depend on what computes it, odd sizes and several tiles included."""
    photo = Image.open(EXAMPLES / name).convert("RGB").crop((60, 40, 60 + 213, 40 + 147))
    pictures = [
        np.asarray(Upscaler.from_preset(preset, scale, "cpu", engine=engine, tile=tile)(photo)).astype(int)
        for engine, tile in (("torch", 0), ("openvino", 0), ("openvino", 96))
    ]
    assert np.abs(pictures[1] - pictures[0]).max() <= 1
    assert np.abs(pictures[2] - pictures[0]).max() <= 1


@pytest.mark.parametrize("config", SMALL)
def test_one_compiled_network_takes_every_size(config: Any) -> None:
    """Sizes follow one another in any order, and each gets what torch gives it."""
    network = randomised(config)
    openvino, plain = OpenVinoEngine(network), TorchEngine(network, CPU)
    for h, w in ((8, 8), (32, 16), (4, 40), (32, 16)):
        x = network.prepare(torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(h * w)))
        assert torch.allclose(openvino(x), plain(x), atol=1e-4)


def test_auto_is_openvino_on_the_cpu(model: Network) -> None:
    """And each engine can be had by its name."""
    assert engines.load(model, "cpu").name == "openvino"
    assert engines.load(model, "cpu", "torch").name == "torch"


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **options: Any) -> Any:
        if name.split(".")[0] == "openvino":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", missing)


@pytest.mark.usefixtures("without_openvino")
@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_torch_takes_over_where_openvino_is_missing(
    model: Network, photo: Image.Image, caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    """One line says so and what to do, and the picture is the same."""
    small = photo.crop((0, 0, 40, 30))
    with caplog.at_level(logging.WARNING):
        upscaler = Upscaler(model, "cpu", engine=engine)
    assert upscaler.engine.name == "torch"
    assert [record.message.count("pip install openvino") for record in caplog.records] == [1]
    assert "\n" not in caplog.text.strip()
    assert np.array_equal(np.asarray(upscaler(small)), np.asarray(Upscaler(model, "cpu", engine="torch")(small)))


def test_torch_takes_over_where_compiling_fails(
    model: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The line holds the compiler's reason, on one line."""

    def fail(*_: Any) -> None:
        raise RuntimeError("no such\n  instruction")

    monkeypatch.setattr(engines, "to_openvino", fail)
    assert engines.load(model, "cpu").name == "torch"
    assert [r.message for r in caplog.records if "no such instruction" in r.message] == [caplog.records[0].message]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: engines.load(tiny_model(), "cpu", "onnx"), "auto, torch, openvino"),
        (lambda: Upscaler(tiny_model(), "cpu", tile=33), "multiple of 2"),
        (lambda: Upscaler(tiny_model(), "cpu", tile=-2), "multiple of 2"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(call: Callable[[], Any], message: str) -> None:
    """Unknown engines and impossible tiles."""
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize(("preset", "scale"), SHIPPED)
def test_half_precision_would_change_no_picture_by_more_than_a_level(preset: str, scale: int) -> None:
    """On CUDA the shipped networks run in float16; here its arithmetic is the CPU's, of the same precision."""
    network, _ = weights.load(preset, scale)
    assert 0 < half_precision_error(network, CPU) < HALF_LEVEL


def test_a_network_that_half_precision_harms_is_seen() -> None:
    """The check above can fail: weights that cancel one another lose in float16 what float32 keeps."""
    network = tiny_model()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    assert half_precision_error(network, CPU) > HALF_LEVEL


def test_several_threads_may_call_one_engine(model: Network) -> None:
    """Each gets its own result, none another's."""
    engine = OpenVinoEngine(model)
    inputs = [torch.rand(1, 3, 16 + 2 * i, 24, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    expected = [engine(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert all(torch.equal(a, b) for a, b in zip(pool.map(engine, inputs), expected, strict=True))


def test_nothing_is_reported_over_the_network(model: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO's usual way to convert a network tells its makers of it; here its telemetry is never asked for."""
    telemetry = pytest.importorskip("openvino_telemetry").Telemetry
    started = []
    monkeypatch.setattr(telemetry, "init", lambda *args, **options: started.append(args))
    OpenVinoEngine(model)
    assert not started


SIZES = """
import random
import sys
import numpy as np
from sr_model import Upscaler

def megabytes():
    return int(next(s for s in open("/proc/self/status") if s.startswith("VmRSS")).split()[1]) / 1024

upscaler, rng = Upscaler.from_preset("nano", 2, "cpu", engine="openvino"), random.Random(0)
for i in range(400):
    upscaler(np.full((rng.randint(8, 96), rng.randint(8, 96), 3), i % 256, np.uint8))
    if i == 99:
        before = megabytes()
print(megabytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory as Linux tells it")
def test_memory_does_not_grow_with_the_variety_of_sizes() -> None:
    """300 pictures of random sizes, after the first 100, add at most 50 MB: few kernels are kept ready."""
    result = subprocess.run([sys.executable, "-c", SIZES], check=True, capture_output=True, text=True)
    assert float(result.stdout) <= 50


@pytest.mark.parametrize("streams", [1, 2])
def test_a_result_stays_as_it_is_while_somebody_has_it(model: Network, streams: int) -> None:
    """Or a part of it: later calls take other memory, and take it again when it is free."""
    engine = OpenVinoEngine(model, streams)
    inputs = [model.prepare(torch.full((1, 3, 16, 16), value)) for value in (0.1, 0.5, 0.9)]
    parts = [engine(x)[..., 2:9, 3:] for x in inputs]
    kept = [part.clone() for part in parts]
    places = {part.data_ptr() for part in parts}
    assert len(places) == 3
    del parts[1]
    for _ in range(5):
        assert engine(inputs[0])[..., 2:9, 3:].data_ptr() in places
    assert torch.equal(parts[0], kept[0])
    assert torch.equal(parts[1], kept[2])


RELEASED = """
import sys
import numpy as np
from sr_model import Upscaler
from sr_model.system import memory

def megabytes():
    memory.release()
    return int(next(s for s in open("/proc/self/status") if s.startswith("VmRSS")).split()[1]) / 1024

upscaler = Upscaler.from_preset("nano", 4, "cpu", engine="openvino")
upscaler(np.zeros((16, 16, 3), np.uint8))
before = megabytes()
upscaler(np.zeros((512, 512, 3), np.uint8))
kept = megabytes()
upscaler.release()
print(kept - before, megabytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory as Linux tells it")
def test_released_memory_goes_back() -> None:
    """What a large tile took is kept for the next one, and given back when asked, its result of 50 MB included."""
    result = subprocess.run([sys.executable, "-c", RELEASED], check=True, capture_output=True, text=True)
    kept, left = map(float, result.stdout.split())
    assert kept > 100
    assert left < 10


DROPPED = """
import gc, signal, subprocess, sys, threading
from sr_model import Upscaler

signal.signal(signal.SIGCHLD, lambda *_: None)
held = [Upscaler.from_preset("nano", 2, "cpu", engine="openvino")]

def drop():
    held.clear()
    gc.collect()

thread = threading.Thread(target=drop)
thread.start()
thread.join()
subprocess.run([sys.executable, "-c", ""], check=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="Windows has no signal of a child's end")
def test_an_engine_may_end_in_another_thread() -> None:
    """Signals still arrive: OpenVINO's plugin gives the thread that loads it a signal stack, and takes it along."""
    subprocess.run([sys.executable, "-c", DROPPED], check=True)


def test_the_reason_is_the_true_one(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An OpenVINO that is there and cannot be imported is not called missing."""

    def broken(network: Network, streams: int) -> OpenVinoEngine:
        raise ImportError("libtbb.so.12: cannot open shared object file")

    monkeypatch.setattr(engines, "OpenVinoEngine", broken)
    assert engines.load(tiny_model(), "cpu").name == "torch"
    assert "cannot be imported (libtbb.so.12" in caplog.text
    assert "not installed" not in caplog.text
