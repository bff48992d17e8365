"""Peers that run under a Python of their own: nothing here is imported by the benchmarks, all of it is run by path.

    PYTHON peers.py clkhash FILE.csv
    PYTHON peers.py rr22 RANK HOST:PORT HOST:PORT FILE.csv OUT.csv BUCKET
    PYTHON peers.py openmined FILE.csv FILE.csv

Rules: the standard library and the peer only. Each prints one line of JSON last, with the `seconds` of the work alone:
files are there, libraries are imported, connections are made. `cpu` is the whole process's, in seconds.
"""

import base64
import io
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

MINUTES_20 = 20 * 60 * 1000


def clkhash(file: str) -> dict[str, float]:
    """anonlink's clkhash over the columns `email` and `mobile`, with its usual settings for short strings."""
    clk, schema = import_module("clkhash.clk"), import_module("clkhash.schema")
    rows = Path(file).read_text(encoding="utf-8")
    salt = base64.b64encode(bytes(64)).decode()
    fields = [
        {
            "identifier": name,
            "format": {"type": "string", "encoding": "utf-8"},
            "hashing": {"comparison": {"type": "ngram", "n": 2}, "strategy": {"bitsPerFeature": 100}},
        }
        for name in ("email", "mobile")
    ]
    kdf = {"type": "HKDF", "hash": "SHA256", "info": "", "salt": salt, "keySize": 64}
    made = schema.from_json_dict({"version": 3, "clkConfig": {"l": 1024, "kdf": kdf}, "features": fields})
    start = time.perf_counter()
    clk.generate_clk_from_csv(io.StringIO(rows), "secret", made, validate=False, progress_bar=False)
    return {"seconds": time.perf_counter() - start}


def rr22(rank: str, first: str, second: str, file: str, out: str, bucket: str) -> dict[str, float]:
    """One party of SecretFlow's RR22, over loopback. The party of rank 0 gets the intersection, by itself.

    Told what speeds it up and holds here: keys are unique, the result needs no order.
    """
    psi, link = import_module("spu.psi"), import_module("spu.libspu").link
    parties = link.Desc()
    parties.id = "bench"
    parties.recv_timeout_ms = MINUTES_20
    for number, host in enumerate((first, second)):
        parties.add_party(f"party{number}", host)
    connection = link.create_brpc(parties, int(rank))
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=psi.PsiProtocol.PROTOCOL_RR22, receiver_rank=0, bucket_size=int(bucket)
        ),
        input_params=psi.InputParams(path=file, selected_keys=["email"], keys_unique=True),
        output_params=psi.OutputParams(path=out, disable_alignment=True),
    )
    start = time.perf_counter()
    report = psi.psi_execute(config, connection)
    seconds = time.perf_counter() - start
    connection.stop_link()
    return {"seconds": seconds, "shared": report.intersection_count, "cpu": time.process_time()}


def openmined(one: str, other: str) -> dict[str, float]:
    """OpenMined's PSI: client and server in one process, messages handed over in memory."""
    psi = import_module("private_set_intersection.python")
    mine, theirs = (Path(file).read_text(encoding="utf-8").split()[1:] for file in (one, other))
    start = time.perf_counter()
    client, server = psi.client.CreateWithNewKey(True), psi.server.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(1e-9, len(mine), theirs, psi.DataStructure.RAW)
    shared = client.GetIntersection(setup, server.ProcessRequest(client.CreateRequest(mine)))
    return {"seconds": time.perf_counter() - start, "shared": len(shared), "cpu": time.process_time()}


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    known: dict[str, Callable[..., dict[str, float]]] = {"clkhash": clkhash, "rr22": rr22, "openmined": openmined}
    print(json.dumps(known[name](*arguments)))
