"""Create or update a Space on the Hugging Face Hub that serves the page."""

import argparse

from sr_model.models import hub


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("deploy", help="create or update a Space that serves the page")
    parser.add_argument("space", metavar="OWNER/NAME", help="made if it is missing")
    parser.add_argument("--hardware", metavar="NAME", help="such as cpu-basic or zero-a10g (default: as it is)")
    parser.add_argument("--private", action="store_true", help="make a missing Space private")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    from sr_model.publishing import space

    repo = hub.parse_or_refuse("deploy", options.space)
    print(space.deploy(repo, space.files(space.shown_examples()), options.hardware, options.private))
    return 0
