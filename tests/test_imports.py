"""The directions of the house: who may import whom. Read from the source, so an import inside a function counts too."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STDLIB = sys.stdlib_module_names
# What `policies` may not have, though the standard library has it: clocks, files, networks, databases, randomness.
IMPURE = {
    "asyncio", "builtins", "ctypes", "fcntl", "glob", "http", "importlib", "io", "logging", "mmap", "multiprocessing",
    "numbers", "os", "pathlib", "pickle", "platform", "random", "secrets", "select", "shutil", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "zoneinfo",
}  # fmt: skip
HEAVY = ("flask", "marshmallow", "numpy", "opendp", "phonenumbers", "pyarrow", "sqlite_utils")


def sources(*names: str) -> list[Path]:
    """The Python files of these folders and files, at least one each."""
    found = {name: sorted((ROOT / name).rglob("*.py")) if (ROOT / name).is_dir() else [ROOT / name] for name in names}
    assert all(found.values()), "a folder of the house is gone"
    return [path for paths in found.values() for path in paths]


def imports(source: str) -> Iterator[str]:
    """Every module that the source imports anywhere, and every name that it takes from one, as `module.name`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                assert level == 0, "imports are written in full, so that they can be read"
                assert module
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)


def imported(*names: str) -> Iterator[tuple[Path, str]]:
    for path in sources(*names):
        for module in imports(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT), module


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_the_reader_sees_every_way_to_import() -> None:
    source = "import a.b as c, d\ndef f():\n    from cleanroom import engine\n    if x:\n        from e import f as g\n"
    assert set(imports(source)) == {"a.b", "d", "cleanroom", "cleanroom.engine", "e", "e.f"}
    assert within("cleanroom.engine.sealed", "cleanroom.engine")
    assert not within("cleanroom.engineering", "cleanroom.engine")


def test_policies_import_the_standard_library_only() -> None:
    wrong = [
        (path, module)
        for path, module in imported("policies")
        if not within(module, "policies") and (within(module, *IMPURE) or module.partition(".")[0] not in STDLIB)
    ]
    assert not wrong


def test_policies_read_no_clock_and_open_nothing() -> None:
    banned = {"now", "utcnow", "today", "open", "input", "print", "eval", "exec", "compile", "__import__", "environ"}
    for path in sources("policies"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} - {"compile"}  # re.compile
        assert not (called | read) & banned, path


def test_policies_write_no_float() -> None:
    for path in sources("policies"):
        constants = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
        assert not [node.lineno for node in constants if isinstance(node.value, float)], path


def test_partners_never_import_the_room() -> None:
    assert not [(path, module) for path, module in imported("partners") if within(module, "cleanroom")]


def test_the_audit_log_is_self_contained() -> None:
    allowed = ("cleanroom.audit", "partners", "policies", "cryptography", *STDLIB)
    wrong = [(path, module) for path, module in imported("cleanroom/audit") if not within(module, *allowed)]
    assert not wrong


@pytest.mark.parametrize("room", ["cleanroom/api", "cleanroom/web", "cleanroom/reports", "cleanroom/cli.py"])
def test_only_the_gate_stands_between_people_and_the_engine(room: str) -> None:
    assert not [(path, module) for path, module in imported(room) if within(module, "cleanroom.engine")]


def test_only_the_gate_opens_what_an_engine_measured() -> None:
    ways_in = ("open_sealed", "Sealed._open", "_Sealed__measured")
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources("cleanroom", "partners", "policies", "wsgi.py")
        if any(way in path.read_text(encoding="utf-8") for way in ways_in)
    }
    assert users == {"cleanroom/gate.py", "cleanroom/engine/sealed.py"}


def test_only_the_gate_draws_noise() -> None:
    users = {path.as_posix() for path, module in imported("cleanroom") if within(module, "cleanroom.noise")}
    assert users == {"cleanroom/gate.py"}


def test_the_entry_point_does_nothing_else() -> None:
    docstring, *statements = ast.parse((ROOT / "wsgi.py").read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert [ast.unparse(each) for each in statements] == [
        "from cleanroom.app import create_app",
        "app = create_app()",
    ]


def test_policies_need_no_installed_package() -> None:
    """`-S` leaves the standard library and the working folder."""
    modules = ", ".join(f"policies.{path.stem}" for path in sources("policies") if path.stem != "__init__")
    subprocess.run([sys.executable, "-S", "-c", f"import {modules}"], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        ("cleanroom.cli", HEAVY),
        ("partners.cli", ("cleanroom", "flask", "marshmallow", "opendp", "sqlite_utils")),
    ],
)
def test_a_command_starts_without_what_it_may_not_need(command: str, absent: tuple[str, ...]) -> None:
    script = f"import sys, {command}; print(*(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
