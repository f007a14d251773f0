"""The command table. Nothing heavy is imported until a command is chosen."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, Parameter

from simplecell.errors import UserError
from simplecell.tasks import TASKS

_LINE = "simplecell.commands.line"

#: Word → (function, one line). Those without are made when chosen: their flags are settings.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("", "Train a net for a task: simplecell train TASK DATA"),
    "resume": (f"{_LINE}:resume", "Go on with a run where it was cut off, exactly"),
    "repeat": (f"{_LINE}:repeat", "Train again from a run's settings"),
    "evaluate": (f"{_LINE}:evaluate", "The figures of a trained net, with intervals"),
    "predict": ("", "What a trained net answers for pictures"),
    "report": (f"{_LINE}:report", "The page of a run: what happened, in one file; --live while it trains"),
    "export": (f"{_LINE}:export", "A trained net as a file that answers without simplecell"),
    "serve": ("", "A web page and a JSON endpoint that answer pictures"),
    "inspect": (f"{_LINE}:look_into", "A picture as numbers, a net layer by layer, a run from inside"),
    "runs": (f"{_LINE}:runs", "List and compare runs"),
    "data": ("", "Fetch data, check what is wrong with them, divide them"),
    "reproduce": (f"{_LINE}:reproduce", "A published figure beside ours, trained again"),
    "demo": (f"{_LINE}:demo", "The whole path on the MNIST that the package carries"),
    "doctor": (f"{_LINE}:doctor", "Verify the install"),
    "complete": ("simplecell.cli:complete", "Print the completion script of a shell"),
}
DATA: dict[str, tuple[str, str]] = {
    "get": ("simplecell.commands.data:get", "Fetch a data set by name, by checksum"),
    "check": ("simplecell.commands.data:check", "What is wrong with this data"),
    "split": ("simplecell.commands.data:split", "Write a table that divides the data into sides or folds"),
}
_HELP = """Practical convolutional networks: train, understand and use them, for every job a CNN does.

Begin with `simplecell demo`, or `simplecell train classify PHOTOS`."""


def application(words: Sequence[str], complete: bool = False) -> App:
    """The commands, with the flags of the task that ``words`` name. complete: of every task."""
    # Help and completion read settings alone; a training loads everything.
    helping = complete or any(word in ("--help", "-h") for word in words)
    app = App(
        name="simplecell",
        help=_HELP,
        version=_version,
        version_flags=["--version"],
        error_formatter=_sentence,
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        result_action="return_value",
        help_format="markdown",
        default_parameter=Parameter(negative=()),
    )
    chosen = words[0] if words else ""
    for name, (place, summary) in COMMANDS.items():
        if name == "train":
            app.command(_train(words, helping, complete))
        elif name == "data":
            data = App(name="data", help=summary)
            for word, (function, line) in DATA.items():
                data.command(function, name=word, help=line)
            app.command(data)
        elif name == "predict" and (chosen == "predict" or complete):
            from simplecell.commands.line import predict_command

            app.command(predict_command(words[1:], helping=helping), name=name, help=summary)
        elif name == "serve" and (chosen == "serve" or complete):
            from simplecell.commands.line import serve_command

            app.command(serve_command(), name=name, help=summary)
        else:
            app.command(place or _unchosen, name=name, help=summary)
    return app


def _train(words: Sequence[str], helping: bool, complete: bool) -> App:
    train = App(name="train", help=COMMANDS["train"][1])
    chosen = words[1] if len(words) > 1 and words[0] == "train" else ""
    from_file = [chosen] if ".py:" in chosen else []
    for name in (*TASKS, *from_file):
        summary = TASKS[name][1] if name in TASKS else "a task of your own"
        if name == chosen or complete:
            from simplecell.commands.line import train_command

            train.command(train_command(name, helping=helping), name=name)
        else:
            train.command(_unchosen, name=name, help=summary)
    return train


def complete(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="the shell")] = "bash") -> int:
    """Print the script that makes a shell complete simplecell's words."""
    print(application([], complete=True).generate_completion(shell=shell))
    return 0


def _unchosen() -> int:
    """Stands for a command whose flags are not wanted now."""
    return 0


def _version() -> str:
    from importlib.metadata import version

    return version("simplecell")


def _sentence(error: Any) -> str:
    """A mistake on the command line as one sentence."""
    return " ".join(str(error).split())


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 stopped or failed, 2 bad input."""
    from cyclopts import CycloptsError

    given = list(sys.argv[1:] if words is None else words)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    # cyclopts takes a lone hyphen for an option; its other name says the same.
    given = ["/dev/stdin" if word == "-" else word for word in given]
    debug = "--debug" in given
    if debug:
        given.remove("--debug")
    try:
        status = application(given)(given)
    except CycloptsError:
        status = 2  # told by cyclopts, as one sentence
    except UserError as error:
        status = _tell(str(error), debug, 2)
    except KeyboardInterrupt:
        status = _tell("stopped.", debug, 1)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; silence Python's own complaint at exit
        status = 1
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        status = _tell(f"{name}{error.strerror or error}; mend that and run it again.", debug, 2)
    except Exception as error:
        fault = f"a fault of simplecell itself ({type(error).__name__}: {error})"
        status = _tell(f"{fault}; run it with --debug and report it.", debug, 1)
    sys.exit(status if isinstance(status, int) else 0)


def _tell(text: str, debug: bool, status: int) -> int:
    if debug:
        traceback.print_exc()
    print(text, file=sys.stderr)
    return status
