"""The synchronous version of this application, in a separate environment; see twin.py."""
