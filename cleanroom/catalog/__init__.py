"""The catalog: what the room knows, in one SQLite file. The only place that knows its SQL.

Rules: one connection per request or job. Durable by `synchronous=FULL` under WAL. What must hold together commits in
one `BEGIN IMMEDIATE` transaction (`Catalog.transaction`). Every object of a partner is looked up through that partner:
another's looks like none. Rows leave this folder as frozen dataclasses.
"""
