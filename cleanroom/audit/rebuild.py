"""An export made anew from what was read of it, and compared with the file that it was read from."""

from collections.abc import Iterable, Iterator, Mapping
from io import SEEK_END, BytesIO
from tempfile import TemporaryFile
from typing import BinaryIO

from cleanroom.audit import archive
from cleanroom.audit.archive import Member
from cleanroom.audit.documents import Document
from cleanroom.audit.export import BODIES, DOCUMENTS, README, README_TEXT, VERIFIER, VERIFIER_TEXT, member_names
from cleanroom.audit.reading import content, lines
from partners.transparency.merkle import Node
from partners.transparency.note import MAX_NOTE_BYTES
from partners.transparency.tiles import MAX_BUNDLE_BYTES, decode_bundle, encode_bundle, tiles


def members(
    file: BinaryIO, found: dict[str, Member], size: int, node: Node, documents: Mapping[str, Document]
) -> Iterator[tuple[str, BinaryIO]]:
    """The members of an export of this size: hashes from the tree, texts as exports carry them, the rest as parsed."""
    hashes = {tile.path: tile for tile in tiles(size)}
    bundles = {tile.entries_path for tile in hashes.values() if tile.level == 0}
    made = {
        README: README_TEXT.encode(),
        VERIFIER: VERIFIER_TEXT.encode(),
        DOCUMENTS: b"".join(documents[sha256].encode() + b"\n" for sha256 in sorted(documents)),
    }
    for name in sorted(member_names(size)):
        if name in made:
            yield name, BytesIO(made[name])
        elif name in hashes:
            tile = hashes[name]
            numbers = range(tile.first, tile.first + tile.width)
            yield name, BytesIO(b"".join(node(8 * tile.level, number) for number in numbers))
        elif name in bundles:
            yield name, BytesIO(encode_bundle(decode_bundle(content(file, found, name, MAX_BUNDLE_BYTES))))
        elif name == BODIES:
            with TemporaryFile() as bodies:
                bodies.writelines(line + b"\n" for line in lines(file, found[BODIES]))
                yield name, bodies
        else:
            yield name, BytesIO(content(file, found, name, MAX_NOTE_BYTES))


def same(file: BinaryIO, made: Iterable[tuple[str, BinaryIO]]) -> bool:
    """Whether an archive of these members is the file, byte for byte."""
    written = _Compared(file)
    archive.write(written, made)
    return written.whole()


class _Compared:
    """Takes what is written and compares it with a file, from its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at, self._same = file, 0, True

    def write(self, data: bytes) -> None:
        self._file.seek(self._at)
        self._same = self._same and self._file.read(len(data)) == data
        self._at += len(data)

    def tell(self) -> int:
        return self._at

    def whole(self) -> bool:
        """Whether all of the file was written, and nothing else."""
        return self._same and self._file.seek(0, SEEK_END) == self._at
