"""Who lost consent since the audience was prepared last: rows that the room may have and must not count any more.

Rules:
* A row of the customer file without consent is looked up, by its tokens, in the audience file that stood in the same
  folder, under the secret of that file. Only identifiers that were in that file, and are not in the new one, become
  withdrawals: nobody whom the room never had is told to it.
* The file is read once more for this, and only where there was an earlier audience file whose secret is still here.
  Memory: 16 bytes for each token of that file.
* The batches lie beside the manifest until they were sent, with the canonical texts that they were made of, so that
  they can be made again under another secret. A later `prepare` takes those that wait over.
"""

import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from partners import files, protocol, withdrawal
from partners.audience import audience_file, manifest_file, token_column
from partners.fields import OddAnswer
from partners.hashing import tokens
from partners.identifiers.columns import canonical_column
from partners.keys import Identity
from partners.manifest import BadManifest, Manifest, read_manifest
from partners.mapping import Map
from partners.protocol import TOKEN_BYTES
from partners.reading import BadFile, Progress, read_all
from partners.rows import KeyPlan, Plan, consented
from partners.suppression import Kept
from partners.withdrawal import MAX_TOKENS, Action, Batch
from policies.purpose import Purpose

# Of one fixed width, so that texts which differ only in zeros at the end cannot be confused.
Tokens = NDArray[np.bytes_]
Texts = dict[bytes, str]
"""Tokens, each with the canonical text that it was made of."""
_KIND = np.dtype(f"S{TOKEN_BYTES}")


def withdrawals_file(folder: Path, audience: str) -> Path:
    return folder / f"{audience}.withdrawals.json"


@dataclass(frozen=True, slots=True)
class Earlier:
    """One match key of the earlier audience file: its tokens, sorted, and the key that they were made with."""

    token_key: bytes = field(repr=False)
    tokens: Tokens = field(repr=False)


def standing(folder: Path, draft: Manifest, secrets: Mapping[int, bytes]) -> dict[str, Earlier]:
    """What the audience file in the folder has, by match key; nothing where its secret, by epoch, is not here.

    To be called before the file is replaced.
    """
    path, beside = audience_file(folder, draft.audience), manifest_file(folder, draft.audience)
    try:
        earlier = read_manifest(beside).manifest
    except (OSError, BadManifest):
        return {}
    of, epoch = earlier.collaboration, earlier.epoch
    secret = secrets.get(epoch)
    if of != draft.collaboration or secret is None or not path.is_file():
        return {}
    if not hmac.compare_digest(earlier.key_check, protocol.key_check(secret, of, epoch)):
        return {}
    return {
        key: Earlier(protocol.token_key(secret, of, epoch, key), np.sort(_read(path, key)))
        for key in earlier.keys
        if key in draft.keys
    }


def lost(
    mapping: Map, plan: Plan, earlier: dict[str, Earlier], written: Path, waiting: dict[str, Texts], progress: Progress
) -> dict[str, Texts]:
    """The texts of rows without consent that stood in the earlier file, or wait, and are not in the new one."""
    found = {key.key: dict(waiting.get(key.key, {})) for key in plan.keys}
    names, identifiers = mapping.columns(), frozenset(column for key in mapping.keys for column in key.columns)
    for _, chunk in read_all(mapping.file, mapping.encoding, mapping.delimiter, names, identifiers, progress):
        without = np.flatnonzero(~consented(chunk, plan))
        if not len(without):
            continue
        for key in plan.keys:
            if before := earlier.get(key.key):
                texts = _texts([chunk.array(column) for column in key.columns], without, key, plan)
                there = np.flatnonzero(_within(_tokens(texts, before.token_key), before.tokens)).tolist()
                stood = [texts[place] for place in there]
                found[key.key].update(zip(map(_bytes, _tokens(stood, key.token_key)), stood, strict=True))
    gone = {}
    for name, texts_of in found.items():
        tokens_of = sorted(texts_of)
        stays = _within(np.frombuffer(b"".join(tokens_of), _KIND), np.sort(_read(written, name)))
        gone[name] = {token: texts_of[token] for token, kept in zip(tokens_of, stays, strict=True) if not kept}
    return {name: each for name, each in gone.items() if each}


def keep(folder: Path, draft: Manifest, identity: Identity, found: dict[str, Texts], now: datetime) -> int:
    """Writes the batches of these tokens beside the manifest, in place of older ones; how many tokens they have."""
    path = withdrawals_file(folder, draft.audience)
    kept = []
    for key, texts in sorted(found.items()):
        tokens_of = sorted(texts)
        for start in range(0, len(tokens_of), MAX_TOKENS):
            listed = tuple(tokens_of[start : start + MAX_TOKENS])
            batch = Batch(
                collaboration=draft.collaboration,
                partner=draft.partner,
                audience=draft.audience,
                epoch=draft.epoch,
                key_check=draft.key_check,
                action=Action.WITHDRAW,
                purposes=frozenset(Purpose),
                match_key=key,
                tokens=listed,
                created=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                nonce=withdrawal.nonce(),
            )
            kept.append(Kept(withdrawal.sign(identity, batch), tuple(sorted(texts[token] for token in listed))))
    if kept:
        written = json.dumps([each.to_json() for each in kept], ensure_ascii=False)
        files.write(path, written.encode() + b"\n", private=True)
    else:
        path.unlink(missing_ok=True)
    return sum(len(each.texts) for each in kept)


def read_batches(folder: Path, audience: str) -> tuple[Kept, ...]:
    """The batches that wait beside a manifest, none where there is no file. Raises `BadFile`."""
    path = withdrawals_file(folder, audience)
    try:
        return tuple(map(Kept.from_json, json.loads(path.read_bytes())))
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError, KeyError, OddAnswer):
        raise BadFile(f"{path.name} is damaged; remove it, and withdraw those people with `withdraw`") from None


def waiting(folder: Path, draft: Manifest, plan: Plan) -> dict[str, Texts]:
    """What waits for an upload of this collaboration, by match key, hashed with the secret of now."""
    found: dict[str, Texts] = {}
    for each in read_batches(folder, draft.audience):
        for key in plan.keys:
            if (each.signed.batch.collaboration, each.signed.batch.match_key) == (draft.collaboration, key.key):
                made = map(_bytes, _tokens(each.texts, key.token_key))
                found.setdefault(key.key, {}).update(zip(made, each.texts, strict=True))
    return found


def listed(written: Path, kept: Iterable[Kept], draft: Manifest) -> int:
    """The rows of an audience file that the owner's withdrawal list names, so that they count for fewer purposes."""
    mine = [each.signed.batch for each in kept if each.signed.batch.key_check == draft.key_check]
    # A withdrawal from all audiences and one from this audience are undone apart, as the room does it.
    purposes: dict[tuple[str, bytes, str | None], frozenset[Purpose]] = defaultdict(frozenset)
    for batch in mine:
        if batch.audience in (None, draft.audience):
            undone = (None, draft.audience) if batch.audience is None else (batch.audience,)
            for token in batch.tokens:
                if batch.action is Action.REINSTATE:
                    for scope in undone:
                        purposes[batch.match_key, token, scope] -= batch.purposes
                else:
                    purposes[batch.match_key, token, batch.audience] |= batch.purposes
    names = {key: [token for (each, token, _), left in purposes.items() if each == key and left] for key in draft.keys}
    sought = {key: np.sort(np.frombuffer(b"".join(each), _KIND)) for key, each in names.items() if each}
    if not sought:
        return 0
    rows = 0
    with pq.ParquetFile(written) as file:
        for batch in file.iter_batches(columns=list(map(token_column, sought))):
            named = np.zeros(batch.num_rows, np.bool_)
            for column, among in zip(batch.columns, sought.values(), strict=True):
                named[column.is_valid().to_numpy(zero_copy_only=False)] |= _within(_of(column), among)
            rows += int(named.sum())
    return rows


def _texts(columns: list[pa.Array], rows: NDArray[np.int64], key: KeyPlan, plan: Plan) -> list[str]:
    chosen = tuple(
        [column[row] for row in rows.tolist()] if isinstance(column, list) else column.take(pa.array(rows))
        for column in columns
    )
    found: list[str] = canonical_column(key.key, chosen, plan.rules).texts.drop_null().to_pylist()
    return found


def _tokens(texts: Sequence[str], token_key: bytes) -> Tokens:
    made = tokens(token_key, [text.encode() for text in texts])
    return np.ascontiguousarray(made).view(_KIND).reshape(-1)


def _read(path: Path, key: str) -> Tokens:
    with pq.ParquetFile(path) as file:
        parts = [_of(batch.column(0)) for batch in file.iter_batches(columns=[token_column(key)])]
    return np.concatenate([np.empty(0, _KIND), *parts])


def _of(column: pa.Array) -> Tokens:
    found = column.drop_null()
    _, data = found.buffers()
    return np.frombuffer(data, _KIND, len(found), TOKEN_BYTES * found.offset)


def _within(wanted: Tokens, among: Tokens) -> NDArray[np.bool_]:
    """For each token, whether it is in a sorted array."""
    if not len(among):
        return np.zeros(len(wanted), np.bool_)
    places = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    found: NDArray[np.bool_] = among[places] == wanted
    return found


def _bytes(token: np.bytes_) -> bytes:
    """A token in full: numpy drops zeros at the end."""
    return bytes(token).ljust(TOKEN_BYTES, b"\0")
