"""The room's audit log. Self-contained: of the room it imports nothing else.

`log` keeps entries and tree in the catalog, inside the caller's transaction; `publisher` writes tiles and checkpoint
after the commit; `signer` signs only what extends what it signed before; `receipts` proves one entry; `export` and
`verify` are the auditor's. What verifying needs lies in `partners.transparency`, so that partners can check without the
room's code.
"""
