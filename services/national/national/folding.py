"""Names as they are searched for: "gao st25" finds "Gạo ST25"."""

import unicodedata
from typing import Final

MOST_KNOWN: Final = 10_000  # characters; names and searches have some hundreds, and anybody can ask for others


def fold(text: str) -> str:
    """The text's words in lower case without marks (bỏ dấu), đ as d, whatever is no letter or digit as a space.

    Folded twice it stays as it is.
    """
    return " ".join(text.translate(_FOLDED).split())


class _Folded(dict[int, str]):
    """What each character becomes, worked out when it is first met: no step of folding looks at its neighbours."""

    def __missing__(self, code: int) -> str:
        if len(self) >= MOST_KNOWN:
            self.clear()
        bare = unicodedata.normalize("NFKD", chr(code)).casefold().replace("đ", "d")
        letters = [sign for sign in unicodedata.normalize("NFKD", bare) if unicodedata.category(sign)[0] != "M"]
        self[code] = "".join(sign if sign.isalnum() else " " for sign in letters)
        return self[code]


_FOLDED = _Folded()
