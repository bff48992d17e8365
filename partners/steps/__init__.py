"""What a partner does, step by step, as functions over its folder and a room; commands, rehearsals and pages call them.

Rules: a step returns values and prints nothing; it raises `Failure` (or a format's own error, see
`partners.commands.terminal.KNOWN`) with one line that is safe to print; it can be repeated after any interruption. The
room is not trusted: agreements, signatures, keys and receipts are checked before anything is signed, sealed or sent.
"""
