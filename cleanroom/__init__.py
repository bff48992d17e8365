"""The room: takes audiences in, answers questions about them, and releases nothing but what the policies allow.

Rules of this folder: `api`, `web`, `cli` and `reports` never import `engine`; only `gate.py` opens what an engine
measured; `audit` imports nothing else of the room. The room may import `partners` and `policies`, never the reverse.
"""

__version__ = "0.1.0"
