"""The replay of the policies: from the opened bodies of a log, every decision is derived again and compared.

Rules: no room, no clock, no catalog: the bodies and the signed documents are the only input, and `policies` the only
judge. After a finding the replay goes on from what was written, so that one lie is one finding where it can be. What a
cell showed is not replayed: bodies have no figures.
"""
