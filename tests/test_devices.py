import os
from pathlib import Path

import pytest
import torch

from sr_model.errors import ConfigError
from sr_model.inference import devices


@pytest.mark.parametrize(("text", "most"), [("100000 100000", 1), ("250000 100000", 2), ("max 100000", 10**6)])
def test_a_container_s_quota_counts(text: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cgroup that grants two and a half processors gives two, whatever the host has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda _: text)
    assert devices.available_cpus() == min(64, most)


def test_a_system_without_affinity_counts_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS and Windows, where a process cannot be bound to some of them."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(Path, "read_text", lambda _: "max 100000")
    assert devices.available_cpus() == 3


def test_threads_are_limited_and_never_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set lower, as by OMP_NUM_THREADS, stays."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        monkeypatch.setattr(devices, "available_cpus", lambda: 8)
        devices.limit_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_without_cuda_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for a device that is not there is answered in a sentence; auto takes what there is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.choose_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="no CUDA device"):
        devices.choose_device("cuda")


def test_apple_s_gpu_is_taken_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes MPS where there is no CUDA; its arithmetic is float32."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.choose_device("auto") == devices.choose_device("mps") == torch.device("mps")
    assert not devices.supports_bfloat16(torch.device("mps"))
