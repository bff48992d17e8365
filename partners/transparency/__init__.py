"""What anyone needs to check the room's log: Merkle proofs, signed notes, checkpoints, proofs, entries.

Pure: no clock, file, network or hidden randomness. The room's own half (`cleanroom.audit`) is built on these modules,
so that what is written and what is checked can never drift apart.
"""
