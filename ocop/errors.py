"""The one error that the command line shows without a traceback."""


class OcopError(Exception):
    """What is wrong and what to do about it, in one or two short lines for the person at the terminal."""
