"""Statements, each made from a number: SELECTs of many forms, changes, and statements that fail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import (
    Integer,
    String,
    bindparam,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    text,
    union_all,
    update,
)

from quartapp.database import dialect
from quartapp.database.types import Id, UTCDateTime
from tests.system.units.tables import Person, counters, follows, notes, people, things


@dataclass(frozen=True)
class Statement:
    """`takes` are its parameters with the kinds of their values; `may_take` can be left out.

    `returns` says whether it has rows, `writes` whether it changes some; without `in_order` the
    rows have no order.
    """

    element: Any
    takes: dict[str, str] = field(default_factory=dict)
    may_take: dict[str, str] = field(default_factory=dict)
    writes: bool = False
    returns: bool = True
    in_order: bool = True


Build = Callable[[Random, bool], Statement]
SELECTS: list[Build] = []
CHANGES: list[Build] = []
FAULTS: list[Build] = []

PERSON = {
    "name": "name",
    "email": "text",
    "about": "text",
    "joined": "time",
    "seen": "time",
    "is_admin": "flag",
    "epoch": "small",
}
NOTE = {"body": "text", "at": "time", "digest": "name", "revision": "small"}
THING = {
    "colour": "colour",
    "raw": "raw",
    "ratio": "ratio",
    "price": "price",
    "day": "day",
    "extra": "json",
}


def one_of(kinds: list[Build]) -> Callable[[Build], Build]:
    def enter(build: Build) -> Build:
        kinds.append(build)
        return build

    return enter


def build(number: int, *, for_sqlite: bool) -> Statement:
    """The statement of a number, which is the same for both databases as far as they agree."""
    random = Random(number)
    chance = random.random()
    kinds = SELECTS if chance < 0.55 else CHANGES if chance < 0.95 else FAULTS
    return random.choice(kinds)(random, for_sqlite)


def some(random: Random, columns: Any) -> list[Any]:
    columns = list(columns)
    chosen: list[Any] = random.sample(columns, random.randrange(1, len(columns) + 1))
    return chosen


@one_of(SELECTS)
def a_row(random: Random, _: bool) -> Statement:
    source, kinds = random.choice(((people, PERSON), (notes, NOTE), (things, {})))
    chosen = some(random, source.c)
    name = random.choice(["id", *(key for key in kinds if key != "email")])
    compared = source.c[name] == bindparam(
        "wanted", type_=random.choice((source.c[name].type, None))
    )
    statement = select(*chosen).where(compared).order_by(source.c.id)
    return Statement(statement, {"wanted": kinds.get(name, "id")})


@one_of(SELECTS)
def a_page(random: Random, _: bool) -> Statement:
    source = random.choice((people, notes, things))
    limit = bindparam("most", type_=Integer)
    key = bindparam("key", type_=Id)
    chosen = select(*some(random, source.c)).where(source.c.id < key)
    statement = chosen.order_by(source.c.id.desc()).limit(random.choice((limit, 2)))
    takes = {"key": "id"}
    if "most" in statement.compile().params:
        takes["most"] = "count"
    if random.random() < 0.3:
        statement = statement.offset(bindparam("skipped", type_=Integer))
        takes["skipped"] = "count"
    return Statement(statement, takes)


@one_of(SELECTS)
def keys_first(_: Random, __: bool) -> Statement:
    author = bindparam("author", type_=Id)
    whom = select(follows.c.followed_id).where(follows.c.follower_id == author)
    keys = notes.alias("chosen").c
    chosen = select(keys.id).where(keys.person_id.in_(whom.union_all(select(author))))
    limited = chosen.order_by(keys.id.desc()).limit(bindparam("most", type_=Integer))
    rows = select(notes.c.id, notes.c.body, notes.c.at, people.c.name).join_from(notes, people)
    statement = rows.where(notes.c.id.in_(limited)).order_by(notes.c.id.desc())
    return Statement(statement, {"author": "id", "most": "count"})


@one_of(SELECTS)
def a_profile(random: Random, _: bool) -> Statement:
    number = select(func.count()).where(notes.c.person_id == people.c.id).correlate(people)
    follower = follows.c.follower_id == bindparam("viewer", type_=random.choice((Id, None)))
    followed = exists().where(follows.c.followed_id == people.c.id, follower).correlate(people)
    statement = select(
        people.c.id,
        people.c.joined,
        number.scalar_subquery().label("number"),
        followed.label("is_followed"),
        people.c.email.is_not(None),
        people.c.is_admin,
    ).where(people.c.name == bindparam("name"))
    return Statement(statement, {"viewer": "id", "name": "name"})


@one_of(SELECTS)
def a_join(random: Random, _: bool) -> Statement:
    other = people.alias()
    statement = (
        select(*some(random, notes.c), people.c.id, other.c.id, people.c.seen)
        .join_from(notes, people, notes.c.person_id == people.c.id)
        .outerjoin(other, other.c.id == people.c.epoch)
        .order_by(notes.c.id, people.c.id, other.c.id)
    )
    return Statement(statement)


@one_of(SELECTS)
def an_aggregate(random: Random, _: bool) -> Statement:
    chosen = some(
        random,
        (
            func.count(),
            func.count(people.c.email),
            func.max(people.c.joined),
            func.min(people.c.seen),
            func.sum(people.c.epoch),
            func.avg(people.c.epoch),
            func.max(people.c.name),
            func.coalesce(func.max(people.c.seen), bindparam("begin", type_=UTCDateTime)),
        ),
    )
    statement = select(*chosen)
    takes = {"begin": "time"} if "begin" in statement.compile().params else {}
    if random.random() < 0.3:
        statement = statement.add_columns(people.c.is_admin).group_by(people.c.is_admin)
        return Statement(statement.order_by(people.c.is_admin), takes)
    return Statement(statement, takes)


@one_of(SELECTS)
def one_of_a_list(random: Random, _: bool) -> Statement:
    ids: Any = random.choice(([1, 2, 2**40], [], bindparam("ids", expanding=True)))
    statement = select(people.c.id, people.c.name).where(people.c.id.in_(ids)).order_by(people.c.id)
    return Statement(statement, {} if isinstance(ids, list) else {"ids": "ids"})


@one_of(SELECTS)
def a_union(_: Random, __: bool) -> Statement:
    first = select(people.c.id, people.c.name.label("what"), people.c.joined.label("at"))
    second = select(notes.c.id, notes.c.body, notes.c.at).where(notes.c.id > bindparam("key"))
    return Statement(union_all(first, second), {"key": "id"}, in_order=False)


@one_of(SELECTS)
def words(random: Random, _: bool) -> Statement:
    written = text("SELECT id, epoch, name FROM people WHERE id > :key ORDER BY id")
    if random.random() < 0.5:
        written = written.columns(column("id", Id), people.c.epoch, people.c.name)  # type: ignore[assignment]
    return Statement(written, {"key": "id"})


@one_of(SELECTS)
def expressions(random: Random, _: bool) -> Statement:
    given = bindparam("given", type_=String)
    chosen = some(
        random,
        (
            case((people.c.is_admin, people.c.name), else_=given),
            func.upper(people.c.name),
            func.length(people.c.name),
            literal(7).label("seven"),
            literal("100%").label("percent"),
            literal(None).label("nothing"),
            cast(people.c.epoch, String),
            people.c.epoch + 1,
            (people.c.epoch > 0).label("positive"),
            people.c.name + "!",
            people.c.name.like("%u%"),
        ),
    )
    statement = select(people.c.id, *chosen).where(
        or_(people.c.email.is_not_distinct_from(given), people.c.name == given)
    )
    return Statement(statement.order_by(people.c.id), {"given": "text"})


@one_of(SELECTS)
def from_a_common_table(random: Random, _: bool) -> Statement:
    most = select(notes.c.person_id, func.count().label("number")).group_by(notes.c.person_id)
    counted = most.having(func.count() >= bindparam("least")).cte("counted")
    statement = select(people.c.id, counted.c.number).join(
        counted, counted.c.person_id == people.c.id
    )
    return Statement(statement.order_by(people.c.id).distinct(), {"least": "count"})


@one_of(SELECTS)
def all_of(random: Random, _: bool) -> Statement:
    source = random.choice((people, notes, things, follows, counters))
    return Statement(select(source).order_by(*source.primary_key))


@one_of(SELECTS)
def of_entities(random: Random, _: bool) -> Statement:
    chosen: Any = random.choice(((Person.id, Person.name), (Person.joined, Person.seen), (Person,)))
    return Statement(select(*chosen).where(Person.id == bindparam("key")), {"key": "id"})


@one_of(CHANGES)
def add_a_person(random: Random, for_sqlite: bool) -> Statement:
    takes = {"id": "id", "name": "name"}
    more = {key: kind for key, kind in PERSON.items() if key != "name"}
    if random.random() < 0.3:
        return Statement(insert(people).values(epoch=5), takes, more, writes=True, returns=False)
    statement: Any = insert(people)
    if random.random() < 0.5:
        statement = dialect.insert(people, for_sqlite).on_conflict_do_nothing()
    return Statement(statement, takes, more, writes=True, returns=False)


@one_of(CHANGES)
def add_a_note(random: Random, for_sqlite: bool) -> Statement:
    takes = {"id": "id", "person_id": "id"}
    statement: Any = dialect.insert(notes, for_sqlite)
    chance = random.random()
    if chance < 0.3:
        statement = statement.on_conflict_do_nothing()
    elif chance < 0.6:
        new = {"body": statement.excluded.body, "revision": notes.c.revision + 1}
        statement = statement.on_conflict_do_update(index_elements=["id"], set_=new)
    if random.random() < 0.4:
        returned = some(random, notes.c)
        return Statement(statement.returning(*returned), takes, NOTE, writes=True, in_order=False)
    return Statement(statement, takes, NOTE, writes=True, returns=False)


@one_of(CHANGES)
def add_a_thing(_: Random, __: bool) -> Statement:
    return Statement(insert(things), {"id": "id"}, THING, writes=True, returns=False)


@one_of(CHANGES)
def follow(random: Random, for_sqlite: bool) -> Statement:
    statement = dialect.insert(follows, for_sqlite)
    if random.random() < 0.5:
        statement = statement.on_conflict_do_nothing()
    takes = {"follower_id": "id", "followed_id": "id"}
    return Statement(statement, takes, writes=True, returns=False)


@one_of(CHANGES)
def add_for_an_owner(_: Random, for_sqlite: bool) -> Statement:
    owner = select(people.c.id, bindparam("id", type_=Id), bindparam("body", type_=String)).where(
        people.c.id == bindparam("owner_id"), people.c.epoch == bindparam("owner_epoch")
    )
    statement = dialect.insert(notes, for_sqlite).from_select(
        ["person_id", "id", "body"], owner.with_for_update(read=True)
    )
    takes = {"id": "id", "body": "text", "owner_id": "id", "owner_epoch": "small"}
    return Statement(statement.on_conflict_do_nothing(), takes, writes=True, returns=False)


@one_of(CHANGES)
def change_columns(random: Random, _: bool) -> Statement:
    source, kinds = random.choice(((people, PERSON), (notes, NOTE), (things, THING)))
    statement: Any = update(source).where(source.c.id == bindparam("changed_id"))
    if random.random() < 0.3:
        chosen = some(random, source.c)
        statement = statement.returning(*chosen)
        return Statement(statement, {"changed_id": "id"}, kinds, writes=True)
    return Statement(statement, {"changed_id": "id"}, kinds, writes=True, returns=False)


@one_of(CHANGES)
def change_by_values(random: Random, _: bool) -> Statement:
    is_kept = people.c.name == bindparam("new", type_=people.c.name.type)
    values: Any = random.choice(
        (
            {"epoch": people.c.epoch + 1},
            {"about": case((is_kept, people.c.about), else_=bindparam("new"))},
            {"seen": bindparam("now", type_=UTCDateTime), "is_admin": True},
            {"seen": bindparam("now")},
        )
    )
    statement = update(people).where(people.c.id <= bindparam("key")).values(values)
    named = {"new": "text", "now": "time", "key": "id"}
    takes = {name: kind for name, kind in named.items() if name in statement.compile().params}
    return Statement(statement, takes, writes=True, returns=False)


@one_of(CHANGES)
def count_up(_: Random, __: bool) -> Statement:
    statement = update(counters).where(counters.c.id == bindparam("key", type_=Integer))
    change = statement.values(total=counters.c.total + bindparam("by", type_=Id))
    return Statement(change, {"key": "count", "by": "small"}, writes=True, returns=False)


@one_of(CHANGES)
def remove(random: Random, _: bool) -> Statement:
    source = random.choice((people, notes, follows, things))
    key = next(iter(source.primary_key))
    statement: Any = delete(source).where(key == bindparam("key"))
    if source is notes and random.random() < 0.5:
        oldest = select(notes.c.id).where(notes.c.at <= bindparam("now")).order_by(notes.c.id)
        statement = delete(notes).where(notes.c.id.in_(oldest.limit(2)))
        return Statement(statement, {"now": "time"}, writes=True, returns=False)
    if random.random() < 0.3:
        return Statement(statement.returning(key), {"key": "id"}, writes=True, in_order=False)
    return Statement(statement, {"key": "id"}, writes=True, returns=False)


@one_of(FAULTS)
def of_no_table(random: Random, _: bool) -> Statement:
    return Statement(select(table("nowhere", column("x")).c.x))


@one_of(FAULTS)
def of_no_column(random: Random, _: bool) -> Statement:
    return Statement(select(table("people", column("nothing")).c.nothing))


@one_of(FAULTS)
def of_bad_words(random: Random, _: bool) -> Statement:
    return Statement(text("SELEC id FROM people"))


@one_of(FAULTS)
def a_division(random: Random, _: bool) -> Statement:
    by = bindparam("by", type_=Integer)
    return Statement(select(people.c.epoch / by).order_by(people.c.id), {"by": "small"})


@one_of(FAULTS)
def a_change_that_fails(random: Random, _: bool) -> Statement:
    statement = update(people).values(name=None).where(people.c.id == bindparam("key"))
    return Statement(statement, {"key": "id"}, writes=True, returns=False)
