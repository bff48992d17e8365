"""The HTTP API, under `/v1`. Thin: parse, call, render.

Rules: every error on every route and status is a problem of `problems.py` (RFC 9457). Objects are looked up through
the partner that asks; another partner's object answers exactly like one that does not exist. The OpenAPI document at
`/v1/openapi.json` is made from these routes.
"""
