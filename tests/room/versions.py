"""What tests of versions do and look at: announcing one, the worker started again, what lies on the disk."""

import threading

from cleanroom import jobs
from partners.manifest import SignedManifest
from tests.room.conftest import Collaboration
from tests.room.stage import Stage

ROUTE = "/v1/collaborations/{id}/audiences/drive/versions"


class UntilIdle(threading.Event):
    """Ends `jobs.work` as soon as nothing waits."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def restart(stage: Stage) -> None:
    """The worker, started again: it does whatever is there to do."""
    jobs.work(stage.room, UntilIdle())


def announce(at: Collaboration, signed: SignedManifest, content: bytes) -> str:
    """Uploads bytes and makes a version of them, as a client of another make would; its id."""
    room = at.stage.players["fresh"].room
    path = at.stage.folder / "upload"
    path.write_bytes(content)
    upload = room.begin_upload(len(content))
    room.upload(upload, path, lambda *_: None)
    with at.stage.http("fresh") as client:
        answer = client.post(ROUTE.format(id=at.id), json={**signed.to_json(), "upload": upload})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["receipt"]) == ("received", None)
    return str(answer.json()["id"])


def current(at: Collaboration, owner: str = "fresh") -> str | None:
    """The version that questions are asked of."""
    audiences = dict(at.stage.players["tasty"].room.collaboration(at.id).audiences)
    return next(version for ref, version in audiences.items() if ref.owner == owner)


def leftovers(stage: Stage) -> list[str]:
    """What lies in the folder of uploads."""
    return sorted(path.name for path in stage.room.settings.incoming.iterdir())


def kept(stage: Stage) -> list[str]:
    """The versions whose columns the engine has."""
    return sorted(path.name for path in (stage.room.settings.data / "audiences").iterdir())
