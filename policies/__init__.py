"""What may leave the room, decided from values alone.

Rules of this folder: the standard library only; no clock, file, network, database or hidden randomness. Time and
noise arrive as arguments. A decision is a value (see `decision.py`); an exception means broken input or a bug.
`tests/test_imports.py` holds these rules.
"""
