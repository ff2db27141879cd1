"""What to say where the libraries of an extra of this distribution are missing."""

import re
from importlib.metadata import PackageNotFoundError, requires


def needs(extra: str) -> str:
    """The end of a sentence: `needs the extra "redis": pip install "redis>=5.2,<8" ...`.

    The command names the libraries and not this distribution, whose name may belong to someone else
    on a package index.
    """
    command = " ".join(f'"{library}"' for library in _libraries(extra))
    return f'needs the extra "{extra}"' + (f": pip install {command}" if command else "")


def _libraries(extra: str) -> list[str]:
    try:
        declared = requires("quartapp") or []
    except PackageNotFoundError:  # a copy that is not installed
        return []
    of_extra = re.compile(rf"""\bextra == ["']{extra}["']""")
    parted = (line.partition(";") for line in declared)
    return [library.strip() for library, _, marker in parted if of_extra.search(marker)]
