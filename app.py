"""The web page: `python app.py`, or `--help` for everything else."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# isort: split
from sr_model.commands.common import add_weights, run
from sr_model.inference.devices import DEVICES
from sr_model.inference.engines import ENGINES
from sr_model.system import memory


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="app.py", description="Serve the web page.", allow_abbrev=False)
    host = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT") or None
    parser.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=port, metavar="N", help="port to listen on (default: 7860, or the next free one)"
    )
    add_weights(parser, "weights to offer")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="(default: %(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="(default: %(default)s)")
    parser.add_argument(
        "--max-seconds",
        type=positive,
        default=120,
        metavar="N",
        help="refuse jobs that would take longer (default: %(default)s)",
    )
    parser.add_argument(
        "--disk-gb", type=positive, default=2, metavar="X", help="disk for uploads and results (default: %(default)s)"
    )
    parser.add_argument(
        "--proxies",
        metavar="LIST",
        help="addresses and networks of proxies that are believed when they say in X-Forwarded-For who a client is "
        "(default: this machine's, on a Space also its private network's)",
    )
    parser.add_argument("--mcp", action="store_true", help="also serve agents (MCP); needs pip install '.[mcp]'")
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio's servers")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    def work() -> int:
        memory.use_few_arenas()
        from sr_model import ui  # importing gradio takes seconds, which --help should not

        examples = Path(__file__).parent / "examples"
        budget = int(options.disk_gb * 1e9)
        page = ui.build_app(
            options.weights, options.device, examples, options.engine, options.max_seconds, disk_budget=budget
        )
        # What is there by now stays. Looking through it for garbage would stop all threads for 0.2 s, again and again.
        gc.collect()
        gc.freeze()
        page.launch(options.port, options.proxies, options.mcp, server_name=options.host, share=options.share)
        return 0

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
