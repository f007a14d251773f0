"""The addresses beside /v1/predict: the models, health, metrics, the API's description and the page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from simplecell.serve import openapi, options
from simplecell.serve.house import House
from simplecell.serve.metrics import Metrics, gauge
from simplecell.serve.problem import Problem, busy

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; media-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_FOR_PAGES = {"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"}
#: By a file's suffix. The system's own table differs from machine to machine.
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}


@dataclass
class ModelTold:
    """A net that is served.

    fingerprint: sha256 of its file; it changes when the file does. options: of /v1/predict, by name.
    shows: whether there are pictures that go with an answer.
    """

    name: str
    task: str
    fingerprint: str
    options: dict[str, dict[str, Any]]
    shows: bool
    classes: list[str] | None
    input: Any


@dataclass
class Models:
    """All nets that are served."""

    models: list[ModelTold]


@dataclass
class State:
    """alive, or ready."""

    status: str


class PageFile(NamedTuple):
    """One file of the page, in memory: no address leads to a disk."""

    content: bytes
    type: str
    tag: str


def application(house: House, metrics: Metrics, stopping: Callable[[], bool]) -> FastAPI:
    """What stands behind the gate. stopping: whether the server is about to end."""
    app = FastAPI(title="simplecell", docs_url=None, redoc_url=None)
    files = dict(_files(resources.files("simplecell.serve") / "page"))

    async def models() -> Models:
        """The nets that are served, with the options that each takes."""
        return told(house)

    async def alive() -> State:
        """Whether the process answers."""
        return State("alive")

    async def ready() -> State:
        """Whether pictures are taken. 503 while the server stops."""
        if stopping():
            raise busy("The server is stopping; ask the one that follows it.", 1)
        return State("ready")

    async def counted() -> Response:
        """What was counted since the start, as Prometheus reads it."""
        lines = [*metrics.lines(), *_as_it_is(house, ready=not stopping())]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def docs() -> Response:
        page, policy = openapi.page(app.openapi())
        return HTMLResponse(page, headers={**_FOR_PAGES, "Content-Security-Policy": policy})

    async def page(request: Request) -> Response:
        return _page_file(files, request)

    plain = {"response_model_exclude_none": True}
    app.add_api_route("/v1/models", models, **plain, responses=openapi.problems(401, 403))
    app.add_api_route("/healthz", alive)
    app.add_api_route("/readyz", ready, responses=openapi.problems(503))
    text = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
    app.add_api_route(
        "/metrics", counted, response_class=PlainTextResponse, responses=text | openapi.problems(401, 403)
    )
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_route("/", page, include_in_schema=False)
    app.add_route("/page/{name:path}", page, include_in_schema=False)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _no_answer)
    app.openapi = partial(openapi.document, app, house)
    return app


def told(house: House) -> Models:
    """The models as they are now."""
    return Models(
        [
            ModelTold(
                name=name,
                task=slot.model.task,
                fingerprint=slot.model.fingerprint,
                options=options.describe(slot.model.ask),
                shows=slot.model.show is not None,
                classes=slot.model.about.get("classes"),
                input=slot.model.about.get("input"),
            )
            for name, slot in house.slots.items()
        ]
    )


def _as_it_is(house: House, ready: bool) -> Iterator[str]:
    """Metrics that are read off rather than counted."""
    slots = house.slots.items()
    yield from gauge("simplecell_ready", "Whether pictures are taken: 1 or 0.", (), {(): int(ready)})
    yield from gauge(
        "simplecell_queue_pictures",
        "Pictures that wait for the net.",
        ("model",),
        {(name,): slot.batcher.waiting for name, slot in slots},
    )
    yield from gauge(
        "simplecell_model_info",
        "The nets that are served.",
        ("model", "task", "fingerprint"),
        {(name, slot.model.task, slot.model.fingerprint): 1 for name, slot in slots},
    )


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, PageFile]]:
    """The page's files by their addresses below /page/."""
    if not folder.is_dir():
        return
    for each in folder.iterdir():
        kind = _TYPES.get(each.name.rpartition(".")[2])
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        elif kind is not None:
            content = each.read_bytes()
            yield (
                f"{prefix}{each.name}",
                PageFile(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"'),
            )


def _page_file(files: dict[str, PageFile], request: Request) -> Response:
    found = files.get(request.path_params.get("name", "index.html"))
    if found is None:
        raise HTTPException(404)
    headers = {
        **_FOR_PAGES,
        "Content-Security-Policy": _PAGE_POLICY,
        "Cache-Control": "no-cache",
        "ETag": found.tag,
    }
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.type, headers=headers)


async def _problem(request: Request, problem: Problem) -> Response:
    headers = {name.decode(): value.decode() for name, value in problem.headers}
    return Response(problem.content(), problem.status, headers, "application/problem+json")


async def _no_answer(request: Request, error: HTTPException) -> Response:
    """The framework's own refusals: there is no such address, or it is not asked so."""
    details = {404: "There is nothing at this address.", 405: "This address is not asked by this method."}
    problem = Problem(error.status_code, details.get(error.status_code, "The request was refused."))
    problem.headers += [(name.encode(), value.encode()) for name, value in (error.headers or {}).items()]
    return await _problem(request, problem)
