"""A partner's machine may run Windows: every module imports without what only POSIX systems have.

The types that differ between systems are checked by `mypy --platform win32`, in `make test`. That no file is renamed or
removed while it is open, which Windows refuses, is in tests/room/test_open_files.py.
"""

import pkgutil
import subprocess
import sys
from pathlib import Path

import partners
import policies

# https://docs.python.org/3/library/: modules with "Availability: Unix" or "not Windows".
POSIX_ONLY = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "crypt", "nis", "spwd", "readline")

PROGRAM = """
import importlib, importlib.abc, sys, types

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {blocked!r}:
            raise ModuleNotFoundError(name, name=name)

for name in {names!r}:  # other packages and Python's own modules are then loaded, as this system has them
    importlib.import_module(name)
for name in list(sys.modules):
    if name in {blocked!r} or name.partition(".")[0] in ("partners", "policies"):
        del sys.modules[name]
sys.meta_path.insert(0, Blocked())
sys.platform, sys.modules["msvcrt"] = "win32", types.ModuleType("msvcrt")
for name in {names!r}:
    importlib.import_module(name)
print(len({names!r}))
"""


def test_every_module_imports_without_what_only_posix_has() -> None:
    names = [
        each.name
        for package in (partners, policies)
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not each.name.endswith("__main__")
    ]
    program = PROGRAM.format(blocked=POSIX_ONLY, names=names)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout) == (0, f"{len(names)}\n"), done.stderr
    assert len(names) > 100
