"""Checks an export of a clean room's log in plain Python: python3 -I -S verify.py EXPORT.tar VKEY [OLDER_CHECKPOINT]"""

import base64
import io
import json
import sys
import tarfile
from functools import reduce
from hashlib import sha256, sha512
from pathlib import Path

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # edwards25519 (RFC 8032, section 5.1)
D = -121665 * pow(121666, -1, P) % P


def check(right: bool, wrong: str) -> None:
    return None if right else sys.exit(f"FAILED: {wrong}")


def add(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
    cross = D * p[0] * q[0] * p[1] * q[1]
    x, y = (p[0] * q[1] + q[0] * p[1]) * pow(1 + cross, -1, P), (p[1] * q[1] + p[0] * q[0]) * pow(1 - cross, -1, P)
    return x % P, y % P


def times(n: int, p: tuple[int, int]) -> tuple[int, int]:
    return (0, 1) if n == 0 else add(p, times(n - 1, p)) if n & 1 else times(n // 2, add(p, p))


def point(data: bytes) -> tuple[int, int]:
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    x = pow(square := (y * y - 1) * pow(D * y * y + 1, -1, P) % P, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    check(x * x % P == square and y < P, "a key or a signature is no point of the curve")
    return (P - x if x & 1 != data[31] >> 7 else x), y


def opened(note: bytes, vkey: str) -> tuple[int, bytes]:  # size and root (c2sp.org/tlog-checkpoint)
    (name, key_id, key), (text, signed) = vkey.split("+", 2), note.decode().split("\n\n")
    check(text.startswith(f"{name}\n"), "it is of another log than this key's; cleanroom audit verify --older compares")
    line, *others = [line for line in signed.split("\n") if line.startswith(f"— {name} ")]  # the rest are witnesses
    public, signature = base64.b64decode(key)[1:], base64.b64decode(line.split(" ")[2])
    once = not others and line == f"— {name} {base64.b64encode(signature).decode()}" and signature[:4].hex() == key_id
    h = int.from_bytes(sha512(signature[4:36] + public + f"{text}\n".encode()).digest(), "little") % L
    right, s = add(point(signature[4:36]), times(h, point(public))), int.from_bytes(signature[36:], "little")
    (origin, size, root), base = text.split("\n"), times(s, point(b"\x58" + 31 * b"\x66"))
    check(once and origin == name and s < L and right == base, "it is not signed by this key")
    return int(size), base64.b64decode(root)


def root_of(tree: list[list[bytes]], size: int) -> bytes:  # RFC 6962, section 2.1: complete subtrees, from the right
    subtrees = (tree[height][(size >> height) - 1] for height in range(size.bit_length()) if size >> height & 1)
    return reduce(lambda right, left: sha256(b"\x01" + left + right).digest(), subtrees)


def names(folder: str, count: int) -> list[str]:  # c2sp.org/tlog-tiles: files of 256 hashes, the last of fewer
    groups = [[f"{int(group):03}" for group in f"{n:,}".split(",")] for n in range(-(-count // 256))]
    found = [f"tile/{folder}/" + "".join(f"x{group}/" for group in each[:-1]) + each[-1] for each in groups]
    return found[: count // 256] + [f"{name}.p/{count % 256}" for name in found[count // 256 :]]


sys.excepthook = lambda kind, *_: sys.stderr.write(f"FAILED: not in the form of an export ({kind.__name__})\n")
with tarfile.open(sys.argv[1]) as tar, tarfile.open(fileobj=(copy := io.BytesIO()), mode="w") as again:
    members = {each.name: (tar.extractfile(each) or copy).read() for each in tar}
    for name, data in sorted(members.items()):
        (info := tarfile.TarInfo(name)).size = len(data)
        again.addfile(info, io.BytesIO(data))
check(Path(sys.argv[1]).read_bytes() == copy.getvalue(), "the archive is not the one that its files make")
size, root = opened(members.pop("checkpoint"), sys.argv[2])
entries: list[bytes] = []
for bundle in (io.BytesIO(members.pop(name)) for name in names("entries", size)):
    while head := bundle.read(2):
        entries.append(bundle.read(int.from_bytes(head, "big")))
tree = [[sha256(b"\x00" + entry).digest() for entry in entries]]
while len(below := tree[-1]) > 1:
    tree.append([sha256(b"\x01" + below[n] + below[n + 1]).digest() for n in range(0, len(below) - 1, 2)])
check(len(entries) == size and root_of(tree, size) == root, "the entries do not lead to the signed root")
for height in range(0, len(tree), 8):
    for n, name in enumerate(names(str(height // 8), len(tree[height]))):
        check(members.pop(name) == b"".join(tree[height][256 * n : 256 * n + 256]), "a tile is not of the entries")
bodies, documents = members.pop("bodies.jsonl"), members.pop("documents.jsonl")
form = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
for data in (bodies, documents):
    spelled = (form.encode(json.loads(line)).encode() for line in data.split(b"\n")[:-1])
    check(b"".join(line + b"\n" for line in spelled) == data, "a line is not canonical JSON")
for each in map(json.loads, bodies.splitlines()):
    nonce, commit = base64.b64decode(each["nonce"]), json.loads(entries[each["seq"]])["commit"]
    check(sha256(b"\x02" + nonce + each["body"].encode()).hexdigest() == commit, "a body is not that of its entry")
    check(base64.b64encode(nonce).decode() == each["nonce"], "a nonce is not canonical base64")
for each in map(json.loads, documents.splitlines()):
    name = sha256(each["document"].encode()).hexdigest()
    check(name == each["sha256"] and name.encode() in bodies, "a document is not one that a body names")
check(members.keys() == {"README", "verify.py"}, "a file is unexpected")
print(f"{size} entries, {bodies.count(10)} bodies, {documents.count(10)} documents, tiles and archive: as signed")
for kept, before in (opened(Path(older).read_bytes(), sys.argv[2]) for older in sys.argv[3:]):
    check(0 < kept <= size and root_of(tree, kept) == before, "the log does not begin with what was kept")
    print(f"the first {kept} entries are those of the older checkpoint")
print("not checked here: witnesses, signatures of documents, and what the decisions should have been")
