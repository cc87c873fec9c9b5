-- Small tables with nulls, skew, keys, a view, partitions and inheritance.
CREATE TABLE makers (id int PRIMARY KEY, town int NOT NULL, age int, name text);
CREATE TABLE parts (id int PRIMARY KEY, maker_id int, kind int NOT NULL, weight int);
CREATE TABLE orders (id int PRIMARY KEY, part_id int NOT NULL, buyer_id int, kind int NOT NULL);
CREATE TABLE marks (id int PRIMARY KEY, part_id int, mark text);
CREATE TABLE days (day int NOT NULL, part_id int, hits int) PARTITION BY RANGE (day);
CREATE TABLE days_early PARTITION OF days FOR VALUES FROM (0) TO (30);
CREATE TABLE days_late PARTITION OF days FOR VALUES FROM (30) TO (100);
CREATE TABLE animals (id int, legs int);
CREATE TABLE birds (wings int) INHERITS (animals);

INSERT INTO makers SELECT i, i % 10, CASE WHEN i % 7 > 0 THEN i % 50 END, 'maker ' || i
FROM generate_series(1, 150) AS i;
INSERT INTO parts SELECT i, CASE WHEN i % 11 > 0 THEN 1 + i * 7 % 150 END, i % 5, i % 97
FROM generate_series(1, 400) AS i;
INSERT INTO orders SELECT i, 1 + (i * i) % 400, CASE WHEN i % 9 > 0 THEN 1 + i * 3 % 150 END, i % 3
FROM generate_series(1, 800) AS i;
INSERT INTO marks SELECT i, CASE WHEN i % 9 > 0 THEN 1 + i * 5 % 400 END, 'mark ' || i % 40
FROM generate_series(1, 300) AS i;
INSERT INTO days SELECT i % 100, 1 + i % 400, i % 10 FROM generate_series(1, 500) AS i;
INSERT INTO animals SELECT i, 4 FROM generate_series(1, 60) AS i;
INSERT INTO birds SELECT i, 2, 2 FROM generate_series(1, 90) AS i;

CREATE INDEX ON parts (maker_id);
CREATE INDEX ON orders (part_id);
CREATE VIEW heavy AS SELECT p.id, p.maker_id FROM parts AS p WHERE p.weight > 60;
ANALYZE;
