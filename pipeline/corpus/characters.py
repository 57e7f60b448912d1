"""Characters that nobody sees and characters that look alike, told apart by their Unicode properties."""

import regex

NO_SPACES = r"[\p{Ideographic}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Line_Break=Complex_Context}]"
"""A letter of a script that sets no space between words."""

_JOINERS = "\u200c\u200d\u180e"  # zero width non-joiner and joiner, Mongolian vowel separator
_TAGS = "\U000e0020-\U000e007f"
# Format characters and what is ignored where it cannot be drawn; Arabic number signs and the like are drawn.
_UNSEEN = regex.compile(
    rf"(?V1)[[\p{{Cf}}\p{{Default_Ignorable_Code_Point}}]--\p{{Prepended_Concatenation_Mark}}"
    rf"--\p{{Variation_Selector}}--[{_JOINERS}{_TAGS}]]+"
)
_BREAK = regex.compile(r"(?<=\p{Line_Break=Complex_Context})\u200b+(?=\p{Line_Break=Complex_Context})")
# What a variation selector can choose a form of.
_VARIED = r"[\p{S}\p{Emoji}\p{Ideographic}\p{Mongolian}\p{Phags_Pa}\p{Myanmar}]"
_STRAY_SELECTOR = regex.compile(
    rf"(?<!{_VARIED})\p{{Variation_Selector}}|(?<=\p{{Variation_Selector}})\p{{Variation_Selector}}"
)
_STRAY_TAG = regex.compile(rf"(?<!\p{{Extended_Pictographic}}[{_TAGS}]*)[{_TAGS}]+")
# Letters whose form depends on the letter beside them: cursive scripts and those of India.
_FORMED = (
    r"[\p{Joining_Type=Dual_Joining}\p{Joining_Type=Right_Joining}\p{Joining_Type=Left_Joining}"
    r"[[\p{L}\p{M}]--\p{Indic_Syllabic_Category=Other}]]"
)
_KILLER = r"[\p{Indic_Syllabic_Category=Virama}\p{Indic_Syllabic_Category=Pure_Killer}]"
_PICTURE = r"\p{Extended_Pictographic}"
_STRAY_JOINER = regex.compile(
    rf"(?V1)(?!(?<={_FORMED}\p{{M}}*)[{_JOINERS}]{_FORMED}"
    rf"|(?<={_KILLER})[{_JOINERS}](?![{_JOINERS}])"
    rf"|(?<={_PICTURE}[\p{{Emoji_Modifier}}\p{{Variation_Selector}}]?)\u200d{_PICTURE})[{_JOINERS}]"
)
_MANY_JOINERS = regex.compile(rf"([{_JOINERS}])[{_JOINERS}]+")
_INVISIBLE = regex.compile(r"(?V1)[[\p{Cf}\p{Default_Ignorable_Code_Point}]--\p{Prepended_Concatenation_Mark}]+")

_SILENT = regex.compile(r"[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]")

# Always an apostrophe or a hyphen: wide and small forms, the quote turned round, hyphens that hold or break a line.
_SAME = str.maketrans({"\uff07": "'", "\u201b": "'", **dict.fromkeys("\u2010\u2011\ufe63\uff0d", "-")})
# Letters and primes that are typed for an apostrophe; in Cyrillic and other scripts U+02BC is a letter.
_TYPED = "\u02b9\u02bc\u2032"
_APOSTROPHE = regex.compile(rf"(?<=\p{{Latin}}\p{{M}}*)( ?)[{_TYPED}](?= ?\p{{Latin}})")
_AFTER_WORD = regex.compile(r"(?<=\p{Latin}\p{M}*)\u02bc(?!\p{L})")

_UNIT = regex.compile(r"\X")


def without_invisible(text: str) -> str:
    """Return the text without a character that no one sees; for looking a word up, not for reading it.

    Examples
    --------
    >>> without_invisible("com\u200cmittee\u00ad")
    'committee'
    """
    return text if text.isascii() else _INVISIBLE.sub("", text)


def is_silent(char: str) -> bool:
    """Return whether a character is a mark or one that no one sees: a tokeniser may drop it without losing a word."""
    return not char.isascii() and _SILENT.match(char) is not None


def drop_unseen(text: str) -> str:
    """Return the text without characters that no one sees, but with those that shape what one sees.

    Out go soft hyphens, marks of direction, byte order marks, fillers and all else of the category Cf. What stays
    inside a word: joiners between letters that need them (Arabic and other cursive scripts, India's), behind a virama
    and between pictures; a variation selector behind what has variants; the tags of a flag. A zero-width space between
    letters of Thai, Lao, Khmer or Burmese is the space between two words.

    Parameters
    ----------
    text : str
        In any form; marks may stand by themselves (NFD).

    Examples
    --------
    >>> drop_unseen("com\u200cmit\u00adtee"), len(drop_unseen("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"))
    ('committee', 8)
    """
    if text.isascii():
        return text
    text = _UNSEEN.sub("", _BREAK.sub(" ", text))
    before = None
    while before != text:  # what goes may have held what stands behind it
        before = text
        text = _STRAY_TAG.sub("", _STRAY_SELECTOR.sub("", text))
        text = _STRAY_JOINER.sub("", _MANY_JOINERS.sub(r"\1", text))
    return text


def one_form(text: str) -> str:
    """Return the text with `'` and `-` for the characters that are typed in their place.

    U+FF07 and U+201B are apostrophes everywhere, U+02BC, U+02B9 and the prime between Latin letters, U+2010, U+2011,
    U+FE63 and U+FF0D hyphens. The quotes that Moses knows are left to it.

    Examples
    --------
    >>> one_form("l\u2032homme, don\u02bct, 5\u2032, state\u2011of\u2011the\u2011art")
    "l'homme, don't, 5\u2032, state-of-the-art"
    """
    if text.isascii():
        return text
    text = text.translate(_SAME)
    return _AFTER_WORD.sub("'", _APOSTROPHE.sub(r"\1'", text))


def units(text: str) -> list[str]:
    """Return spaces and grapheme clusters (UAX 29), in order: what one sees as one character is never cut.

    A space is a unit of its own, also where a mark stands behind it or an Arabic number sign before it.

    Examples
    --------
    >>> units("x\u0302 y")
    ['x\u0302', ' ', 'y']
    """
    if text.isascii():
        return list(text)
    first, *others = (_UNIT.findall(part) for part in text.split(" "))
    return first + [unit for part in others for unit in (" ", *part)]
