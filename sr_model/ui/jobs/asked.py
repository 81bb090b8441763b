"""What the page's controls ask for, as settings; and what a result was made with, in words and as a mark."""

from dataclasses import fields
from typing import Any

from sr_model.inference.mixing import AUTO
from sr_model.networks import presets
from sr_model.ui.jobs import planning
from sr_model.ui.jobs.planning import Settings
from sr_model.ui.work import CLEAN, ENLARGE, NETWORKS, Outcome


def settings_of(
    mode: Any,
    scale: Any,
    preset: Any,
    target: Any = None,
    shrinking: Any = None,
    networks: Any = None,
    strength: Any = AUTO,
) -> Settings:
    """The settings that the controls' values say, in the order of `form.Controls`; they may be anything."""
    names = chosen(networks)
    return Settings(
        mode=chosen(mode),
        scale=chosen(scale),
        preset=chosen(preset),
        target=target or None,
        shrinking=chosen(shrinking) or CLEAN,
        networks=tuple(names) if isinstance(names, list) else (),
        strength=strength if strength not in (None, "") else AUTO,
    )


def echo(*controls: Any) -> dict[str, Any]:
    """What the controls' values say, by the names that the browser has for them."""
    values = (value["chosen"] if isinstance(value, dict) and "chosen" in value else value for value in controls)
    return {field.name: value for field, value in zip(fields(Settings), values, strict=False)}


def stamp(settings: Settings, outcome: Outcome) -> str:
    """What the result was made by, as its panes say it: the network and the scale."""
    (w, _), (rw, _) = outcome.source_size, outcome.panes[0].picture.size
    times = f"{rw / w:.3g}x"
    if settings.mode == NETWORKS:
        return times
    made = f"{presets.find(settings.preset).title} {times}"
    return made if outcome.strength is None else f"{made} · {outcome.strength:.0%}"


def relevant(settings: Settings, outcome: Outcome) -> dict[str, Any]:
    """The settings that the result depends on, by the names of their controls."""
    made = {"mode": settings.mode, "scale": settings.scale}
    if settings.mode == NETWORKS:
        made["networks"] = list(settings.networks)
    else:
        made["preset"] = settings.preset
        if outcome.strength is not None:
            made["strength"] = settings.strength
    if settings.mode != ENLARGE:
        made["shrinking"] = settings.shrinking
    if settings.target is not None:
        made["target"] = settings.target
    return made


def offer_label(offer: planning.Offer) -> str:
    """What an offer's button says of the setting."""
    return f"{offer.value}x" if offer.setting == "scale" else presets.find(offer.value).title


def chosen(value: Any) -> Any:
    """What is chosen in a choice's value, which comes from a browser and may be anything."""
    return value.get("chosen") if isinstance(value, dict) else None
