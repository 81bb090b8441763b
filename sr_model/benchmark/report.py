"""Turn measured seconds into a benchmark's figures, and figures into lines of text."""

import statistics
from collections.abc import Sequence
from typing import Any

HEADER = f"{'picture':>10}  {'whole':>8} {'ms/MP':>8}  {'network':>8} {'ms/MP':>8}  of peak    memory     a run   runs"


def figures(measured: dict[str, Any], scale: int, peak_gflops: float) -> dict[str, Any]:
    """Add figures to what `worker.measure` returned; "skipped" stays as it is.

    Adds "output_megapixels", "seconds", "ms_per_megapixel", "ms_spread", "network_ms_per_megapixel",
    "network_ms_spread" and "share_of_peak". Spreads are None after a single run.
    """
    if "skipped" in measured:
        return measured
    megapixels = measured["width"] * measured["height"] * scale**2 / 1e6
    whole, network = ([1000 * t / megapixels for t in measured[name]] for name in ("runs", "network_runs"))
    seconds = statistics.median(measured["network_runs"])
    return measured | {
        "output_megapixels": megapixels,
        "seconds": statistics.median(measured["runs"]),
        "ms_per_megapixel": statistics.median(whole),
        "ms_spread": interquartile_range(whole),
        "network_ms_per_megapixel": statistics.median(network),
        "network_ms_spread": interquartile_range(network),
        "share_of_peak": 2 * measured["multiply_adds"] / seconds / (peak_gflops * 1e9),
    }


def interquartile_range(values: Sequence[float]) -> float | None:
    """The width of the middle half; None for a single value."""
    if len(values) < 2:
        return None
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def line(row: dict[str, Any]) -> str:
    """A size's figures in the columns of HEADER."""
    size = f"{row['width']}x{row['height']}"
    if "skipped" in row:
        return f"{size:>10}  skipped: {row['skipped']}"
    whole, network = (
        f"{row[f'{name}ms_per_megapixel']:8.1f} {_spread(row[f'{name}ms_spread']):>8}" for name in ("", "network_")
    )
    share, memory = f"{row['share_of_peak']:.0%}", f"{row['peak_mb']:.0f} MB"
    return f"{size:>10}  {whole}  {network}  {share:>7}  {memory:>8}  {row['seconds']:8.3f} s  {len(row['runs']):4}"


def heading(report: dict[str, Any]) -> str:
    """The machine in a line."""
    openvino = f"OpenVINO {report['openvino']}" if report["openvino"] else "no OpenVINO"
    cards = [report["cuda"]] if report["cuda"] else []
    parts = [report["cpu"], *cards, f"{report['threads']} threads", f"torch {report['torch']}", openvino]
    return ", ".join([*parts, report["date"]])


def _spread(value: float | None) -> str:
    return "" if value is None else f"+-{value:.1f}"
