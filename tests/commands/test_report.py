"""report: written at the end of every run, on demand, and served while a run trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from simplecell.cli import main
from simplecell.commands import live
from simplecell.commands.opening import open_net
from simplecell.commands.report import evidence_of, make_report, write_report
from simplecell.commands.train import new_run, run_training
from simplecell.errors import UserError
from simplecell.run import Run
from simplecell.tasks.classify import Classify

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tasks"))

from fixtures.bank import Bank
from pages import Page, requests


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_training(Classify.tiny(), tmp_path_factory.mktemp("runs") / "bars")


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


# ---- the file


def test_every_run_ends_with_its_report(finished: Run) -> None:
    text = (finished.path / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.faults == []
    assert requests(text) == []
    anchors = {value for tag, name, value in page.attributes if (tag, name) == ("section", "id")}
    assert {"figures", "data", "training", "confusion", "cost", "settings", "environment"} <= anchors


def test_report_writes_the_page_again_and_tells_where(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "page.html"
    status, out, _ = said(capsys, "report", finished.path, "-o", target)
    assert (status, out) == (0, f"{target}\n")
    # Nothing in it is made up: the page that was written when the training ended is the same.
    assert target.read_text("utf-8") == (finished.path / "report.html").read_text("utf-8")


def test_report_answers_in_json(finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "report", finished.path, "-o", tmp_path / "p.html", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["bytes"] == (tmp_path / "p.html").stat().st_size
    assert told["accuracy"]["value"] is not None


def test_a_run_that_has_not_stepped_has_a_page_of_its_settings(tmp_path: Path) -> None:
    path = make_report(new_run(Classify.tiny(), tmp_path / "run"))
    page = Page(path.read_text("utf-8"))
    assert page.faults == []
    assert "No step has been recorded yet." in page.text
    assert "begun" in page.text


def test_a_task_without_sections_has_the_general_page(tmp_path: Path) -> None:
    assert not hasattr(Bank, "sections")
    run = run_training(Bank.tiny(), tmp_path / "run")
    page = Page((run.path / "report.html").read_text("utf-8"))
    assert page.faults == []
    assert "96 train, 32 validation, 32 test examples." in page.text


def test_rows_that_are_at_hand_are_not_measured_again(finished: Run) -> None:
    opened = open_net(finished.path)
    splits = opened.task.load()
    known = {"test": {"id": ["a"]}}
    evidence = evidence_of(finished, opened.task, opened.net, splits, opened.device, known)
    assert evidence.rows("test") is known["test"]
    assert evidence.rows("validation") is evidence.rows("validation")
    assert list(evidence.rows("validation")["id"]) == list(splits.validation.ids)


def test_writing_a_report_leaves_the_net_in_the_mode_it_had(finished: Run, tmp_path: Path) -> None:
    opened = open_net(finished.path)
    opened.net.train()
    weights = [parameter.requires_grad for parameter in opened.net.parameters()]
    write_report(
        finished, opened.task, opened.net, opened.task.load(), opened.device, path=tmp_path / "p.html"
    )
    assert all(module.training for module in opened.net.modules())
    assert [parameter.requires_grad for parameter in opened.net.parameters()] == weights


def test_other_data_than_the_run_was_made_with_are_refused(finished: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(finished.path, tmp_path / "run")
    data = json.loads((folder / "data.json").read_text("utf-8"))
    (folder / "data.json").write_text(json.dumps({**data, "digest": "another"}), "utf-8")
    before = (folder / "report.html").read_bytes()
    with pytest.raises(UserError, match="not those that this run was made with"):
        make_report(Run(folder))
    assert (folder / "report.html").read_bytes() == before


def test_bad_words_get_their_sentence(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = said(capsys, "report", tmp_path)
    assert (status, out) == (2, "")
    assert "this is no run folder" in err
    status, out, err = said(capsys, "report", finished.path, "-o", tmp_path / "no" / "such" / "p.html")
    assert (status, out) == (2, "")
    assert "p.html: the page cannot be written" in err
    assert list(tmp_path.iterdir()) == []


# ---- the comparison


def test_runs_are_compared_on_a_page(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = new_run(Classify.tiny(), tmp_path / "other")
    status, out, _ = said(capsys, "runs", finished.path, other.path, "--html", tmp_path / "both.html")
    assert (status, out) == (0, f"{tmp_path / 'both.html'}\n")
    text = (tmp_path / "both.html").read_text("utf-8")
    assert Page(text).faults == []
    assert requests(text) == []
    assert "A bars, B other" in Page(text).text


def test_a_comparison_of_one_run_is_refused(
    finished: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = said(capsys, "runs", finished.path, "--html", tmp_path / "one.html")
    assert status == 2
    assert "--html: a comparison is of two runs or more" in err
    assert not (tmp_path / "one.html").exists()


# ---- live


class Client:
    """Asks a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def progress(self, seen: str = "") -> dict[str, Any]:
        return json.loads(self.get(f"/progress?seen={seen}")[1])  # type: ignore[no-any-return]


@contextmanager
def served(run: Run) -> Iterator[Client]:
    with live.server(run, 0) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Client(running.server_port)
        finally:
            running.shutdown()
            thread.join()


def test_the_live_page_follows_a_run_as_its_folder_grows(finished: Run, tmp_path: Path) -> None:
    run = new_run(Classify.tiny(), tmp_path / "run")
    with served(run) as client:
        status, text = client.get("/")
        assert status == 200
        assert Page(text).faults == []
        assert requests(text) == []
        first = client.progress()
        assert first["status"] == "The data are being read."
        assert not first["report"]
        assert "html" not in client.progress(first["seen"])

        shutil.copyfile(finished.path / "data.json", run.path / "data.json")
        second = client.progress(first["seen"])
        assert second["status"] == "Waiting for the first step."
        assert "<svg" not in second["html"]

        lines = (finished.path / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
        (run.path / "metrics.jsonl").write_text("".join(lines[:3]), "utf-8")
        third = client.progress(second["seen"])
        assert third["status"].startswith(f"Epoch {json.loads(lines[2])['epoch']:g} of 6")
        assert "<svg" in third["html"]
        (run.path / "metrics.jsonl").write_text(
            "".join(lines[:5]) + lines[5][:9], "utf-8"
        )  # one is half written
        assert client.progress(third["seen"])["html"] != third["html"]

        shutil.copyfile(finished.artefact, run.artefact)
        told = client.progress()
        assert (told["status"], told["report"]) == ("Finished; its report is being written.", False)
        assert client.get("/report")[0] == 404
        shutil.copyfile(finished.path / "report.html", run.path / "report.html")
        told = client.progress()
        assert (told["status"], told["report"]) == ("Finished.", True)
        report = (finished.path / "report.html").read_text("utf-8")
        assert client.get("/report") == (200, report)
        assert client.get("/") == (200, report)


def test_a_run_trains_while_it_is_served_and_its_lock_is_left_alone(tmp_path: Path) -> None:
    run = new_run(Classify.tiny(), tmp_path / "run")
    command = [sys.executable, "-m", "simplecell", "resume", str(run.path), "--json"]
    told = []
    with served(run) as client, run.lock():
        assert client.progress()["status"] == "The data are being read."
    with served(run) as client, subprocess.Popen(command, stdout=subprocess.PIPE) as training:
        for _ in range(1200):
            told.append(client.progress())
            if told[-1]["report"] or training.poll() not in (None, 0):
                break
            time.sleep(0.02)
        assert training.wait(30) == 0
        assert told[-1]["report"]
    assert any(news["status"].startswith("Epoch") for news in told)


def test_a_run_without_news_says_so(finished: Run, tmp_path: Path) -> None:
    run = new_run(Classify.tiny(), tmp_path / "run")
    shutil.copyfile(finished.path / "metrics.jsonl", run.path / "metrics.jsonl")
    assert "no news" not in live.status(run)
    long_ago = time.time() - 600
    os.utime(run.path / "metrics.jsonl", (long_ago, long_ago))
    assert "no news for 10 minutes" in live.status(run)


def test_the_live_page_is_for_this_machine_alone(finished: Run) -> None:
    with served(finished) as client:
        assert client.get("/", Host="evil.example:80")[0] == 403
        assert client.get("/", Host=f"localhost:{client.port}")[0] == 200
        assert client.get("/../settings.toml")[0] == 404
        assert client.get("/settings.toml")[0] == 404
    with live.server(finished, 0) as running:
        assert running.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_or_is_none_gets_its_sentence(
    finished: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = said(capsys, "report", finished.path, "--live", "--port", port)
    assert status == 2
    assert f"port {port} cannot be had" in err
    assert said(capsys, "report", finished.path, "--live", "--port", "70000")[0] == 2


@pytest.mark.parametrize("words", [["--out", "page.html"], ["--json"]])
def test_a_page_that_is_served_is_not_written_too(
    finished: Run, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    status, out, err = said(capsys, "report", finished.path, "--live", *words)
    assert (status, out) == (2, "")
    assert f"{words[0]}: a page that is served is not written" in err


def test_ctrl_c_ends_the_live_page_with_status_0(finished: Run) -> None:
    command = [sys.executable, "-m", "simplecell", "report", str(finished.path), "--live", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as serving:
        assert serving.stderr is not None
        line = serving.stderr.readline()
        port = int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
        assert Client(port).get("/report")[0] == 200
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
