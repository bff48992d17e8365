"""The HTTP client of a room: the only place on the partner's side that touches the network.

`connection` speaks HTTP and signs in, `upload` resumes uploads, `answers` are the values that come back, `client` is
the API as methods.
"""
