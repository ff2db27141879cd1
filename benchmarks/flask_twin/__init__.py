"""The synchronous version of this application. Has an environment of its own; see twin.py."""
