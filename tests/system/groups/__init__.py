"""Exception groups on several frameworks: `make groups` prints the table of docs/groups.md.

The other frameworks are in an environment of their own, which `make groups` makes. The tests run
only those that are installed here.
"""
