"""Progress of a run: bars with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from experiments import training

SECONDS_BETWEEN_LINES = 30.0


class RunProgress:
    """Shows the iterations of all jobs; a context manager.

    Jobs that run elsewhere, several at a time, are told of when they are done.

    Parameters
    ----------
    jobs : int
        Jobs of the run.
    waiting : int
        Jobs that are not done yet.
    iterations : int
        Iterations of the waiting jobs together.
    """

    def __init__(self, jobs: int, waiting: int, iterations: int) -> None:
        self.jobs, self.total = jobs, iterations
        self.number = jobs - waiting
        self.before = 0
        self.started = self.last_line = time.monotonic()
        self.first: int | None = None
        self.console = Console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("starting", total=self.total)

    def __enter__(self) -> RunProgress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def job(self, name: str, iterations: int) -> training.Progress:
        """Start the next job and return what is to be told of its iterations."""
        text, before = self._next(name, iterations)

        def show(count: int, loss: float) -> None:
            self._show(f"{text}: {count}/{iterations}, loss {loss:6.3f}", before + count)

        return show

    def done(self, name: str, iterations: int) -> None:
        """Tell of a job that is done, or has failed."""
        text, before = self._next(name, iterations)
        self._show(text, before + iterations)

    def _next(self, name: str, iterations: int) -> tuple[str, int]:
        self.number += 1
        before = self.before
        self.before += iterations
        return f"[{self.number}/{self.jobs}] {name}", before

    def _show(self, text: str, done: int) -> None:
        self.bar.update(self.task, completed=done, description=text)
        if not self.console.is_terminal:
            self._line(text, done)

    def _line(self, text: str, done: int) -> None:
        now = time.monotonic()
        if self.first is None:  # iterations before a kill took no time now
            self.first, self.started = done, now
        due = now - self.last_line >= SECONDS_BETWEEN_LINES
        if due and done > self.first:
            left = (now - self.started) / (done - self.first) * (self.total - done)
            print(f"{text}, {left / 60:.1f} min left", flush=True)
            self.last_line = now
