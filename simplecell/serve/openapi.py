"""The API's description: what the framework knows of itself, and by hand what /v1/predict takes and tells."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from simplecell.serve import options

if TYPE_CHECKING:
    from simplecell.serve.house import House

_ABOUT = (
    "Answers of trained nets for pictures. Pictures of different requests are given to the net together; "
    "each request gets its own answers, in the order of its pictures."
)
_REASONS = {
    400: "The request or an option is wrong.",
    401: "The token is missing or wrong.",
    403: "A page of another site asks, which was not allowed.",
    404: "There is no model of that name.",
    408: "The request was not sent in time.",
    413: "The body, a picture or the number of pictures is too large.",
    415: "The body is of a kind that is not taken.",
    422: "A picture cannot be read.",
    500: "The net or the server failed.",
    503: "Too much waits, or the server is stopping; Retry-After tells the seconds.",
    504: "There was no answer in time.",
}
_PICTURE = {"type": "string", "format": "binary"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "one sentence"},
    },
}
_SHOWN = {
    "type": "object",
    "required": ["caption", "picture"],
    "properties": {
        "caption": {"type": "string"},
        "picture": {"type": "string", "description": "a PNG as data: address"},
    },
}
_PREDICTIONS = {
    "type": "object",
    "required": ["model", "task", "fingerprint", "predictions"],
    "properties": {
        "model": {"type": "string"},
        "task": {"type": "string"},
        "fingerprint": {"type": "string", "description": "of the net that answered, all pictures alike"},
        "predictions": {
            "type": "array",
            "description": "one for each picture, in order; what else each has depends on the task",
            "items": {
                "type": "object",
                "required": ["path"],
                "properties": {
                    "path": {"type": "string", "description": "the name that the picture came with"},
                    "class": {"type": ["string", "null"], "description": "null where it was rejected"},
                    "score": {"type": "number"},
                    "top": {"type": "array", "items": {"type": "object"}},
                    "shown": {"type": "array", "items": _SHOWN},
                },
            },
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals, as they are described."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _REASONS[status], "content": content} for status in statuses}


def document(app: FastAPI, house: House) -> dict[str, Any]:
    """The description of the API with the nets that are served now."""
    told: dict[str, Any] = get_openapi(title="simplecell", version="1", description=_ABOUT, routes=app.routes)
    told["paths"] = {"/v1/predict": {"post": _predict(house)}, **told["paths"]}
    told["components"]["schemas"] |= {"Problem": _PROBLEM, "Predictions": _PREDICTIONS}
    told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path in ("/v1/predict", "/v1/models", "/metrics"):
        for operation in told["paths"][path].values():
            operation["security"] = [{}, {"token": []}]  # only where the server was given one
    return told


def _predict(house: House) -> dict[str, Any]:
    several = len(house.slots) > 1
    parameters: dict[str, dict[str, Any]] = {
        "model": {
            "required": several,
            "description": "the net that shall answer",
            "schema": {"type": "string", "enum": list(house.slots)},
        },
        "show": {
            "description": "also give the pictures that go with an answer",
            "schema": {"type": "boolean", "default": False},
        },
    }
    for name, slot in house.slots.items():
        for option, schema in options.schema(slot.model.ask).items():
            # Nets of several tasks may have options of one name; each is checked by the net that is asked.
            known = parameters.setdefault(option, {"description": f"of {name}: {schema['description']}"})
            known.setdefault("schema", {"anyOf": []})["anyOf"].append(schema)
    return {
        "summary": "Ask a net about pictures",
        "operationId": "predict",
        "parameters": [{"name": name, "in": "query", **rest} for name, rest in parameters.items()],
        "requestBody": {
            "required": True,
            "description": "One picture as it is, or a form with files, of any field names: "
            "JPEG, PNG, GIF, WebP, BMP, TIFF or PPM, judged by content.",
            "content": {
                "application/octet-stream": {"schema": _PICTURE},
                "image/*": {"schema": _PICTURE},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "additionalProperties": {"anyOf": [_PICTURE, {"type": "array", "items": _PICTURE}]},
                    }
                },
            },
        },
        "responses": {
            "200": {
                "description": "The answers.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Predictions"}}},
            },
            **{str(status): told for status, told in problems(*_REASONS).items()},
        },
    }


_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
    "padding:0 1rem}code,pre{font:14px/1.5 ui-monospace,monospace}pre{overflow-x:auto}"
    "h2{margin-top:2rem}dt{font-weight:600}dd{margin:0 0 .5rem 1.5rem}"
)


def page(told: Mapping[str, Any]) -> tuple[str, str]:
    """The description as a page that asks for nothing else, and its Content-Security-Policy."""
    parts = []
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation.get('description') or operation['summary'])}</p>")
            body = operation.get("requestBody", {}).get("description")
            parts.append(f"<p>Body: {html.escape(body)}</p>" if body else "")
            parts.append(_list("Query", {p["name"]: _of(p) for p in operation.get("parameters", [])}))
            replies = operation["responses"].items()
            parts.append(_list("Answers", {status: reply["description"] for status, reply in replies}))
    example = "curl --data-binary @photo.jpg 'http://localhost:8000/v1/predict?top=3'"
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{html.escape(told['info']['title'])}</title>"
        f"<meta name=viewport content='width=device-width, initial-scale=1'><style>{_STYLE}</style>"
        f"<h1>{html.escape(told['info']['title'])}</h1><p>{html.escape(told['info']['description'])}</p>"
        f"<pre>{html.escape(example)}</pre>"
        f"<p>For programs: <a href=openapi.json>openapi.json</a>.</p>{''.join(parts)}</html>"
    )
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    return text, policy


def _of(parameter: Mapping[str, Any]) -> str:
    """What a parameter is for and what it may be."""
    schema = parameter["schema"]
    kinds = schema.get("anyOf", [schema])
    shown = [{k: v for k, v in kind.items() if k != "description"} for kind in kinds]
    return (
        f"{parameter['description']}: {' or '.join(json.dumps(each, ensure_ascii=False) for each in shown)}"
    )


def _list(title: str, rows: Mapping[str, str]) -> str:
    if not rows:
        return ""
    items = "".join(
        f"<dt><code>{html.escape(name)}</code></dt><dd>{html.escape(text)}</dd>"
        for name, text in rows.items()
    )
    return f"<h3>{title}</h3><dl>{items}</dl>"
