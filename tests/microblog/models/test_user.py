"""People and followers, on both engines."""

import asyncio

import pytest

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.microblog.exceptions import EmailTakenError, NotFoundError, UsernameTakenError
from quartapp.microblog.models.user import find_profile, follow, unfollow, update_user
from quartapp.microblog.testing import AddPerson


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_a_taken_name_or_address_is_a_conflict(add_person: AddPerson) -> None:
    await add_person("susan")
    with pytest.raises(UsernameTakenError):
        await add_person("susan", "other@example.com")
    with pytest.raises(EmailTakenError):
        await add_person("other", "susan@example.com")


async def test_one_of_twenty_wins_a_race_for_a_name(app: App, add_person: AddPerson) -> None:
    people = [await add_person(f"person{number}") for number in range(20)]
    database: DatabaseEngine = app.extensions["database"]

    async def rename(user_id: int) -> str:
        async with database.session() as session:
            await update_user(session, user_id, username="wanted")
        return "won"

    outcomes = await asyncio.gather(*(rename(p.id) for p in people), return_exceptions=True)
    assert outcomes.count("won") == 1
    assert sum(isinstance(outcome, UsernameTakenError) for outcome in outcomes) == 19


async def test_one_of_several_names_that_look_alike_wins_a_race(
    app: App, add_person: AddPerson
) -> None:
    names = ("wanted", "Wanted", "WANTED", "w\u0430nted", "\uff57anted") * 2
    people = [await add_person(f"person{number}") for number in range(len(names))]
    database: DatabaseEngine = app.extensions["database"]

    async def rename(user_id: int, name: str) -> str:
        async with database.session() as session:
            await update_user(session, user_id, username=name)
        return "won"

    renaming = (rename(person.id, name) for person, name in zip(people, names, strict=True))
    outcomes = await asyncio.gather(*renaming, return_exceptions=True)
    assert outcomes.count("won") == 1
    assert sum(isinstance(outcome, UsernameTakenError) for outcome in outcomes) == len(names) - 1
    with pytest.raises(UsernameTakenError):
        await add_person("WaNtEd")


async def test_follows_and_unfollows_once(app: App, add_person: AddPerson) -> None:
    john, susan = await add_person("john"), await add_person("susan")
    async with app.extensions["database"].session() as session:
        assert await follow(session, john.id, susan.id)
        assert not await follow(session, john.id, susan.id)
        profile = await find_profile(session, "susan", john.id)
        assert (profile.follower_count, profile.is_followed) == (1, True)
        assert await unfollow(session, john.id, susan.id)
        assert not await unfollow(session, john.id, susan.id)


@pytest.mark.parametrize("key", ["nobody", "a\0b", "\ud800", 0, -1, 10**30])
async def test_an_impossible_person_is_not_found(app: App, key: str | int) -> None:
    async with app.extensions["database"].session() as session:
        with pytest.raises(NotFoundError):
            await find_profile(session, key)
