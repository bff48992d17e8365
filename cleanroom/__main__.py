"""`python -m cleanroom`: the command `cleanroom`."""

from cleanroom.cli import main

main()
