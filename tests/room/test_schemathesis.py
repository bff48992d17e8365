"""Every answer of every route is as the API description says, whoever asks and whatever is sent: by schemathesis.

It makes requests from the description, some valid, some not, and every role sends each: first about anything, then
about objects that are there, with parts of bodies that the room reads.
Each answer must have a status, a content type, headers and a body that the description has for that route, and never be
a failure of the room; a problem must be one that the route documents. What the description does not admit must be
refused. `SOAK` makes more of them.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, SerializationContext
from schemathesis.specs.openapi import checks as described

from cleanroom import readiness
from cleanroom.pace import Pace
from cleanroom.settings import RequestLimits
from tests.room.conftest import Collaboration
from tests.room.test_matrix import MATRIX, OPEN, Scene, scene_of
from tests.soak import FACTOR

EXAMPLES = 2 * FACTOR
"""Requests to each route that the description admits, and as many that it does not; each as it is, and deeper."""
ASKING = ("owner", "marketer", "auditor", "stranger", "anonymous")
CHECKS = [
    schemathesis.checks.not_a_server_error,
    described.status_code_conformance,
    described.content_type_conformance,
    described.response_headers_conformance,
    described.response_schema_conformance,
]
REJECTED = ["400", "401", "403", "404", "409", "412", "413", "415", "422", "429"]


@schemathesis.serializer("application/offset+octet-stream")
def as_bytes(_: SerializationContext, value: Any) -> bytes:
    return repr(value).encode()


@pytest.fixture(scope="module")
def scene(shared_published: Collaboration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    for scene in scene_of(shared_published, tmp_path_factory.mktemp("schemathesis"), []):
        room = scene.stage.room
        # The clock stands still, so that nobody's minute would ever be over.
        scene.stage.app.extensions["cleanroom-pace"] = Pace(room.settings.pace, RequestLimits(0, 0, 0, 0))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(readiness, "_worker", lambda _: None)  # a room without one is not ready: 503, rightly
            yield scene


@pytest.fixture(scope="module")
def description(scene: Scene) -> Any:
    config = schemathesis.Config.from_dict(
        {
            "generation": {"with-security-parameters": False},
            "checks": {"negative_data_rejection": {"expected-statuses": REJECTED}},
        }
    )
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", scene.stage.app, config=config)


def route_of(case: Case) -> str:
    """The route of a request, as the matrix names it."""
    return f"{case.method} {case.path.replace('{', '<').replace('}', '>')}"


def deeper(case: Case, data: st.DataObject) -> None:
    """Some fields of a body become those that the route's parser takes, so that what is behind it is reached."""
    known = MATRIX[route].json if (route := route_of(case)) in MATRIX else None
    if known and isinstance(case.body, dict):
        case.body.update({name: known[name] for name in data.draw(st.sets(st.sampled_from(sorted(known))))})


def there(scene: Scene, route: str) -> dict[str, str]:
    """What the variables of a route are, of objects that exist."""
    first = f"{route.split('/')[2]}." if route in MATRIX else ""
    return {name.removeprefix(first): value for name, value in scene.values.items() if first and name.startswith(first)}


def test_every_answer_is_as_described(scene: Scene, description: Any) -> None:
    met: set[tuple[str, str]] = set()

    def tell(case: Case, data: st.DataObject) -> None:
        route = route_of(case)
        for checks in ([*CHECKS, described.negative_data_rejection], CHECKS):  # what is deeper may be right again
            for role in ASKING:
                headers = {"Authorization": f"Bearer {scene.tokens[role]}"} if scene.tokens[role] else {}
                case.call_and_validate(headers=headers, checks=checks)
                met.add((route, role))
            values = there(scene, route)
            case.path_parameters = {name: values.get(name, value) for name, value in case.path_parameters.items()}
            deeper(case, data)

    for found in description.get_all_operations():
        for mode in GenerationMode:
            play(found.ok().as_strategy(generation_mode=mode), tell)
    routes = set(MATRIX) | {route.replace("<path:name>", "<name>") for route in OPEN if "/v1/" in route}
    assert {route for route, _ in met} == routes - {"GET /v1/openapi.json"}


def play(cases: st.SearchStrategy[Case], tell: Callable[[Case, st.DataObject], None]) -> None:
    """Draws requests; none where the description admits nothing that is wrong."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.data())
    def drawn(case: Case, data: st.DataObject) -> None:
        tell(case, data)

    with suppress(Unsatisfiable):
        drawn()
