"""The room's side of receipts: proves one entry of the log under a published checkpoint."""

import sqlite3

from cleanroom.audit import log
from cleanroom.audit.log import LogDamaged
from partners.receipts import Receipt
from partners.transparency.checkpoint import read_unverified
from partners.transparency.merkle import inclusion_proof, leaf_hash, verify_inclusion
from partners.transparency.proof import Proof


def receipt(connection: sqlite3.Connection, seq: int, checkpoint: bytes) -> Receipt:
    """The receipt of entry `seq` under the signed checkpoint that the publisher returned.

    LookupError when the entry is not in the log, not under this checkpoint yet, or its nonce was erased. LogDamaged
    when the catalog does not lead to the checkpoint's root.
    """
    head = read_unverified(checkpoint)
    row = connection.execute("SELECT entry, body, nonce FROM log_entries WHERE seq = ?", (seq,)).fetchone()
    if row is None or not 0 <= seq < head.size:
        raise LookupError("this entry is not in the published log; publish first")
    entry, body, nonce = row
    if nonce is None:
        raise LookupError("this entry's nonce was erased, so it has no receipt any more")
    path = inclusion_proof(seq, head.size, log.node_reader(connection))
    if not verify_inclusion(leaf_hash(entry), seq, head.size, path, head.root):
        raise LogDamaged("the catalog does not lead to the published checkpoint; restore it from a backup")
    return Receipt(Proof(seq, path, checkpoint.decode()).encode(), entry, body, nonce)
