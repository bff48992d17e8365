"""The demo: three made-up French brands meet in a room on this machine (`cleanroom demo`, `make demo`)."""
