"""How much of the sampling tests is run: `make test` takes a sample that lasts seconds, `make soak` the whole of it.

`SOAK` multiplies the number of worlds, tables and draws; unset, it is 1.
"""

import os

FACTOR = int(os.environ.get("SOAK", "1"))
