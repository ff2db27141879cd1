"""The applications here are material: they are ported into a temporary folder and tested there."""

collect_ignore = ["applications"]
