"""What the operator's commands have in common: where the room is."""

import os
from pathlib import Path

import click

from cleanroom.settings import Settings, read

DATA = click.option("--data", type=click.Path(path_type=Path), help="The room's data folder. [default: room]")
KEYS = click.option("--keys", type=click.Path(path_type=Path), help="Its keys folder. [default: DATA-keys, beside it]")


def settings(data: Path | None, keys: Path | None) -> Settings:
    """The settings of the environment, with what the command line states. Also sets them for child processes."""
    if data:
        os.environ["CLEANROOM_DATA"] = str(data)
    if keys:
        os.environ["CLEANROOM_KEYS"] = str(keys)
    return read()
