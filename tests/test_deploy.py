"""What is deployed is what is tested: the image's versions are the pinned ones, and nothing of the tests is in it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    return dict(PIN.findall(path.read_text()))


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    deployed, tested = pins(ROOT / "deploy/requirements.txt"), pins(ROOT / "constraints.txt")
    assert deployed.items() <= tested.items()


def test_the_image_has_what_the_room_needs_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = {extra: {re.split(r"[<>=!~\[; ]", each)[0].lower() for each in extras[extra]} for extra in extras}
    deployed = set(pins(ROOT / "deploy/requirements.txt"))
    assert names["room"] <= deployed
    assert not (names["dev"] - names["room"]) & deployed


def test_every_pin_has_a_hash() -> None:
    for name in ("constraints.txt", "deploy/requirements.txt"):
        text = (ROOT / name).read_text()
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
        assert all("--hash=sha256:" in block for block in blocks if block.strip())
        assert "index" not in text


def test_the_build_is_given_only_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy/Containerfile").read_text(), re.MULTILINE)
    needed = {each for line in copied for each in line.split()}
    assert {name.removeprefix("!") for name in ignored if name.startswith("!")} == needed
    assert all((ROOT / name).exists() for name in needed)
