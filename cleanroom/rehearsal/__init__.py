"""A whole collaboration on one machine, before anybody is invited (`cleanroom rehearse`).

Rules: a real room behind real HTTP, every partner played with the real partner client. The only short cuts: the
fingerprints are compared by the command itself, and code-lists that the scenario leaves out are read from the files.
Everything ends with the command, whatever ends it.
"""
