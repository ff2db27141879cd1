"""`make operate-walk` follows the documents for operators on a machine that has nothing of ours."""
