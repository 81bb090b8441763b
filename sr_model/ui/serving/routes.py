"""Routes beside Gradio's: the page's own scripts and styles, and downloads of results, alone or together."""

import threading
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from sr_model.errors import SRError
from sr_model.models import weights
from sr_model.ui.cache import Store
from sr_model.ui.device import offered
from sr_model.ui.jobs import inside
from sr_model.ui.serving import downloads, zips
from sr_model.ui.serving.assets import UI, YEAR, Assets, assets_path
from sr_model.ui.serving.crowd import Crowd
from sr_model.ui.serving.health import health
from sr_model.ui.upscalers import Upscalers

NETWORKS = "sr-networks"


def routes(store: Store, upscalers: Upscalers, crowd: Crowd) -> list[BaseRoute]:
    """For the server's `routes`."""
    turn = threading.Semaphore(1)  # encoding takes a whole processor

    def encoded(query: downloads.Query) -> downloads.File:
        with turn:
            return downloads.make(store, query)

    async def download(request: Request) -> Response:
        try:
            file = await run_in_threadpool(encoded, downloads.Query.of(dict(request.query_params)))
        except SRError as error:
            return PlainTextResponse(str(error), status_code=400)
        except FileNotFoundError:
            return PlainTextResponse(downloads.GONE, status_code=404)
        headers = {"content-disposition": f'attachment; filename="{file.name}"', "cache-control": "no-store"}
        return Response(file.data, media_type=file.media_type, headers=headers)

    async def together(request: Request) -> Response:
        try:
            zipped = await run_in_threadpool(zips.zipped, store, request.query_params.get("many", ""))
        except FileNotFoundError:
            return PlainTextResponse(downloads.GONE, status_code=404)
        headers = {
            "content-disposition": f'attachment; filename="{zipped.name}"',
            "content-length": str(zipped.length),
            "cache-control": "no-store",
        }
        return StreamingResponse(zipped.chunks, media_type="application/zip", headers=headers)

    async def state(request: Request) -> Response:
        value = await run_in_threadpool(health, store, upscalers, crowd)
        return JSONResponse(value, 200 if value["ready"] else 503, headers={"cache-control": "no-store"})

    def drawn(query: dict[str, str]) -> bytes:
        scale = query.get("scale", "")
        preset, times = inside.network_of(query.get("preset"), int(scale) if scale.isdecimal() else scale, upscalers)
        return inside.drawing(preset, times, upscalers.place.folder)

    async def drawing(request: Request) -> Response:
        try:
            data = await run_in_threadpool(drawn, dict(request.query_params))
        except SRError as error:
            return PlainTextResponse(str(error), status_code=404)
        return Response(data, media_type="image/svg+xml", headers={"cache-control": "no-cache"})

    return [
        Mount(f"/{assets_path()}", Assets(directory=UI), name="sr-assets"),
        Route("/sr-download", download),
        Route("/sr-zip", together),
        Route("/sr-drawing", drawing),
        Route("/health", state),
        *_networks(upscalers),
    ]


def network_address(preset: str, scale: int) -> str:
    """Where the page finds what a browser must know of a network."""
    return f"{NETWORKS}/{weights.name(preset, scale)}.json"


def _networks(upscalers: Upscalers) -> list[BaseRoute]:
    """What browsers need to run the networks themselves: descriptions, which are fresh, and files, kept for ever."""
    files = offered.NetworkFiles(upscalers.place.folder)

    def answering(work: Callable[[str, int], Response]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                return await run_in_threadpool(work, request.path_params["preset"], request.path_params["scale"])
            except SRError as error:
                return PlainTextResponse(str(error), status_code=404)

        return answer

    def described(preset: str, scale: int) -> Response:
        seconds = upscalers.seconds(preset, scale, 1)  # refuses what is not offered
        card = weights.read_card(preset, scale, upscalers.place.folder)
        file = f"{card.sha256[:12]}/{weights.name(preset, scale)}.onnx"
        value = offered.describe(preset, scale, upscalers.place.folder, file)
        return JSONResponse({**value, "server": seconds}, headers={"cache-control": "no-cache"})

    def file(preset: str, scale: int) -> Response:
        headers = {"cache-control": f"public, max-age={YEAR}, immutable"}
        return Response(files.get(preset, scale), media_type="application/octet-stream", headers=headers)

    return [
        Route(f"/{NETWORKS}/{{preset}}-x{{scale:int}}.json", answering(described)),
        Route(f"/{NETWORKS}/{{version}}/{{preset}}-x{{scale:int}}.onnx", answering(file)),
    ]
