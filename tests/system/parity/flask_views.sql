DROP TABLE IF EXISTS post;
CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
INSERT INTO post (title) VALUES ('first'), ('<second>');
