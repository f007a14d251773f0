"""inspect RUN: what a trained net does with pictures, on one page, with a few lines in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simplecell.commands import eyes
from simplecell.commands.inspect import console, tell_page
from simplecell.errors import UserError
from simplecell.telling import tell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simplecell.commands.opening import Opened
    from simplecell.report.inspect.run import Findings, Shown

#: The page's name in the run folder.
PAGE = "inspect.html"
#: Pictures of the sample at most, and multiply-adds that it may take: some ten seconds on two cores.
_SAMPLE, _BUDGET = 256, 2.5e11
#: Pictures that are looked at closely: each is answered a hundred times with a part of it covered.
_CLOSELY = 8


def inspect_run(
    target: str,
    named: Sequence[str],
    object_size: float,
    out: Path | None,
    json: bool,
    *,
    device: str,
    threads: int,
) -> int:
    """Look into a trained net: page, and a short text or JSON."""
    from simplecell.commands.opening import is_published, open_net
    from simplecell.commands.report import write_file
    from simplecell.report.inspect import run as pages

    opened = open_net(target, device=device, threads=threads)
    is_run = Path(target).is_dir()
    if out is None:
        if not is_run:
            raise UserError(
                "there is no run folder for the page", where=target, remedy="name a file by --out"
            )
        out = Path(target) / PAGE
    if not is_run and not named:
        raise UserError(
            "a model alone does not know its data", where=target, remedy="name one picture or more after it"
        )
    name = target if is_published(target) else Path(target).resolve().name
    with eyes.progress(json):
        found = _findings(opened, name, named, object_size, from_data=is_run)
        write_file(out, pages.page(found))
    if json:
        eyes.answer({**pages.to_json(found), "page": str(out)})
        return 0
    _print(found)
    tell_page(out)
    return 0


def _findings(
    opened: Opened, name: str, named: Sequence[str], object_size: float, *, from_data: bool
) -> Findings:
    """All that the page shows."""
    import torch

    from simplecell.learn.evaluate import evaluating
    from simplecell.nets.advice import advise
    from simplecell.nets.walk import walk
    from simplecell.report.classified import one_view
    from simplecell.report.inspect import run as pages
    from simplecell.report.inspect.activity import activity

    net = one_view(opened.net)
    shown = _named(opened, named)
    sample = (
        _sample_of_data(opened) if from_data else _Sample([s.pixels for s in shown], "the named pictures")
    )
    shown = shown or [sample.first()]
    example = pages.as_batch(shown[0].pixels, opened.device)
    walked = walk(net, example)
    sample = sample.cut(int(min(_SAMPLE, max(1, _BUDGET // max(1, walked.macs)))))

    def pictures(start: int, end: int) -> torch.Tensor:
        batch = torch.from_numpy(sample.take(range(start, end))).permute(0, 3, 1, 2)
        return batch.to(opened.device)

    with evaluating(net):
        layers = activity(net, pictures, len(sample), lambda done: tell("activity", done, len(sample)))
        answered = []
        if "classes" in opened.meaning:
            cover = [255 * value for value in opened.meaning.get("mean", [0.5] * example.shape[1])]
            for k, each in enumerate(shown, 1):
                answered.append(pages.answer(net, each, opened.meaning["classes"], cover, opened.device))
                tell("occlusion", k, len(shown))
    return pages.Findings(
        name,
        f"{opened.task_name}, pictures of {example.shape[3]} × {example.shape[2]}; seen with {sample.told}",
        net,
        walked,
        advise(walked, object_size or None),
        shown,
        answered,
        layers,
        sample.take,
        len(sample),
        sample.told,
    )


def _named(opened: Opened, named: Sequence[str]) -> list[Shown]:
    """The pictures that were named, as the net gets them."""
    from simplecell.commands.predict import Pictures, paths_of
    from simplecell.data.geometry import Geometry
    from simplecell.report.inspect.run import Shown

    if not named:
        return []
    if "geometry" not in opened.meaning:
        raise UserError(
            f"a net of the task {opened.task_name} is given no single pictures",
            remedy="leave the pictures out",
        )
    paths = list(paths_of(named))
    if len(paths) > _CLOSELY:
        raise UserError(
            f"{len(paths)} pictures are more than can be looked at closely", remedy=f"name at most {_CLOSELY}"
        )
    geometry, source = Geometry.from_json(opened.meaning["geometry"]), Pictures(paths)
    shown = [Shown(Path(path).name, geometry.fit(picture)) for path, picture in source]
    if source.faults:
        raise source.faults[0][1]
    return shown


@dataclass(frozen=True)
class _Sample:
    """Pictures, uint8, H, W, C; or the examples that they come from, and the rows of them."""

    source: Any
    side: str
    rows: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.source if self.rows is None else self.rows)

    @property
    def told(self) -> str:
        return self.side if self.rows is None else f"{len(self):,} {self.side} pictures"

    def take(self, places: Sequence[int]) -> NDArray[np.uint8]:
        """The pictures at some places of the sample, uint8, N, H, W, C."""
        import numpy as np

        if self.rows is None:
            return np.stack([self.source[place] for place in places])
        batch = self.source.batch(np.asarray([self.rows[place] for place in places], np.int64))
        found: NDArray[np.uint8] = batch["picture"].permute(0, 2, 3, 1).numpy()
        return found

    def first(self) -> Shown:
        from simplecell.report.inspect.run import Shown

        row = 0 if self.rows is None else self.rows[0]
        name = self.side if self.rows is None else self.source.ids[row]
        return Shown(name, self.take([0])[0])

    def cut(self, most: int) -> _Sample:
        """So many of them at most, from all over."""
        from simplecell.data.batches import spread

        if self.rows is None or len(self) <= most:
            return self
        return _Sample(self.source, self.side, [self.rows[k] for k in spread(len(self), most).tolist()])


def _sample_of_data(opened: Opened) -> _Sample:
    """The validation pictures of a run, or the training pictures where it has none."""
    import numpy as np

    splits = opened.task.load()
    side = "validation" if len(splits.validation) else "training"
    examples = splits.validation if side == "validation" else splits.train
    probe = examples.batch(np.arange(1)).get("picture")
    if probe is None or probe.dim() != 4:
        raise UserError(
            f"a net of the task {opened.task_name} is given no pictures that could be looked at",
            where="inspect",
            remedy="see its report",
        )
    return _Sample(examples, side, range(len(examples)))


def _print(found: Findings) -> None:
    from simplecell.report.inspect.activity import dead_units
    from simplecell.report.inspect.run import dead_words

    out = console()
    dead, units = dead_units(found.activity)
    out.print(f"{found.name}: {len(found.walk.layers)} layers, {found.walk.parameters:,} parameters")
    out.print(f"over {found.told}: {dead_words(found.activity)}")
    if dead:
        out.print(f"({100 * dead / units:.1f} % of all units that could be off)")
    ends = [a for a in found.activity if a.saturated]
    if ends:
        worst = max(ends, key=lambda a: a.saturated or 0.0)
        out.print(f"most at an end: {100 * (worst.saturated or 0):.1f} % of the values of {worst.name}")
    for each in found.answered:
        out.print(f"{each.shown.name}: {each.said} ({each.score:.3f})", markup=False)
    for advice in found.advice:
        out.print(f"• {advice.sentence}", markup=False)
