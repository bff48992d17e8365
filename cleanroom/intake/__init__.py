"""From an uploaded file and its manifest to columns that an engine can publish, or a refusal that says what to do.

Rules: the manifest is checked before the file is touched, and the file's hash before it is parsed. The file is parsed
in a child process with limits (`child.py`, `limits.py`); whatever happens to the child, the service gets a value.
"""
