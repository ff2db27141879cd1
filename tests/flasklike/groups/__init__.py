"""Exception groups against a second implementation of their rules; see docs/groups.md."""
