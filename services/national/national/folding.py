"""Names as they are searched for: "gao st25" finds "Gạo ST25"."""

import unicodedata


def fold(text: str) -> str:
    """The text's words in lower case without marks (bỏ dấu), đ as d, whatever is no letter or digit as a space.

    Folded twice it stays as it is.
    """
    bare = unicodedata.normalize("NFKD", text).casefold().replace("đ", "d")
    marks_off = (sign for sign in unicodedata.normalize("NFKD", bare) if not unicodedata.category(sign).startswith("M"))
    return " ".join("".join(sign if sign.isalnum() else " " for sign in marks_off).split())
