"""Card numbers and bank accounts: numbers that can be misused, known by their check digits."""

import re

from quartapp.redact.secret_names import HIDDEN

_SHAPE = bytes.maketrans(b"123456789-", b"000000000 ")
_SIGNS = (b"0000000000", b"0000 0000")
"""One of them is in each card number and account, if digits are 0 and hyphens spaces."""

_NUMBER = re.compile(
    r"(?<![\w.-])(?:[A-Z]{2}\d\d(?:[ -]?[A-Z0-9]){11,30}|\d(?:[ -]?\d){12,18}(?![\w-]))"
)

# ISO 13616: the countries by the length of their account numbers.
_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK",
        21: "CH CR HR LI LV UA", 22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO",
        24: "AD CZ DZ ES MD PK RO SA SE SK TN VG", 25: "PT ST", 26: "IS TR",
        27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL", 29: "BR EG PS QA",
        30: "JO KW MU", 31: "MT SC",
    }.items()
    for country in countries.split()
}  # fmt: skip


def hide_numbers(text: str) -> str:
    """The text without card numbers (Luhn) and international bank account numbers (ISO 7064)."""
    shape = text.encode("ascii", "replace").translate(_SHAPE)
    if not any(sign in shape for sign in _SIGNS):
        return text
    return _NUMBER.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    text = found[0]
    if text[0].isdigit():
        return HIDDEN if _is_card(_plain(text)) else text
    length = _LENGTHS.get(text[:2], 0)
    end = _end(text, length)
    if not end or not _is_account(_plain(text[:end])):
        return text
    return HIDDEN + text[end:]


def _plain(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def _end(text: str, length: int) -> int:
    """Where a text ends that has so many letters and digits; 0 if it has fewer, or none."""
    for end in range(length, len(text) + 1):
        if length and len(_plain(text[:end])) == length:
            return end
    return 0


def _is_card(digits: str) -> bool:
    """Whether it may be a number of Visa, Mastercard, American Express, Discover, JCB, Diners."""
    two, four, length = int(digits[:2]), int(digits[:4]), len(digits)
    known = {
        13: 40 <= two <= 49,
        14: two in {36, 38} or 3000 <= four <= 3059,
        15: two in {34, 37},
        16: 40 <= two <= 49 or 51 <= two <= 55 or 2221 <= four <= 2720
        or four == 6011 or two == 65 or 3528 <= four <= 3589,
        19: 40 <= two <= 49,
    }  # fmt: skip
    return known.get(length, False) and _luhn(digits)


def _luhn(digits: str) -> bool:
    odd = sum(int(digit) for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _is_account(number: str) -> bool:
    return int("".join(str(int(one, 36)) for one in number[4:] + number[:4])) % 97 == 1
