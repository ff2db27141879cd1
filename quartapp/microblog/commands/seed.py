"""Fill a database with realistic people and posts, the same ones every time."""

import asyncio
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import click
from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.microblog.commands.tools import with_database
from quartapp.microblog.models import Post, User, followers
from quartapp.microblog.models.base import Base, utc_now
from quartapp.microblog.names import keys_of
from quartapp.microblog.password_rules import password_fault
from quartapp.microblog.passwords import hash_now

# fmt: off
_FIRST = (
    "ada", "alan", "barbara", "brian", "carol", "dennis", "donald", "edsger", "elena", "frances",
    "grace", "guido", "hedy", "ivan", "james", "john", "karen", "ken", "larry", "leslie", "lin",
    "margaret", "niklaus", "olga", "peter", "radia", "rasmus", "sophie", "susan", "tim", "ursula",
    "victor", "wendy", "xavier", "yukihiro",
)
_LAST = (
    "ash", "birch", "brook", "cloud", "dune", "ember", "fern", "field", "frost", "glen", "harbor",
    "hazel", "heath", "hill", "isle", "lake", "marsh", "meadow", "moss", "north", "oak", "pine",
    "reed", "ridge", "river", "rowan", "sage", "shore", "stone", "vale", "west", "willow",
)
# fmt: on
_OPENINGS = (
    "Today I learned that",
    "Note to self:",
    "Is it only me, or",
    "Three hours later:",
    "I can finally say that",
    "Nobody told me that",
    "After a long walk I think",
    "Small victory:",
)
_SUBJECTS = (
    "the rotating log",
    "a rolled-back session",
    "the event loop",
    "my sourdough",
    "a well-named function",
    "the night train",
    "the rubber duck",
    "an unawaited coroutine",
    "the neighbour's cat",
    "the error mail of 3 a.m.",
)
_ENDINGS = (
    "deserves more respect.",
    "was right all along.",
    "makes everything simpler.",
    "is worth every minute.",
    "needs another coffee.",
    "taught me patience.",
    "is beautiful in the rain. ☔",
    "never sleeps.",
)
_CHUNK = 1000


@click.command("seed")
@click.option("--people", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--posts", default=2000, show_default=True, type=click.IntRange(0, 10_000_000))
@click.option(
    "--seed",
    "number",
    default=1,
    show_default=True,
    help="Another seed makes other people and texts.",
)
@click.option(
    "--password",
    default="cat-on-the-mat",
    show_default=True,
    help="The password of everyone added.",
)
def seed(people: int, posts: int, number: int, password: str) -> None:
    """Fill the database with people who follow each other, and posts.

    The same numbers make the same people and texts. Names that are taken already are left out.
    """
    if fault := password_fault(password):
        raise click.BadParameter(fault, param_hint="--password")
    added = with_database(lambda database: _seed(database, people, posts, number, password))
    click.echo(f"Added {added} people and {posts if added else 0} posts.")
    if added:
        click.echo(f"Log in as {username(0)!r} with the password {password!r}.")


def username(number: int) -> str:
    """The name of the n-th person. The first is 'susan', as in the tutorial."""
    if number == 0:
        return "susan"
    turn, place = divmod(number, len(_FIRST) * len(_LAST))
    first, last = _FIRST[place % len(_FIRST)], _LAST[place // len(_FIRST)]
    return f"{first}_{last}{turn or ''}"


async def _seed(
    database: DatabaseEngine, people: int, posts: int, number: int, password: str
) -> int:
    chance = random.Random(number)
    password_hash = await asyncio.to_thread(hash_now, password)
    async with database.begin() as session:
        taken = set(await session.scalars(select(User.username)))
        like = set(await session.scalars(select(User.skeleton)))
        names = [
            name
            for name in map(username, range(people))
            if name not in taken and keys_of(name).skeleton not in like
        ]
        if not names:
            return 0
        with click.progressbar(length=len(names) + posts, label="Seeding", file=sys.stderr) as bar:
            rows = _people(names, password_hash, chance)
            await _insert(session, User, rows, bar)
            made = await session.scalars(
                select(User.id).where(User.password_hash == password_hash).order_by(User.id)
            )
            ids = list(made)
            await _insert(session, followers, _follows(ids, chance))
            rows = _posts(ids, posts, chance)
            await _insert(session, Post, rows, bar)
    return len(names)


def _people(
    names: Sequence[str], password_hash: str, chance: random.Random
) -> Iterator[dict[str, Any]]:
    now = utc_now()
    for name in names:
        joined = now - timedelta(minutes=chance.randrange(60, 500_000))
        yield {
            "username": name,
            **keys_of(name)._asdict(),
            "email": f"{name}@example.com",
            "password_hash": password_hash,
            "about_me": _sentence(chance),
            "created_at": joined,
            "last_seen": now - timedelta(minutes=chance.randrange(1, 60)),
            "is_admin": False,
            "login_epoch": 0,
        }


def _follows(ids: Sequence[int], chance: random.Random) -> Iterator[dict[str, Any]]:
    for person in ids:
        for other in chance.sample(ids, min(len(ids), 12)):
            if other != person:
                yield {"follower_id": person, "followed_id": other}


def _posts(ids: Sequence[int], count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    moment = utc_now() - timedelta(seconds=37 * count)
    for _ in range(count):
        moment += timedelta(seconds=37)
        yield {"body": _sentence(chance), "timestamp": moment, "user_id": chance.choice(ids)}


def _sentence(chance: random.Random) -> str:
    return f"{chance.choice(_OPENINGS)} {chance.choice(_SUBJECTS)} {chance.choice(_ENDINGS)}"


async def _insert(
    session: AsyncSession,
    target: type[Base] | Table,
    rows: Iterator[dict[str, Any]],
    bar: Any = None,
) -> None:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            await _flush(session, target, chunk, bar)
    await _flush(session, target, chunk, bar)


async def _flush(
    session: AsyncSession, target: type[Base] | Table, chunk: list[dict[str, Any]], bar: Any
) -> None:
    if chunk:
        await session.execute(insert(target), chunk)
        if bar is not None:
            bar.update(len(chunk))
        chunk.clear()
