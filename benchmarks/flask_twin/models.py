"""The tables as the tutorial declares them. The schema is made by quartapp's migrations."""

from datetime import UTC, datetime

import sqlalchemy as sa
from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm as so

db = SQLAlchemy()

followers = sa.Table(
    "followers",
    db.metadata,
    sa.Column("follower_id", sa.BigInteger, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("followed_id", sa.BigInteger, sa.ForeignKey("users.id"), primary_key=True),
)


def aware(moment: datetime) -> datetime:
    """Add UTC, because SQLite stores no time zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class User(UserMixin, db.Model):
    __tablename__ = "users"

    id: so.Mapped[int] = so.mapped_column(sa.BigInteger, primary_key=True)
    username: so.Mapped[str] = so.mapped_column(sa.String(64), unique=True)
    email: so.Mapped[str] = so.mapped_column(sa.String(120), unique=True)
    password_hash: so.Mapped[str] = so.mapped_column(sa.String(256))
    about_me: so.Mapped[str] = so.mapped_column(sa.String(140))
    created_at: so.Mapped[datetime] = so.mapped_column(sa.DateTime(timezone=True))
    last_seen: so.Mapped[datetime] = so.mapped_column(sa.DateTime(timezone=True))

    posts: so.WriteOnlyMapped["Post"] = so.relationship(back_populates="author")
    following: so.WriteOnlyMapped["User"] = so.relationship(
        secondary=followers,
        primaryjoin=followers.c.follower_id == id,
        secondaryjoin=followers.c.followed_id == id,
        back_populates="followers",
    )
    followers: so.WriteOnlyMapped["User"] = so.relationship(
        secondary=followers,
        primaryjoin=followers.c.followed_id == id,
        secondaryjoin=followers.c.follower_id == id,
        back_populates="following",
    )

    def is_following(self, user: "User") -> bool:
        query = self.following.select().where(User.id == user.id)
        return db.session.scalar(query) is not None

    def count(self, what: str) -> int:
        related = getattr(self, what).select().subquery()
        return db.session.scalar(sa.select(sa.func.count()).select_from(related)) or 0

    def following_posts(self, tuned: bool) -> sa.Select[tuple["Post"]]:
        """Without the tutorial's GROUP BY, which reads every post there is."""
        followed = sa.select(followers.c.followed_id).where(followers.c.follower_id == self.id)
        if tuned:
            authors = followed.union_all(sa.select(sa.literal(self.id)))
            return sa.select(Post).where(Post.user_id.in_(authors))
        return sa.select(Post).where((Post.user_id == self.id) | Post.user_id.in_(followed))


class Post(db.Model):
    __tablename__ = "posts"

    id: so.Mapped[int] = so.mapped_column(sa.BigInteger, primary_key=True)
    body: so.Mapped[str] = so.mapped_column(sa.String(140))
    timestamp: so.Mapped[datetime] = so.mapped_column(sa.DateTime(timezone=True))
    user_id: so.Mapped[int] = so.mapped_column(sa.BigInteger, sa.ForeignKey(User.id))

    author: so.Mapped[User] = so.relationship(back_populates="posts")


class ApiToken(db.Model):
    __tablename__ = "api_tokens"

    id: so.Mapped[int] = so.mapped_column(sa.BigInteger, primary_key=True)
    digest: so.Mapped[str] = so.mapped_column(sa.String(64), unique=True)
    user_id: so.Mapped[int] = so.mapped_column(sa.BigInteger, sa.ForeignKey(User.id))
    expires_at: so.Mapped[datetime] = so.mapped_column(sa.DateTime(timezone=True))
