"""The README's table of quality: `python -m benchmarks.quality --write` puts it there, without --write it is printed.

Every figure comes from a json in weights/, where `python -m sr_model evaluate --record` put what it measured.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sr_model.models import weights
from sr_model.system.files import between_marks

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- quality: begin -->", "<!-- quality: end -->"
SETS = {"Set5": "Set5", "Set14": "Set14", "BSD100": "B100"}  # folder's name -> the field's name


def table() -> str:
    """Markdown: a row for bicubic at each scale and for each preset, PSNR in dB and SSIM by set."""
    lines = [
        f"| scale | network | parameters | trained | {' | '.join(SETS.values())} |",
        f"|---|---|---|---|{'---|' * len(SETS)}",
    ]
    cards = [weights.read_card(preset, scale) for preset, scale in weights.available()]
    for scale in sorted({card.scale for card in cards}, key=lambda scale: (scale == 1, scale)):
        here = [card for card in cards if card.scale == scale]
        lines.append(f"| x{scale} | bicubic | - | - | {' | '.join(cell(here, s, 'bicubic_') for s in SETS)} |")
        lines += [
            f"| x{scale} | {card.preset} | {parameters(card)} | {duration(card)} "
            f"| {' | '.join(cell([card], s) for s in SETS)} |"
            for card in here
        ]
    return "\n".join(lines)


def parameters(card: weights.Card) -> str:
    """In thousands or millions."""
    return f"{card.parameters / 1e6:.2f} M" if card.parameters >= 1e6 else f"{card.parameters / 1000:.0f} K"


def duration(card: weights.Card) -> str:
    """How long it was trained, in hours or minutes."""
    hours = card.training["hours"]
    return f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.0f} min"


def cell(cards: Sequence[weights.Card], name: str, prefix: str = "") -> str:
    """`psnr / ssim` of the first card that has them, or a dash where they were not measured."""
    for card in cards:
        figures = card.metrics.get(name, {})
        if f"{prefix}psnr" in figures:
            return f"{figures[f'{prefix}psnr']:.2f} / {figures[f'{prefix}ssim']:.4f}"
    return "-"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    if parser.parse_args().write:
        README.write_text(between_marks(README.read_text(), BEGIN, END, table()))
    else:
        print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
