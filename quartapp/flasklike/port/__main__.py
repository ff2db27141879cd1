"""The command; libcst is imported after it is known to be there."""

import importlib.util
import sys


def main() -> int:
    """Run the command; returns its exit code."""
    if importlib.util.find_spec("libcst") is None:
        print("This needs libcst: pip install libcst", file=sys.stderr)  # noqa: T201
        return 2
    from quartapp.flasklike.port.command import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
