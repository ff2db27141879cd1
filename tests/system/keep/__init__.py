"""Backups under load, against a ledger of acknowledged writes."""
