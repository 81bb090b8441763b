"""Routes beside Gradio's: the page's own scripts and styles, and downloads of results in other formats."""

import threading

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sr_model.errors import SRError
from sr_model.ui.cache import Store
from sr_model.ui.serving import downloads
from sr_model.ui.serving.assets import UI, Assets, assets_path


def routes(store: Store) -> list[BaseRoute]:
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

    return [
        Mount(f"/{assets_path()}", Assets(directory=UI), name="sr-assets"),
        Route("/sr-download", download),
    ]
