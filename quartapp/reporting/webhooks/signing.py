"""Signatures of messages, by the specification Standard Webhooks 1.0; pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hashlib
import hmac
from base64 import b64encode


def headers(message_id: str, body: bytes, key: bytes, now: float) -> list[tuple[str, str]]:
    """The header fields of a message; without a key it is not signed.

    `message_id` is the same at each try, and has no full stop, which separates what is signed.
    """
    fields = [("webhook-id", message_id), ("webhook-timestamp", str(int(now)))]
    if key:
        signed = f"{message_id}.{int(now)}.".encode() + body
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        fields.append(("webhook-signature", f"v1,{b64encode(digest).decode()}"))
    return fields
