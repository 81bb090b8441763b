"""The README's table of speed: `python -m benchmarks.speed --write` puts it there and draws docs/speed.png.

Without --write it is printed. Every figure comes from benchmarks/speed.json, which an idle machine makes with
`python -m sr_model benchmark --json > benchmarks/speed.json`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from sr_model.benchmark.plot import NAMES, write_plot
from sr_model.benchmark.report import heading
from sr_model.system.files import between_marks

ROOT = Path(__file__).parent.parent
README, JSON, PLOT = ROOT / "README.md", ROOT / "benchmarks" / "speed.json", ROOT / "docs" / "speed.png"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
USUAL = 1280 * 720  # pixels: beside the time of every size, the other figures are of the one nearest to this


def table(report: dict[str, Any]) -> str:
    """Markdown: a row for each network and engine, milliseconds per megapixel of the result by the input's size."""
    sizes = list(dict.fromkeys((row["width"], row["height"]) for case in report["cases"] for row in case["sizes"]))
    sizes.sort(key=lambda size: size[0] * size[1])
    usual = min(sizes, key=lambda size: abs(size[0] * size[1] - USUAL))
    names = [f"{w}x{h}" for w, h in sizes]
    w, h = usual
    lines = [
        f"| scale | network | engine | {' | '.join(names)} | network alone, {w}x{h} | of peak | memory | start |",
        f"|---|---|---|{'---|' * (len(sizes) + 4)}",
    ]
    order = sorted(report["cases"], key=lambda case: (case["scale"] == 1, case["scale"]))  # as quality.py has them
    for case in order:
        rows = {(row["width"], row["height"]): row for row in case["sizes"] if "skipped" not in row}
        times = " | ".join(f"{rows[size]['ms_per_megapixel']:.0f}" if size in rows else "-" for size in sizes)
        rest = "- | - | -"
        if row := rows.get(usual):
            rest = f"{row['network_ms_per_megapixel']:.0f} | {row['share_of_peak']:.0%} | {row['peak_mb']:.0f} MB"
        start = f"{case['start_seconds']:.1f} s" if "start_seconds" in case else "-"
        engine = NAMES[case["engine"], case["device"]]
        lines.append(f"| x{case['scale']} | {case['preset']} | {engine} | {times} | {rest} | {start} |")
    return "\n".join(lines)


def section(report: dict[str, Any]) -> str:
    """The table, the machine, and the picture."""
    peaks = ", ".join(
        f"{peak['before']:.0f} GFLOP/s ({device}; {peak['after']:.0f} at the end)"
        for device, peak in report["peak_gflops"].items()
    )
    return (
        f"{table(report)}\n\nMeasured on: {heading(report)}; peak {peaks}.\n\n"
        "![Milliseconds per megapixel of the result, by the size of the picture](docs/speed.png)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the README and draw docs/speed.png")
    write = parser.parse_args().write
    if not JSON.exists():
        parser.error("run this first: python -m sr_model benchmark --json > benchmarks/speed.json")
    report = json.loads(JSON.read_text())
    if write:
        README.write_text(between_marks(README.read_text(), BEGIN, END, section(report)))
        write_plot(report, PLOT)
    else:
        print(section(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
