"""Losses and leaks on purpose: the table must report each of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import delete, insert, select, update

from quartapp.microblog.models import Post, User
from quartapp.reporting.tables import ErrorGroup
from tests.system.faults.table.row import Fault
from tests.system.faults.table.site import Site


@asynccontextmanager
async def nothing(_site: Site) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def delete_post(site: Site) -> AsyncIterator[None]:
    yield
    async with site.database.session() as session:
        text = min(site.ledger.acknowledged)
        await session.execute(delete(Post).where(Post.body == text))
        await session.commit()


@asynccontextmanager
async def double_post(site: Site) -> AsyncIterator[None]:
    yield
    async with site.database.session() as session:
        author = await session.scalar(select(User.id))
        text = max(site.ledger.acknowledged)
        await session.execute(insert(Post).values(user_id=author, body=text))
        await session.commit()


def _recount(more: int) -> Fault:
    @asynccontextmanager
    async def recount(site: Site) -> AsyncIterator[None]:
        yield
        async with site.database.session() as session:
            await session.execute(update(ErrorGroup).values(count=ErrorGroup.count + more))
            await session.commit()

    doing = "added" if more > 0 else "taken away"
    return Fault(f"{abs(more)} errors {doing}", "UPDATE", recount, 1.0)


@asynccontextmanager
async def leak(site: Site) -> AsyncIterator[None]:
    await site.server.ask("/leak")
    yield


@asynccontextmanager
async def hang(site: Site) -> AsyncIterator[None]:
    """Every ping fails."""
    site.ledger.pings_failed += 1
    yield


FAULTS = (
    Fault("an acknowledged post is deleted", "DELETE", delete_post, 1.0),
    Fault("a post is stored twice", "INSERT", double_post, 1.0),
    _recount(-100),
    _recount(100),
    Fault("tasks and files are leaked", "50 of each", leak, 1.0),
    Fault("a ping fails", "in the ledger", hang, 1.0),
)


@asynccontextmanager
async def several(site: Site) -> AsyncIterator[None]:
    async with delete_post(site), double_post(site), _recount(-100).inject(site), leak(site):
        yield


SEVERAL = Fault("several at once", "for a test", several, 0.5)
