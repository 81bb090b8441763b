"""Upload weights to a repository on the Hugging Face Hub."""

import argparse
from functools import partial
from pathlib import Path

from sr_model.models import hub, weights


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to `python -m sr_model`."""
    parser = commands.add_parser("push", help="upload weights to a repository on the Hugging Face Hub")
    parser.add_argument("names", nargs="*", metavar="PRESET", help="such as base or base-x2 (default: all there are)")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="made if it is missing")
    parser.add_argument("--weights", type=Path, default=weights.SHIPPED, metavar="FOLDER", help="(default: weights)")
    parser.add_argument("--private", action="store_true", help="make a missing repository private")
    parser.add_argument("--revision", default="", metavar="BRANCH", help="made if it is missing (default: main)")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead of committing")
    parser.add_argument("--image", type=Path, metavar="FILE", help="photo for the panels (default: an example)")
    parser.set_defaults(work=_run)


def _run(options: argparse.Namespace) -> int:
    from sr_model.publishing.push import PHOTO, Target, push

    repo = hub.parse_or_refuse("--repo", options.repo, options.revision)
    photo = options.image or (PHOTO if PHOTO.exists() else None)
    target = Target(repo, options.private, options.create_pr)
    print(push(options.weights, options.names, target, photo, partial(print, flush=True)))
    return 0
