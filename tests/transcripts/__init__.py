"""What people type and what comes back, from the first command to the last, as texts that are run.

`*.txt` are read like a manual and played by the tests against a room. After a command's words were changed on purpose:
`python -m tests.transcripts --write` writes what the commands answer now; look at the difference.
"""
