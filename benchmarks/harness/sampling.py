"""Where the time of agentdb goes: samples of its turns, by CPU time of the main thread."""

from __future__ import annotations

import signal
import sysconfig
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

_EVERY = 0.001
"""Seconds of CPU time between two samples."""
_SHOWN = 15

_INSTALLED = Path(sysconfig.get_path("purelib"))
_STANDARD = Path(sysconfig.get_path("stdlib"))


@dataclass(slots=True)
class Samples:
    """What was running when samples were taken.

    Attributes:
        packages: By the package of the innermost function.
        functions: By the innermost function.
    """

    packages: Counter[str] = field(default_factory=Counter[str])
    functions: Counter[str] = field(default_factory=Counter[str])

    @contextmanager
    def taken(self) -> Generator[None]:
        """Take samples while the block runs."""
        before = signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    def _take(self, _: int, frame: FrameType | None) -> None:
        if frame is not None:
            package = package_of(frame.f_code.co_filename)
            self.packages[package] += 1
            self.functions[f"{package}: {frame.f_code.co_qualname}"] += 1

    def show(self) -> None:
        """Print the shares of packages, and of the functions that took most."""
        total = self.packages.total()
        for title, counted in (("package", self.packages), ("function", self.functions)):
            table = Table(title, "share of CPU", title=f"agentdb, {total:,} samples")
            for name, count in counted.most_common(_SHOWN):
                table.add_row(name, f"{count / total:.1%}")
            Console(width=110).print(table)


def package_of(file: str) -> str:
    """Return the package that a source file belongs to."""
    path = Path(file)
    for root in (_INSTALLED, _STANDARD):
        if path.is_relative_to(root):
            return path.relative_to(root).parts[0].removesuffix(".py")
    return "agentdb" if "agentdb" in path.parts else path.stem
