"""`cleanroom serve`: gunicorn for the questions, one worker process for the checks and publications.

Rules: the two processes live and die together. Each watches its parent, so that nothing is left behind even when
`serve` is killed. A worker that dies is started again: the catalog says what is unfinished. The signer has no process
of its own: whoever commits signs, under a lock, with the signer's state.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from cleanroom import logs

PARENT = "CLEANROOM_SERVE_PID"  # set by `serve` for its own children; no setting
THREADS = 4
BACKLOG = 256
WATCH_SECONDS = 0.5
RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0


class CannotListen(Exception):
    """The address is taken or is none; the message is safe to print."""


def listen(bind: str) -> socket.socket:
    """A listening socket for `host:port`, or the inherited one of `fd://N`. Raises `CannotListen`."""
    try:
        if bind.startswith("fd://"):
            return socket.socket(fileno=int(bind.removeprefix("fd://")))
        host, _, port = bind.rpartition(":")
        return socket.create_server((host.strip("[]"), int(port)), family=_family(host), backlog=BACKLOG)
    except (OSError, ValueError, OverflowError):
        raise CannotListen("--bind: this address is taken or is not of the form host:port; choose another") from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def serve(listener: socket.socket, workers: int, parent: int | None) -> int:
    """Runs until SIGTERM, SIGINT or the end of gunicorn; its exit code. `parent`: the process that it ends with."""
    bind, inherit = f"fd://{listener.fileno()}", (listener.fileno(),)
    gunicorn = [
        *(sys.executable, "-m", "gunicorn", "--bind", bind, "--workers", str(workers), "--threads", str(THREADS)),
        *("--config", "python:cleanroom.serving", "--log-level", "warning", "cleanroom.app:create_app()"),
    ]
    worker = [sys.executable, "-m", "cleanroom.jobs"]
    environment = {**os.environ, PARENT: str(os.getpid())}
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    if parent is not None:
        watch_parent(parent, stopping.set)
    # Sessions of their own: a Ctrl-C in the terminal reaches this process only, which then stops them in order.
    web = subprocess.Popen(gunicorn, env=environment, pass_fds=inherit, start_new_session=True)
    jobs = subprocess.Popen(worker, env=environment, start_new_session=True)
    try:
        while not stopping.wait(WATCH_SECONDS) and web.poll() is None:
            if jobs.poll() is not None:
                stopping.wait(RESTART_SECONDS)
                jobs = subprocess.Popen(worker, env=environment, start_new_session=True)
    finally:
        for process in (web, jobs):
            if process.poll() is None:
                process.terminate()
        for process in (web, jobs):
            _wait(process)
    return 0 if stopping.is_set() else web.returncode


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def watch_parent(parent: int, gone: Callable[[], None]) -> None:
    """Calls `gone` in a thread once the process `parent` is not this one's parent any more, or never was."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        gone()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def watch_serve(gone: Callable[[], None]) -> None:
    """`watch_parent`, in a process that `serve` started."""
    watch_parent(int(os.environ[PARENT]), gone)


def when_ready(_: object) -> None:
    """A hook of gunicorn, which reads this module as its configuration."""
    watch_serve(lambda: os.kill(os.getpid(), signal.SIGTERM))


worker_class = "gthread"
timeout = 60
graceful_timeout = 5
control_socket_disable = True
logconfig_dict = logs.CONFIG
