"""What runs a network's body: torch on CUDA, torch on the CPU, or OpenVINO on the CPU, behind one call.

Their outputs agree to within one level of 255. Everything around the body (bicubic, padding, rounding) is done in
float32, the same for all.
"""

import functools
import logging
import warnings
import weakref
from contextlib import ExitStack
from threading import Lock, Semaphore
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sr_model.errors import ConfigError
from sr_model.inference.devices import available_cpus, choose_device
from sr_model.networks import Network
from sr_model.networks.quantization import is_quantized

log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino")
# Kernels that OpenVINO keeps compiled, one per layer and shape. Its default is 5,000, with which a process that sees
# pictures of all sizes grows by a megabyte a size; large pictures in tiles take no longer with 16 than with 32.
KERNELS_KEPT = 16
HALF_LEVEL = 0.5 / 255  # a smaller change moves no rounded value by more than one level
OVERFLOW = 8 / 255  # between 1, by which exact engines differ on noise in 8 bits, and 40, by which overflowing ones do
NO_8_BIT = "8-bit networks run in float32 here, with the same result but no faster."


class Engine(Protocol):
    """Runs a network's `body`: (1, C, H, W) float32 on `device` -> (1, 3, H', W') float32 on the CPU or `device`.

    The work is done when it returns. It may be called from several threads; `streams` calls are processed at a time.
    """

    name: str
    device: torch.device
    streams: int

    def __call__(self, x: Tensor) -> Tensor: ...

    def release(self) -> None:
        """Give back the memory that it keeps for the next picture, which then takes a moment longer."""


def load(network: Network, device: str = "auto", engine: str = "auto", streams: int = 1) -> Engine:
    """The fastest engine for a network on a device, or the one asked for, ready to run.

    OpenVINO can process several calls at a time, `streams` of them; each has its share of the processors.

    auto is torch on GPUs and OpenVINO on the CPU. If OpenVINO is missing or cannot compile the network, torch takes
    over and a warning is logged. Raises ConfigError for unknown names and for OpenVINO on a GPU.
    """
    if engine not in ENGINES:
        raise ConfigError(f"There is no engine {engine!r}; choose one of: {', '.join(ENGINES)}.")
    place = choose_device(device)
    if place.type != "cpu":
        if engine == "openvino":
            raise ConfigError("OpenVINO runs on the CPU here; choose --device cpu, or --engine torch for a GPU.")
        return TorchEngine(network, place)
    if engine != "torch":
        try:
            return OpenVinoEngine(network, streams)
        except ImportError as error:
            missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "openvino"
            reason = "is not installed (pip install openvino)" if missing else f"cannot be imported ({_line(error)})"
        except Exception as error:  # whatever a compiler may raise; torch can do the same, only slower
            reason = f"cannot compile this network ({_line(error)})"
        log.warning("OpenVINO %s: torch is used instead, which is slower and gives the same pictures.", reason)
    return TorchEngine(network, place)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


class TorchEngine:
    """Channels-last convolutions, which halve the time; half precision on CUDA if it changes no picture."""

    name = "torch"
    streams = 1

    def __init__(self, network: Network, device: torch.device) -> None:
        self.device = device
        self._network = network.eval().to(device).to(memory_format=torch.channels_last)
        self._lock = Lock()
        self.half = device.type == "cuda" and half_precision_error(network, device) < HALF_LEVEL

    def __call__(self, x: Tensor) -> Tensor:
        with self._lock, torch.inference_mode(), torch.autocast(self.device.type, torch.float16, enabled=self.half):
            y: Tensor = self._network.body(x.to(memory_format=torch.channels_last)).float()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # CUDA only queues work, and timing that would measure nothing
            return y

    def release(self) -> None:
        """Nothing: torch shares what it keeps among all networks."""


def half_precision_error(network: Network, device: torch.device) -> float:
    """The largest change that float16 makes to the output of the body on full-contrast noise, in [0, 1].

    Noise is harder than photos: every edge is as steep as possible.
    """
    x = network.prepare(full_contrast_noise().to(device))
    with torch.inference_mode():
        exact = network.body(x)
        with torch.autocast(device.type, torch.float16):
            return float((network.body(x).float() - exact).abs().max())


def full_contrast_noise() -> Tensor:
    """(1, 3, 32, 32) in [0, 1], the same every time."""
    return torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0)) / 255


@functools.cache
def _core() -> Any:  # openvino.Core, of a package that may be missing
    """The process's only one, never unloaded.

    OpenVINO's CPU plugin gives the thread that loads it a signal stack. Unloaded in another thread, it frees that stack
    while the first still uses it, and the next signal there, such as that of a child's end, kills the process.
    """
    import openvino

    return openvino.Core()


class OpenVinoEngine:
    """Compiled once for all sizes; the kernels for a new shape take at most a tenth of a second.

    Measured on two cores, a model with fixed sides is at most 3 % faster, and would need all tiles to have that size.
    """

    name = "openvino"
    device = torch.device("cpu")

    def __init__(self, network: Network, streams: int = 1) -> None:
        """`streams` calls are processed at a time, each by its share of the processors."""
        self.streams = min(streams, available_cpus())
        config = {
            "INFERENCE_PRECISION_HINT": "f32",  # the default, bfloat16 if the processor has it, is up to 3 levels off
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": available_cpus(),
            "NUM_STREAMS": self.streams,
            "CPU_RUNTIME_CACHE_CAPACITY": KERNELS_KEPT,
        }
        body, noise = _Body(network.cpu().eval()), network.prepare(full_contrast_noise())
        self.compiled = _core().compile_model(to_openvino(body, noise), "CPU", config)
        self._free, self._releasing = Semaphore(self.streams), Lock()
        self._requests: list[Any] = []  # that nobody has a result of
        self._small, self._has_run = noise, False
        self.in_bytes = is_quantized(network) and not self._overflows(body, noise)
        if is_quantized(network) and not self.in_bytes:
            log.warning("This processor's 8-bit instructions overflow (no VNNI): %s", NO_8_BIT)
            model = to_openvino(body, noise, bytes_recognised=False)
            self.compiled = _core().compile_model(model, "CPU", config)
            self._requests = []  # of the one before

    def _overflows(self, body: nn.Module, noise: Tensor) -> bool:
        """Whether sums of two products of bytes are cut to 16 bits, as by AVX2 and AVX-512 without VNNI.

        Pictures are then up to 30 levels off; otherwise engines agree within a few levels even on noise.
        """
        with torch.inference_mode():
            error = float((self(noise) - body(noise)).abs().max())
        return error > OVERFLOW

    def __call__(self, x: Tensor) -> Tensor:
        with self._free:
            self._has_run = True
            return self._infer(x)

    def _infer(self, x: Tensor) -> Tensor:
        try:
            request = self._requests.pop()
        except IndexError:
            request = self.compiled.create_infer_request()
        request.infer([x.contiguous().numpy()], share_inputs=True)
        result = request.get_output_tensor(0).data
        # The result is the request's memory, so the request is free when the caller has dropped the result. Requests
        # of their own for all calls would get new memory each time, which takes a small network a tenth of its time.
        weakref.finalize(result, self._requests.append, request).atexit = False
        return torch.from_numpy(result)

    def release(self) -> None:
        """Give back the layers' tensors and the last result, as large as the picture: up to 150 MB a network."""
        with self._releasing, ExitStack() as nobody_else:
            for _ in range(self.streams):
                nobody_else.enter_context(self._free)
            if self._has_run:
                self._requests = []  # results that somebody still has give their requests to the old list
                self._infer(self._small)  # the compiled network holds on to the last result until there is another
                self._requests.clear()
                self.compiled.release_memory()
            self._has_run = False


def default_streams() -> int:
    """How many pictures to enlarge at a time where there are many: one thread each is the least work in all.

    At most 4, as each takes up to 400 MB.
    """
    return min(available_cpus(), 4)


class _Body(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.body(x)


def to_openvino(module: nn.Module, x: Tensor, bytes_recognised: bool = True) -> Any:  # an openvino.Model
    """A module on the CPU as OpenVINO's model, with free height and width; `x` (1, C, H, W) is an example of its input.

    8-bit layers run in 8 bits if `bytes_recognised`, else the same roundings are computed in float32.
    It uses OpenVINO's PyTorch frontend, as `openvino.convert_model` does; that function would also send telemetry.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch import ConversionExtension
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    from openvino.passes import ConstantFolding, Manager

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # OpenVINO traces with torch.jit, which torch has deprecated
        # A check would run the module three times more, which is half of the start.
        decoder = TorchScriptPythonDecoder(module, example_input=(x,), trace_kwargs={"check_trace": False})
        frontend = FrontEndManager().load_by_framework("pytorch")
        frontend.add_extension(ConversionExtension("aten::pixel_shuffle", _depth_to_space))
        model = frontend.convert(frontend.load(decoder))
    model.reshape([1, x.shape[1], -1, -1])
    if bytes_recognised:
        passes = Manager()
        passes.register_pass(ConstantFolding())  # without it the weights are not constants, and layers not in 8 bits
        passes.run_passes(model)
        _round_once(model)
    return model


def _round_once(model: Any) -> None:
    """Remove roundings of what is already rounded to the same levels: they change nothing and cost a pass each."""

    def levels(node: Any) -> list[Any]:
        return [node.get_attributes()["levels"], *(node.input_value(i).get_node().data.tolist() for i in range(1, 5))]

    for node in model.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            source = node.input_value(0).get_node()
            if source.get_type_name() == "FakeQuantize" and levels(source) == levels(node):
                node.output(0).replace(node.input_value(0))


def _depth_to_space(context: Any) -> Any:
    """A pixel shuffle as a single operation; the frontend would make a transpose of it, which is far slower."""
    from openvino import opset13

    return opset13.depth_to_space(context.get_input(0), "depth_first", context.get_values_from_const_input(1)).outputs()
