"""The page's own scripts, styles and words, under an address that changes with them."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

UI = Path(__file__).parents[1]
SERVED = (".js", ".css", ".json", ".gz")  # .gz: what the page unpacks itself
YEAR = 365 * 24 * 3600
STYLES = sorted(UI.glob("*/*.css"))  # Gradio puts them into the page


class Assets(StaticFiles):
    """The scripts and styles below a folder, and nothing else of it; kept by browsers until the version changes."""

    def lookup_path(self, path: str) -> Any:
        return super().lookup_path(path) if path.endswith(SERVED) else ("", None)

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["cache-control"] = f"public, max-age={YEAR}, immutable"
        return answer


@cache
def version() -> str:
    """A name for the assets as they are now."""
    digest = hashlib.sha256()
    for path in sorted(path for path in UI.rglob("*") if path.suffix in SERVED):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def assets_path() -> str:
    """Where the assets are, below the page's address."""
    return f"sr-assets/{version()}"
