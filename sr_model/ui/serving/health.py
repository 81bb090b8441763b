"""`/health`: whether the page can take work, and what it has left of everything."""

import shutil
from typing import Any

import sr_model
from sr_model.models import weights
from sr_model.system import memory
from sr_model.ui.cache import Store
from sr_model.ui.serving.crowd import Crowd
from sr_model.ui.upscalers import Upscalers


def health(store: Store, upscalers: Upscalers, crowd: Crowd) -> dict[str, Any]:
    """Ready or not, the queue's jobs, bytes of memory and disk, the version, and the weights with their sha256.

    It is ready while the queue takes jobs and there is room for a result; a full queue is busy, not broken.
    """
    used = store.used()
    free = max(0, min(store.budget - used, shutil.disk_usage(store.folder).free))
    return {
        "ready": not crowd.page._queue.stopped,
        "version": sr_model.__version__,
        "device": upscalers.describe_device(),
        "queue": {
            "waiting": crowd.waiting,
            "running": crowd.running,
            "most": crowd.most,
            "seconds_each": round(crowd.seconds_each, 2),
        },
        "memory": {"used": memory.resident(), "available": memory.available()},
        "disk": {"used": used, "budget": store.budget, "free": free},
        "weights": {
            "from": str(upscalers.place.repo or ""),
            "files": {weights.name(card.preset, card.scale): card.sha256 for card in upscalers.cards()},
        },
    }
