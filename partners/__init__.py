"""The partner's side: everything that happens on a partner's own machine.

Raw identifiers enter here and never leave: what is uploaded are tokens (see `docs/protocol.md`).
This package may import `policies`, never `cleanroom`; only `partners.room` touches the network.
"""
