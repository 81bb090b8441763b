"""Several processes, started by torchrun, that train one network (torch DDP)."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sr_model.errors import SRError
from sr_model.inference.devices import choose_device

Result = TypeVar("Result")


@dataclass(frozen=True)
class Group:
    """This process and the others of the run; with a single process, the methods do nothing."""

    device: torch.device
    rank: int = 0
    size: int = 1
    machine: distributed.ProcessGroup | None = None  # the processes on this machine, if there are several

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes files and logs."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network wrapped so that its backward pass averages gradients over the processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[self.device] if self.device.type == "cuda" else None)

    def gradients(self, network: nn.Module, last: bool) -> AbstractContextManager[None]:
        """A context for the backward pass of one of several parts: gradients are averaged only with the last."""
        if isinstance(network, DistributedDataParallel) and not last:
            return network.no_sync()
        return nullcontext()

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process; all of them must call this."""
        return flag if self.size == 1 else self.sum(float(flag)) > 0

    def sum(self, value: float) -> float:
        """The sum over the processes; all of them must call this."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return float(total.item())

    def share(self, make: Callable[[], Result]) -> Result:
        """The result of `make`: one process per machine calls it and sends the others a pickle of the result.

        An error that it raises is raised in all of them.
        """
        if self.machine is None:
            return make()
        first = distributed.get_global_rank(self.machine, 0)
        outcome: list[Any] = [None, None]
        if self.rank == first:
            try:
                outcome = [make(), None]
            except SRError as error:
                outcome = [None, error]
        distributed.broadcast_object_list(outcome, src=first, group=self.machine, device=self.device)
        if outcome[1] is not None:
            raise outcome[1]
        return cast(Result, outcome[0])

    def average_gradients(self, network: nn.Module) -> None:
        """Average the gradients of a network that is not wrapped."""
        if self.size == 1:
            return
        for parameter in network.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.size

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def join(device: str) -> Iterator[Group]:
    """The group that torchrun started this process in (gloo on the CPU, NCCL on CUDA), or a group of one."""
    chosen = choose_device(device)
    if not is_launched():
        yield Group(chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    size, here = distributed.get_world_size(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    machine = None
    if here > 1 and size % here == 0:
        machine, _ = distributed.new_subgroups(here)
    group = Group(chosen, distributed.get_rank(), size, machine)
    try:
        yield group
        group.wait()  # a process that leaves early would break the connections of the others
    finally:
        distributed.destroy_process_group()


def is_launched() -> bool:
    """Whether torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def was_restarted() -> bool:
    """Whether torchrun restarted the processes after losing one of them."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
