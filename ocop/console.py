"""Where commands write: results on standard output, remarks on standard error."""

import sys

from rich.console import Console

# Where nobody watches, tables are as wide as they need to be.
console = Console(width=None if sys.stdout.isatty() else 180)
notes = Console(stderr=True, highlight=False)
