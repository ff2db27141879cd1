"""Pages that stay up to date while they are open: `events` is the stream, `feed` what is in it."""
