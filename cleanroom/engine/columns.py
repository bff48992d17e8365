"""The files of one stored version: one .npy file per column, and `meta.json` that says which there are.

    meta.json                 what the files are; written last
    token.<match key>.npy     uint8, rows x 16: re-keyed tokens; zeros where there is none
    present.<match key>.npy   bool: whether the row has that token (a token may be all zeros itself)
    attribute.<name>.npy      uint16: index into the attribute's domain
    measure.<name>.npy        int64, units of 10^-decimals; 0 where there is none
    measured.<name>.npy       bool: whether the row has that measure
    consent.npy               uint8: mask of purposes
    expires.npy               int32: last day of consent, in days since 1970-01-01; only where an expiry was declared

Rules: rows keep the order of the audience file. Files are written once, from front to back, in bounded memory, and read
by mapping them; only an erasure writes into them again, zeros in place of a row that nobody reads any more. Reading
checks type and length, so a damaged file is an error and never a figure.
"""

import io
import math
import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from policies import canonical
from policies.agreement import Attribute, Measure
from policies.question import AudienceRef

TOKEN_BYTES = 16
EPOCH_DAY = date(1970, 1, 1)
META = "meta.json"

Array = npt.NDArray[Any]


class Damaged(Exception):
    """A stored file is not what `meta.json` says. The message is safe to print."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What a stored version is. `expires`: whether an expiry column was declared."""

    collaboration: str
    audience: AudienceRef
    epoch: int
    rows: int
    keys: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    measures: tuple[Measure, ...]
    expires: bool

    def files(self) -> Iterator[tuple[str, type[np.generic], tuple[int, ...]]]:
        """Every column file: its name without `.npy`, its type, its shape."""
        for key in self.keys:
            yield f"token.{key}", np.uint8, (self.rows, TOKEN_BYTES)
            yield f"present.{key}", np.bool_, (self.rows,)
        for attribute in self.attributes:
            yield f"attribute.{attribute.name}", np.uint16, (self.rows,)
        for measure in self.measures:
            yield f"measure.{measure.name}", np.int64, (self.rows,)
            yield f"measured.{measure.name}", np.bool_, (self.rows,)
        yield "consent", np.uint8, (self.rows,)
        if self.expires:
            yield "expires", np.int32, (self.rows,)


class Writer:
    """Writes the column files of a version, batch by batch; a context manager, durable after a clean exit.

    Raises FileExistsError where a column file is there already, ValueError on exit for another number of rows than
    `meta.rows`. The folder of a writer that failed is of no use; its maker removes it.
    """

    def __init__(self, folder: Path, meta: Meta) -> None:
        self._rows = meta.rows
        self._types = {name: (np.dtype(kind), shape) for name, kind, shape in meta.files()}
        self._written = dict.fromkeys(self._types, 0)
        with ExitStack() as stack:
            self._files = {name: stack.enter_context((folder / f"{name}.npy").open("xb")) for name in self._types}
            for name, (dtype, shape) in self._types.items():
                write_header(self._files[name], dtype, shape)
            self._open = stack.pop_all()

    def append(self, name: str, values: Array) -> None:
        """Adds values to one column; of its type, rows first."""
        dtype, shape = self._types[name]
        assert (values.dtype, values.shape[1:]) == (dtype, shape[1:]), "a column keeps its type"
        self._files[name].write(np.ascontiguousarray(values).data)
        self._written[name] += len(values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        with self._open:
            if kind is None:
                for file in self._files.values():
                    file.flush()
                    os.fsync(file.fileno())
        if kind is None and any(count != self._rows for count in self._written.values()):
            raise ValueError("a column has another number of rows than was declared")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a stored version, mapped read-only when asked for. Raises `Damaged`."""

    folder: Path
    meta: Meta

    def tokens(self, key: str) -> Array:
        return self._array(f"token.{key}")

    def present(self, key: str) -> Array:
        return self._array(f"present.{key}")

    def codes(self, attribute: str) -> Array:
        return self._array(f"attribute.{attribute}")

    def measure(self, name: str) -> tuple[Array, Array]:
        """The values and whether each is there."""
        return self._array(f"measure.{name}"), self._array(f"measured.{name}")

    def consent(self) -> Array:
        return self._array("consent")

    def expires(self) -> Array | None:
        return self._array("expires") if self.meta.expires else None

    def check(self) -> None:
        """Opens every column. Raises `Damaged` for one that is missing or of another type or length."""
        for name, _, _ in self.meta.files():
            self._array(name)

    def erase(self, rows: Array) -> None:
        """Overwrites some rows in every column with zeros: no token, no amount, consent to nothing. Durable."""
        for name, kind, shape in self.meta.files():
            overwrite(self.folder / f"{name}.npy", kind, shape, rows, 0)

    def _array(self, name: str) -> Array:
        kind, shape = next((kind, shape) for each, kind, shape in self.meta.files() if each == name)
        return open_array(self.folder / f"{name}.npy", kind, shape)


def open_array(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> Array:
    """Maps an .npy file read-only. Raises `Damaged` when it is missing or not of this type and shape."""
    dtype, begins = np.dtype(kind), _header(np.dtype(kind), shape)
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: nothing is in it
        raise Damaged(f"{path.name} of a stored version is missing or damaged; publish the version again") from None
    # The bytes that write_header writes say type and shape; comparing them is stricter than reading them, and faster.
    if mapped[: len(begins)] != begins or len(mapped) != len(begins) + math.prod(shape) * dtype.itemsize:
        raise Damaged(f"{path.name} of a stored version has another shape; publish the version again")
    return np.ndarray(shape, dtype, mapped, len(begins))


def overwrite(path: Path, kind: type[np.generic], shape: tuple[int, ...], rows: Array, value: int) -> None:
    """Writes one value into some rows of an .npy file, in place, durably. Raises `Damaged` as `open_array` does."""
    if not len(rows):
        return
    open_array(path, kind, shape)
    array = np.memmap(path, kind, "r+", len(_header(np.dtype(kind), shape)), shape)
    array[rows] = value
    array.flush()


@lru_cache(256)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    write_header(header, dtype, shape)
    return header.getvalue()


def write_header(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """What an .npy file begins with; the values follow as they lie in memory."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_meta(folder: Path, meta: Meta) -> None:
    """Writes `meta.json`, durably."""
    value = {
        "collaboration": meta.collaboration,
        "audience": str(meta.audience),
        "epoch": meta.epoch,
        "rows": meta.rows,
        "keys": meta.keys,
        "attributes": [{"name": item.name, "values": item.values} for item in meta.attributes],
        "measures": [
            {"name": item.name, "lower": item.lower, "upper": item.upper, "decimals": item.decimals}
            for item in meta.measures
        ],
        "expires": meta.expires,
    }
    with (folder / META).open("xb") as file:
        file.write(canonical.dumps(value))
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Columns:
    """The version in a folder. Raises `Damaged` when `meta.json` is not one."""
    try:
        value = canonical.loads((folder / META).read_bytes())
        return Columns(
            folder,
            Meta(
                collaboration=value["collaboration"],
                audience=AudienceRef.parse(value["audience"]),
                epoch=value["epoch"],
                rows=value["rows"],
                keys=tuple(value["keys"]),
                attributes=tuple(Attribute(item["name"], tuple(item["values"])) for item in value["attributes"]),
                measures=tuple(Measure(**item) for item in value["measures"]),
                expires=value["expires"],
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise Damaged(f"{META} of a stored version is missing or damaged; publish the version again") from None
