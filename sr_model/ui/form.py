"""The controls beside the viewer, in the order in which handlers take their values."""

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from sr_model.networks.presets import find
from sr_model.ui import components, work
from sr_model.ui.device import offered
from sr_model.ui.jobs import planning
from sr_model.ui.limits import MAX_BYTES
from sr_model.ui.serving.routes import network_address
from sr_model.ui.upscalers import Upscalers


@dataclass(frozen=True)
class Controls:
    """What `planning.Settings` is made of; a new control is added at the end of both and of `Handlers.run`."""

    mode: gr.HTML
    scale: gr.HTML
    preset: gr.HTML
    target: gr.HTML
    shrinking: gr.HTML
    networks: gr.HTML
    strength: gr.HTML

    def all(self) -> list[Any]:
        """In their order."""
        return [getattr(self, field.name) for field in fields(self)]


def place(upscalers: Upscalers) -> tuple[gr.HTML, gr.HTML]:
    """(the choice of where the work is done, what does it in the browser); neither is sent to the server."""
    # Browsers cannot mix weights, so there a picture would not get the strength that it needs.
    fixed = [choice for choice in upscalers.choices if choice[0] not in upscalers.mixed]
    networks = offered.listed(fixed, network_address)
    options = [
        {"value": "server", "label": "on_server", "hint": ""},
        {"value": "device", "label": "on_device", "hint": "on_device_hint", **offered.runtime_megabytes()},
    ]
    choice = components.choice(
        {"chosen": "server", "options": options}, name="place", elem_id="sr-place", visible=bool(networks)
    )
    return choice, components.device(networks, elem_id="sr-device")


def picture(example: Any) -> gr.HTML:
    """The picker of the picture, with the example that the viewer shows first."""
    return components.picker(example, word="pick", main=True, max_bytes=MAX_BYTES, several=True, elem_id="sr-picture")


def reference() -> gr.HTML:
    """The picker of what the result is measured against; shown in Enlarge."""
    return components.picker(word="pick_reference", main=False, max_bytes=MAX_BYTES, elem_id="sr-reference")


def controls(upscalers: Upscalers) -> Controls:
    """All controls with their first values; `when` says in which modes each is shown."""
    preset, scale = upscalers.default
    modes = [{"value": mode, "label": mode, "hint": f"{mode}_hint"} for mode in work.MODES]
    if len(upscalers.presets) < 2:
        modes.pop()
    presets = [{"value": name, "label": find(name).title, "hint": find(name).about} for name in upscalers.presets]
    shrinkings = [{"value": s, "label": f"shrink_{s}", "hint": f"shrink_{s}_hint"} for s in work.SHRINKINGS]
    return Controls(
        mode=components.choice({"chosen": work.COMPARE, "options": modes}, name="mode", elem_id="sr-mode"),
        preset=components.choice(
            {"chosen": preset, "options": presets},
            name="preset",
            when=[work.ENLARGE, work.COMPARE],
            elem_id="sr-preset",
        ),
        strength=components.strength(upscalers.mixed, elem_id="sr-strength"),
        networks=components.choice(
            {"chosen": competing(upscalers), "options": presets},
            name="networks",
            several=True,
            when=[work.NETWORKS],
            elem_id="sr-networks",
        ),
        scale=components.choice(
            {"chosen": scale, "options": scales_of(upscalers, preset)},
            name="scale",
            by_preset={name: scales_of(upscalers, name) for name in upscalers.presets},
            elem_id="sr-scale",
        ),
        target=components.target(elem_id="sr-target"),
        shrinking=components.choice(
            {"chosen": work.CLEAN, "options": shrinkings},
            name="shrinking",
            when=[work.COMPARE, work.NETWORKS],
            elem_id="sr-shrinking",
        ),
    )


def scales_of(upscalers: Upscalers, preset: str) -> list[dict[str, Any]]:
    """The scales that a preset is offered at, as options of a choice; and another size, if it enlarges."""
    scales = planning.offered_scales(upscalers.scales(preset))
    options = [{"value": s, "label": f"{s}x", "hint": "restores" if s == 1 else ""} for s in scales]
    if scales != [1]:
        options.append({"value": planning.OTHER_SIZE, "label": "size", "hint": ""})
    return options


def competing(upscalers: Upscalers) -> list[str]:
    """The networks that compete at first: the tutorials' and this project's own, as far as they are there."""
    wanted: list[str] = [name for name in ("classic", "keras", "nano", "base") if name in upscalers.presets]
    return wanted if len(wanted) > 1 else upscalers.presets[:2]
