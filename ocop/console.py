"""Where commands write: results on standard output, remarks on standard error.

What is shown may come from anywhere, off a topic for instance, so it is shown as it is: nothing in it is markup, and
nothing in it moves the cursor.
"""

import re
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

# Control characters but \n and \t, what turns the direction of writing round, and halves of characters.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Terminal(Console):
    """Tables and lines of any text: what a terminal would obey is shown as an escape."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Every text goes through here, whether it is printed by itself or stands in a table."""
        return super().render_str(_UNSEEN.sub(lambda found: ascii(found.group())[1:-1], text), **options)


# Where nobody watches, tables are as wide as they need to be.
console = Terminal(width=None if sys.stdout.isatty() else 180, markup=False, emoji=False)
notes = Terminal(stderr=True, highlight=False, markup=False, emoji=False)
