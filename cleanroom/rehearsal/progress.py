"""Progress of a rehearsal on a terminal: one bar, for whichever step is at work. Silent where nobody looks."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Progress:
    """A context manager; `tell` is what the steps call."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._bars = Bars(
            *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "Progress":
        self._bars.start()
        self._task = self._bars.add_task("room", total=None)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bars.stop()

    def tell(self, step: str, partner: str | None, done: int, whole: int) -> None:
        """Shows how far a step is."""
        if self._task is not None:
            who = f"{partner}: " if partner else ""
            self._bars.update(self._task, description=f"{who}{step}", completed=done, total=max(whole, 1))
