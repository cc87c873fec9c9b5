-- Tables small enough to be made at once, and large enough that plans differ.
CREATE TABLE users (id int PRIMARY KEY, city int NOT NULL, age int, name text);
CREATE TABLE posts (id int PRIMARY KEY, owner_id int, kind int NOT NULL, score int);
CREATE TABLE votes (id int PRIMARY KEY, post_id int NOT NULL, user_id int, kind int NOT NULL);
CREATE TABLE tags (id int PRIMARY KEY, post_id int, name text);
CREATE TABLE days (day int NOT NULL, post_id int, hits int) PARTITION BY RANGE (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (25);
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (25) TO (50);
CREATE TABLE days_3 PARTITION OF days FOR VALUES FROM (50) TO (100);
CREATE TABLE weather (day int NOT NULL, rain int) PARTITION BY RANGE (day);
CREATE TABLE weather_1 PARTITION OF weather FOR VALUES FROM (0) TO (25);
CREATE TABLE weather_2 PARTITION OF weather FOR VALUES FROM (25) TO (50);
CREATE TABLE weather_3 PARTITION OF weather FOR VALUES FROM (50) TO (100);
CREATE TABLE animals (id int, legs int);
CREATE TABLE birds (wings int) INHERITS (animals);

INSERT INTO users SELECT i, i % 20, CASE WHEN i % 7 > 0 THEN i % 50 END, 'user ' || i
FROM generate_series(1, 1000) AS i;
INSERT INTO posts SELECT i, CASE WHEN i % 11 > 0 THEN 1 + i * 7 % 1000 END, i % 5, i % 97
FROM generate_series(1, 5000) AS i;
INSERT INTO votes SELECT i, 1 + i * 13 % 5000, 1 + i * 3 % 1000, i % 3
FROM generate_series(1, 10000) AS i;
INSERT INTO tags SELECT i, CASE WHEN i % 9 > 0 THEN 1 + i * 5 % 5000 END, 'tag ' || i % 40
FROM generate_series(1, 4000) AS i;
INSERT INTO days SELECT i % 100, 1 + i % 5000, i % 10 FROM generate_series(1, 6000) AS i;
INSERT INTO weather SELECT i % 100, i % 13 FROM generate_series(1, 600) AS i;
INSERT INTO animals SELECT i, 4 FROM generate_series(1, 300) AS i;
INSERT INTO birds SELECT i, 2, 2 FROM generate_series(1, 700) AS i;

CREATE INDEX ON posts (owner_id);
CREATE INDEX ON posts (kind);
CREATE INDEX ON votes (post_id);
CREATE INDEX ON votes (user_id);
CREATE INDEX ON tags (post_id);
CREATE INDEX ON days (day);
CREATE INDEX ON weather (day);
CREATE VIEW good_posts AS SELECT p.id, p.owner_id FROM posts AS p WHERE p.score > 90;
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM posts WHERE score > 50;
ANALYZE;
