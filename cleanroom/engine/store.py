"""Where the embedded engine keeps published versions and the links between them.

    DATA/audiences/<version>/            the columns of a version (see `columns.py`)
    DATA/links/<version>--<other>/       <match key>.npy, int32: the row of `other` for each row of `version`, -1 none
    DATA/views/<version>/                what was worked out from these (see `views.py`); harmless to remove
    DATA/views/<version>--<other>/

Rules: a folder is filled under a name that begins with a dot, synced, then renamed: what has its right name is whole.
Links go first and the version last, so a version that can be seen has its links. What a crash leaves behind is removed
when the same version is published again or retired. Names are built here and nowhere else.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cleanroom.engine import columns
from cleanroom.engine.columns import Columns
from cleanroom.engine.interface import NotPublished, Rows
from cleanroom.engine.linking import UNMATCHED, Links
from cleanroom.engine.views import keep

VERSION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Store:
    """The folders under the data folder, made when they are not there."""

    def __init__(self, data: Path) -> None:
        self._audiences = data / "audiences"
        self._links = data / "links"
        self._views = data / "views"
        for folder in (self._audiences, self._links, self._views):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def has(self, version: str) -> bool:
        """Whether the version is published."""
        return self._version(version).is_dir()

    def open(self, version: str) -> Columns:
        """The columns of a published version. Raises `NotPublished`, `columns.Damaged`."""
        if not self.has(version):
            raise NotPublished("a version of the question is not published here; publish it, or ask again")
        return columns.read(self._version(version))

    def links(self, version: str, other: str, key: str, rows: int) -> Links:
        """The row of `other` for each of the `rows` rows of `version`. Raises `NotPublished`, `columns.Damaged`."""
        folder = self._pair(version, other)
        if not folder.is_dir():
            raise NotPublished("two versions of the question are not linked; publish one of them again")
        return columns.open_array(folder / f"{key}.npy", np.int32, (rows,))

    def linked(self, version: str, other: str) -> bool:
        """Whether the links from `version` to `other` are there."""
        return self._pair(version, other).is_dir()

    def add_links(self, version: str, other: str, links: Mapping[str, Links]) -> None:
        """Stores the links of each key, unless they are there."""
        folder = self._pair(version, other)
        if folder.is_dir():
            return
        hidden = _hidden(folder)
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(mode=0o700)
        for key, rows in links.items():
            with (hidden / f"{key}.npy").open("xb") as file:
                np.save(file, rows, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        _put(hidden, folder)

    def adopt(self, version: str, folder: Path) -> None:
        """Takes a staged folder over: publishes the version. Raises OSError when it is on another file system."""
        _put(folder, self._version(version))

    def views(self, version: str, other: str | None = None) -> Path:
        """The folder for the views of a version, or of its rows onto another's; it may not be there yet."""
        return self._views / (_checked(version) if other is None else self._pair(version, other).name)

    def remove(self, version: str) -> None:
        """Removes the version first, then its links and views, and what an earlier attempt left of them."""
        target = self._version(version)
        hidden = _hidden(target)
        shutil.rmtree(hidden, ignore_errors=True)
        if target.is_dir():
            _put(target, hidden)
            shutil.rmtree(hidden)
        for folder in self._links.iterdir():
            if version in _versions(folder):
                _discard(folder)
        self.remove_orphans()

    def remove_orphans(self) -> None:
        """Removes the views of versions that are not published, such as one being made while its version retired."""
        for folder in self._views.iterdir():
            if not all(map(self.has, _versions(folder))):
                _discard(folder)

    def erase(self, version: str, rows: Rows) -> None:
        """Overwrites some rows of a version in its columns and links, then removes every view of it. Durable.

        A view that somebody is making meanwhile holds its folder's lock, so it is removed, too, or made of zeros.
        """
        found = self.open(version)
        found.check()
        found.erase(rows)
        for folder in self._links.glob("[!.]*"):
            one, other = _versions(folder)
            if version in (one, other) and self.has(one):
                count = self.open(one).meta.rows
                for path in folder.iterdir():
                    links = columns.open_array(path, np.int32, (count,))
                    places = rows if one == version else np.flatnonzero(np.isin(links, rows.astype(np.int32)))
                    columns.overwrite(path, np.int32, (count,), places, UNMATCHED)
        for folder in self._views.glob("[!.]*"):
            if version in _versions(folder):
                keep(folder, ())

    def _version(self, version: str) -> Path:
        return self._audiences / _checked(version)

    def _pair(self, version: str, other: str) -> Path:
        return self._links / f"{_checked(version)}--{_checked(other)}"


def _checked(version: str) -> str:
    if not VERSION.fullmatch(version):
        raise ValueError("the id of a version has lower-case letters and digits, with single hyphens inside")
    return version


def _hidden(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}")


def _versions(folder: Path) -> list[str]:
    """The versions that a folder of links or views is about."""
    return folder.name.removeprefix(".").split("--")


def _discard(folder: Path) -> None:
    """Removes a folder that somebody may be writing in: nobody finds the way into a hidden one."""
    hidden = folder if folder.name.startswith(".") else _hidden(folder)
    if hidden != folder:
        shutil.rmtree(hidden, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):  # somebody else removes it, too
            folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _put(source: Path, target: Path) -> None:
    """Renames a folder, its entries synced before and its own name after."""
    _sync(source)
    source.rename(target)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
