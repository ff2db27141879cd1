"""quartapp measured against the same application on Flask: `make bench`, `make bench-growth`.

Lives here: the synchronous version (`flask_twin/`), servers and load for both, and the report.
Nothing here is imported by quartapp.
"""
