"""One POST to the endpoint of a webhook, and what came of it.

The name is resolved once, every address that it has is checked, and the connection is made to an
address that was checked: what the name leads to a moment later does not matter. The certificate
must be that of the name. Nothing is followed, no proxy is used, nothing is decompressed, and
neither a slow nor a long answer costs more than the limits here.
"""

import asyncio
import functools
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import h11

from quartapp.mail.delivery import Outcome
from quartapp.mail.strings import one_line
from quartapp.reporting.endpoint import Endpoint
from quartapp.reporting.webhooks.addresses import why_refused
from quartapp.reporting.webhooks.formats import Message
from quartapp.reporting.webhooks.signing import headers

SECONDS = 10.0
"""The limit of an exchange, from the question for the address to the answer."""

BATCH_SECONDS = 50.0
"""After this time no further message is begun, so that a batch ends within its lease."""

MAX_BYTES = 65_536
"""The most that is read of an answer."""

_CONNECT_SECONDS = 3.0
_WORDS = 300
_SAID = 1500
_CHUNK = 4096

# Answers that are about the moment, not about the message: too many requests, for example.
_LATER = {408, 425, 429}

_FAILURES = (OSError, ValueError, h11.ProtocolError)


async def deliver(messages: Sequence[Message], endpoint: Endpoint) -> list[Outcome]:
    """Post messages, each over a connection; an outcome for each, in their order. Never raises.

    A failure that is not about a message is that of all the others too.
    """
    until = time.monotonic() + BATCH_SECONDS
    outcomes: list[Outcome] = []
    rest = Outcome(tried=False)
    for message in messages:
        outcomes.append(await _post(message, endpoint))
        if outcomes[-1].error and not outcomes[-1].rejected:
            rest = outcomes[-1]
            break
        if time.monotonic() >= until:
            break
    return outcomes + [rest] * (len(messages) - len(outcomes))


async def check(endpoint: Endpoint) -> str:
    """Connect as for a message, and post nothing; returns what is wrong, or ""."""
    try:
        async with asyncio.timeout(SECONDS), _connected(endpoint):
            return ""
    except (*_FAILURES, TimeoutError) as error:
        return _text(error)


async def _post(message: Message, endpoint: Endpoint) -> Outcome:
    try:
        async with asyncio.timeout(SECONDS), _connected(endpoint) as (reader, writer):
            status, words = await _exchange(message, endpoint, reader, writer)
    except (*_FAILURES, TimeoutError) as error:
        return Outcome(_text(error))
    if 200 <= status <= 299:
        return Outcome()
    redirect = ", a redirect, which is not followed" if 300 <= status <= 399 else ""
    text = one_line(f"it answered {status}{redirect}: {words}", 400)
    return Outcome(text.rstrip(": "), rejected=status < 500 and status not in _LATER)


@asynccontextmanager
async def _connected(
    endpoint: Endpoint,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = None
    if endpoint.tls:
        context = endpoint.context or await asyncio.to_thread(_default_context)
    failure: OSError = OSError(f"{endpoint.host} has no address")
    for address in await _addresses(endpoint):
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                # By the address: it is not asked for again. The certificate is that of the name.
                reader, writer = await asyncio.open_connection(
                    address,
                    endpoint.port,
                    limit=_CHUNK,
                    ssl=context,
                    server_hostname=endpoint.host if context else None,
                )
        except OSError as error:  # and TimeoutError
            failure = error if str(error) else OSError(f"{address} did not answer in time")
            continue
        try:
            yield reader, writer
        finally:
            writer.transport.abort()  # without waiting for what the other side says
        return
    raise failure


@functools.cache
def _default_context() -> ssl.SSLContext:
    """It reads some hundred certificates: call it in a thread."""
    return ssl.create_default_context()


async def _addresses(endpoint: Endpoint) -> list[str]:
    """The addresses of the host. Raises OSError if one of them is not allowed."""
    found = await asyncio.get_running_loop().getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM
    )
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if why := why_refused(address, allows_private=endpoint.allows_private):
            raise OSError(f"nothing is sent to {endpoint.host}: {why}")
    return addresses


async def _exchange(
    message: Message,
    endpoint: Endpoint,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> tuple[int, str]:
    """Send the message; returns the status of the answer, and its first words if it failed."""
    connection = h11.Connection(h11.CLIENT)
    fields = [
        ("Host", endpoint.authority),
        ("User-Agent", "quartapp"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(message.body))),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        *headers(message.id, message.body, endpoint.key, time.time()),
    ]
    request = h11.Request(method="POST", target=endpoint.target, headers=fields)
    for part in (request, h11.Data(data=message.body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    response: h11.Response | None = None
    said, received = b"", 0
    while received <= MAX_BYTES and len(said) <= _SAID:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            if response is None:
                raise
            break  # its first words are enough
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK)
            received += len(data)
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            response = event
            if 200 <= response.status_code <= 299 or _is_encoded(response):
                break  # there is nothing to learn of the rest
        elif isinstance(event, h11.Data):
            said += event.data
        elif not isinstance(event, h11.InformationalResponse):
            break
    if response is None:
        raise ValueError("it answered nothing that is HTTP")
    # Scrubbed before it is cut: a secret at the cut would not be found.
    scrubbed = endpoint.scrub(f"{_decoded(response.reason)}: {_decoded(said)}")
    return response.status_code, one_line(scrubbed, _WORDS)


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _is_encoded(response: h11.Response) -> bool:
    return any(name == b"content-encoding" for name, _ in response.headers)


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"there was no whole answer within {SECONDS:.0f} seconds"
    return one_line(f"{type(error).__name__}: {error}", 400)
