"""Where errors arrive: from signals, the log, responses, the loop, threads and the process.

This room knows Quart and the request under way, and hands both to the recorder. Not here: what a
report says (`capture`) and where it is kept (`journal`).
"""
