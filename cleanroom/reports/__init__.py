"""Reports: a request becomes questions, released figures become a report. One module per kind.

Rules: a report reads releases only; nothing here sees an engine or a `Sealed`. Whatever a report derives (totals,
rates) comes from figures of its own releases.
"""
