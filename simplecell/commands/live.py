"""report --live: the page of a run while it trains, served on this machine alone."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from simplecell.commands import eyes
from simplecell.commands.report import PAGE, make_report, record_of
from simplecell.errors import UserError
from simplecell.run import Run

_HOST = "127.0.0.1"
#: Seconds without a line in the journal after which the page says so. An epoch writes ten.
_QUIET_AFTER = 120


def serve(run: Run, port: int) -> int:
    """Serve until Ctrl-C. Reads the run folder, never its lock: the training is not disturbed."""
    if run.finished and not (run.path / PAGE).is_file():
        make_report(run)
    with server(run, port) as running:
        eyes.say(f"the page of {run.path}: http://{_HOST}:{running.server_port}/ (Ctrl-C ends this)")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            eyes.say("stopped.")
    return 0


def server(run: Run, port: int) -> ThreadingHTTPServer:
    """A server of the page, bound to ``port`` (0: any that is free). Raises UserError where it is taken."""

    class Handler(_Handler):
        pass

    Handler.run = run
    try:
        return ThreadingHTTPServer((_HOST, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise UserError(
            f"port {port} cannot be had ({reason})", where="--port", remedy="name another, or 0 for any"
        ) from None


class _Handler(BaseHTTPRequestHandler):
    """``/`` is the page, ``/progress`` its news as JSON, ``/report`` the report once it is there."""

    run: Run

    def do_GET(self) -> None:
        # A page of the web must not read this one through a name of its own that leads here.
        name = self.headers.get("Host", "").rpartition(":")[0]
        if name not in (_HOST, "localhost"):
            return self._send(403, "text/plain", "only for this machine")
        where = urlsplit(self.path)
        report = self.run.path / PAGE
        finished = self.run.finished and report.is_file()
        if where.path == "/progress":
            seen = parse_qs(where.query).get("seen", [""])[0]
            return self._send(200, "application/json", json.dumps(progress(self.run, seen)))
        if where.path == "/report" and finished:
            return self._send(200, "text/html", report.read_text("utf-8"))
        if where.path == "/":
            return self._send(200, "text/html", report.read_text("utf-8") if finished else page(self.run))
        return self._send(404, "text/plain", "there is nothing here")

    def _send(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Nobody wants a line for each question."""


def page(run: Run) -> str:
    """The page of a run that has not finished."""
    from simplecell.report.general import live_page

    return live_page(record_of(run, "running"), status(run))


def progress(run: Run, seen: str) -> dict[str, Any]:
    """The news: "status" in words, "report" (whether it is there), and "html" where it is not as ``seen``."""
    from simplecell.report.general import live_sections

    told: dict[str, Any] = {"status": status(run), "report": run.finished and (run.path / PAGE).is_file()}
    stamp = _stamp(run)
    if stamp != seen:
        told |= {"seen": stamp, "html": str(live_sections(record_of(run, "running")))}
    return told


def status(run: Run) -> str:
    """How far a run is, in a sentence."""
    if run.finished:
        ready = (run.path / PAGE).is_file()
        return "Finished." if ready else "Finished; its report is being written."
    journal = run.path / "metrics.jsonl"
    lines = run.metrics()
    if not lines:
        begun = (run.path / "data.json").is_file()
        return "Waiting for the first step." if begun else "The data are being read."
    table = run.settings()
    epochs = {**table["settings"].get("training", {}), **table.get("measured", {})}.get("epochs")
    last = lines[-1]
    told = f"Epoch {last.get('epoch', 0):g}" + (f" of {epochs:g}" if isinstance(epochs, float) else "")
    quiet = time.time() - journal.stat().st_mtime
    if quiet > _QUIET_AFTER:
        return f"{told}; no news for {quiet / 60:.0f} minutes. If it was stopped, resume goes on with it."
    return f"{told}, stage {last['stage']}."


def _stamp(run: Run) -> str:
    """Changes whenever what the page shows may have changed."""
    names = ("settings.toml", "data.json", "metrics.jsonl", "model.safetensors")
    sizes = [path.stat().st_size if (path := run.path / name).is_file() else -1 for name in names]
    return "-".join(map(str, sizes))
