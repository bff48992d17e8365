"""The name under which the rehearsal looks for the quality report's tables; they are in `partners.quality`."""

from partners.quality import render as show_quality

__all__ = ["show_quality"]
