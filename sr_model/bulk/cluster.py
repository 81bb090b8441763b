"""The same job on a cluster, by Ray Data: actors hold the network, and read and write files themselves."""

import copy
import json
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sr_model
from sr_model.bulk.job import Job, process
from sr_model.bulk.journal import Journal
from sr_model.bulk.outputs import Output
from sr_model.bulk.processing import Processing
from sr_model.bulk.records import Item, Record
from sr_model.errors import ClusterError, TargetError
from sr_model.inference.devices import available_cpus
from sr_model.inference.upscaler import Upscaler
from sr_model.networks import Network

LOCAL = "local"
BATCH = 32  # items that an actor is given at a time: what a killed one may have to look at again


class Worker:
    """What runs in an actor: a network, and the journal that it shares with all others by files."""

    def __init__(
        self,
        network: Network,
        mixed: dict[float, Network],
        options: dict[str, Any],
        out: str,
        output: Output,
        run: str,
        threads: int,
        measure: bool,
    ) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._upscaler = Upscaler(network, **options, at_strength=mixed.__getitem__ if mixed else None)
        self._out, self._output, self._measure = out, output, measure
        self._journal = Journal(out, run)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Records, as JSON, of items, as JSON. What another actor has done before it was killed is not done again."""
        self._journal.refresh()
        items = [Item(**json.loads(text)) for text in batch["item"]]
        processing = Processing(self._upscaler, self._out, self._output, self._journal, measure=self._measure)
        lines = []
        try:
            with closing(self._journal):
                for step in process(iter(items), processing):
                    if isinstance(step, Record):
                        lines.append(step.line())
        except TargetError as error:  # Ray would wrap it in errors of its own
            lines.append(json.dumps({"ended": str(error)}))
        return {"record": lines}


def run(job: Job, upscaler: Upscaler, options: dict[str, Any], address: str, workers: int = 0) -> Iterator[Record]:
    """Yield what becomes of each item of a job, in no order, as actors finish it.

    `options` are those that `Upscaler` takes beside the network. `address` is LOCAL, for a Ray of this machine alone,
    or that of a running one; IN and OUT must be the same there. `workers` is the number of actors: by default one for
    each GPU, or for every two processors. A killed actor or machine is replaced, and its items are given to another.
    Raises ClusterError where the cluster cannot be reached or is lost, and TargetError.
    """
    import ray
    from ray.exceptions import RayError

    rows = [{"item": json.dumps(vars(item))} for item in job.items()]
    _connect(address, workers)
    try:
        count, resources = _actors(ray.cluster_resources(), workers)
        actors: dict[str, Any] = {
            "fn_constructor_kwargs": {
                "network": copy.deepcopy(upscaler.model).cpu(),
                "mixed": upscaler.mixed.networks() if upscaler.mixed else {},
                "options": options,
                "out": job.out,
                "output": job.output,
                "run": Journal(job.out).run,
                "threads": max(1, int(resources["num_cpus"])),
                "measure": job.measure,
            },
            "compute": ray.data.ActorPoolStrategy(size=count),
            "batch_size": BATCH,
            **resources,
        }
        blocks = min(len(rows), max(count, -(-len(rows) // BATCH)))
        found = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(Worker, **actors)
        for row in found.iter_rows():
            record = json.loads(row["record"])
            if "ended" in record:
                raise TargetError(record["ended"])
            yield Record(**record)
    except (RayError, ConnectionError) as error:
        raise ClusterError(f"The cluster was lost ({_line(error)}). Give the same command again: it goes on.") from None
    finally:
        ray.shutdown()


def _connect(address: str, workers: int) -> None:
    import ray

    folder = str(Path(sr_model.__file__).parents[1])  # where it is not installed, the same checkout
    paths = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    local: dict[str, Any] = {"num_cpus": max(available_cpus(), workers), "include_dashboard": False}
    try:
        ray.init(
            address=LOCAL if address == LOCAL else address,
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(local if address == LOCAL else {}),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"There is no Ray cluster at {address} ({_line(error)}).") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # which it set for itself when it was imported just now


def _actors(resources: dict[str, float], workers: int) -> tuple[int, dict[str, float]]:
    """(how many actors, what each of them needs)."""
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    count = workers or gpus or max(1, cpus // 2)
    share = max(1, cpus // count)
    return count, {"num_cpus": share} | ({"num_gpus": gpus / count} if gpus else {})


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
