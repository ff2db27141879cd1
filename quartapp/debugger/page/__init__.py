"""What a developer sees of a failure: frames, source, variables, and a prompt in each frame.

Knows nothing of HTTP, addresses or permissions; `server` decides who sees and runs what. Of
quartapp it imports only `redact`.
"""
