"""A changed file takes the place of the one before, while requests go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simplecell.errors import UserError
from simplecell.predictions import Values
from simplecell.serve import house
from simplecell.serve.model import Model, Source
from tests.serve.serving import MODEL, Running, form, png, running, until, write


def stored(path: Path) -> Source:
    """A net that adds the number in its file, and whose fingerprint is that number."""

    def load() -> Model:
        try:
            number = int(path.read_text())
        except ValueError:
            raise UserError("this is no number", where=path, remedy="write one") from None

        def answer(pairs: Any, ask: Any) -> Any:
            return [Values(name, {"level": int(picture[0, 0, 0]) + number}) for name, picture in pairs]

        return replace(MODEL, fingerprint=str(number), answer=answer)

    return Source("net", path, load)


def reloads(server: Running, outcome: str) -> float:
    return server.metric(f'simplecell_reloads_total{{model="net",outcome="{outcome}"}}')


@pytest.fixture
def changing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Running, Path]]:
    monkeypatch.setattr(house, "LOOK", 0.02)
    file = tmp_path / "net"
    write(file, 0)
    with running(stored(file)) as server:
        yield server, file


def test_a_changed_file_answers_and_no_request_is_lost_or_mixed(changing: tuple[Running, Path]) -> None:
    """Under load: each answer is of one net, whose fingerprint it tells, and time does not go back."""
    server, file = changing
    stop = threading.Event()
    faults: list[str] = []
    seen: list[list[int]] = []

    def client() -> None:
        connection = server.connect()
        numbers = []
        body, headers = form(*[("x.png", png(k)) for k in range(20)])
        while not stop.is_set():
            answer = server.ask(body=body, headers=headers, over=connection)
            number = int(answer.json["fingerprint"]) if answer.status == 200 else -1
            if answer.levels != [k + number for k in range(20)]:
                faults.append(answer.body.decode())
            numbers.append(number)
        connection.close()
        seen.append(numbers)

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    for version in (1000, 2000, 3000):
        write(file, version)
        until(lambda version=version: reloads(server, "loaded") == version / 1000)  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert all(numbers == sorted(numbers) for numbers in seen)
    assert server.ask(body=png(1)).levels == [3001]


def test_a_file_that_cannot_be_loaded_leaves_the_net_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(house, "LOOK", 0.02)
    file = tmp_path / "net"
    write(file, 0)
    with running(stored(file)) as server:
        write(file, "broken")
        until(lambda: reloads(server, "failed") == 1)
        assert server.ask(body=png(1)).levels == [1]
        assert server.ask("/readyz").status == 200
        file.unlink()  # and then it is gone: nothing to load
        write(file, 5000)
        until(lambda: reloads(server, "loaded") == 1)
        assert server.ask(body=png(1)).levels == [5001]
        assert reloads(server, "failed") == 1  # told once, not at every look
    said = [line for line in capfd.readouterr().err.splitlines() if "cannot be loaded" in line]
    assert len(said) == 1
    assert "this is no number" in said[0]


def test_a_batch_that_has_begun_ends_with_the_net_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house, "LOOK", 0.02)
    file = tmp_path / "net"
    write(file, 1)
    began, go = threading.Event(), threading.Event()
    plain = stored(file)

    def load() -> Model:
        model = plain.load()
        if model.fingerprint != "1":
            return model

        def answer(pairs: Any, ask: Any) -> Any:
            began.set()
            assert go.wait(30)
            return model.answer(pairs, ask)

        return replace(model, answer=answer)

    with running(replace(plain, load=load)) as server:
        got: list[Any] = []
        thread = threading.Thread(target=lambda: got.append(server.ask(body=png(0))))
        thread.start()
        assert began.wait(20)
        write(file, 2)
        until(lambda: reloads(server, "loaded") == 1)
        go.set()
        thread.join()
        assert got[0].json["fingerprint"] == "1"
        assert got[0].levels == [1]
        assert server.ask(body=png(0)).json["fingerprint"] == "2"


def test_a_file_that_is_still_being_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once two looks have found it the same."""
    file = tmp_path / "net"
    write(file, 0)
    looks = iter([(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (4, 4, 1), (4, 4, 1)])
    found: list[tuple[int, int, int]] = []

    def stamp(path: Path | None) -> tuple[int, int, int]:
        found.append(next(looks, (4, 4, 1)))
        return found[-1]

    loads: list[int] = []
    plain = stored(file)

    def load() -> Model:
        loads.append(len(found))
        return plain.load()

    monkeypatch.setattr(house, "LOOK", 0.01)
    monkeypatch.setattr(house, "stamp", stamp)
    with running(replace(plain, load=load)):
        until(lambda: len(found) > 10)
    assert loads == [1, 5]


def test_a_model_that_cannot_be_loaded_at_the_start_is_told(tmp_path: Path) -> None:
    file = tmp_path / "net"
    file.write_text("broken")
    with pytest.raises(UserError, match="this is no number"), running(stored(file)):
        pass


def test_two_models_of_one_name_are_told(tmp_path: Path) -> None:
    file = tmp_path / "net"
    write(file, 0)
    with pytest.raises(UserError, match="two models are named net"), running(stored(file), stored(file)):
        pass
