"""People and sets: publishes versions of audiences and measures questions over them.

Rules: an engine returns `Sealed` values only, and `gate.py` alone opens them. It holds no policy: what may be asked and
what may be shown is decided elsewhere. Its semantics are those of `docs/privacy.md`, the same for every engine; one
contract test suite runs against each.
"""
