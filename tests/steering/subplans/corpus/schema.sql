-- A library: small tables of every kind. Below 2,000 rows a table, the same data on every server.
DO $$
BEGIN
    CREATE ROLE corpus_reader;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

CREATE TYPE level AS ENUM ('bronze', 'silver', 'gold');
CREATE TYPE span AS (low int, high int);
CREATE DOMAIN stars AS int CHECK (VALUE BETWEEN 1 AND 5);
CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 40);

CREATE TABLE author (id int PRIMARY KEY, name short_text NOT NULL, born int, country text NOT NULL);
CREATE TABLE member (
    id int PRIMARY KEY, name text NOT NULL, town int NOT NULL, age int, level level NOT NULL,
    email text, joined date NOT NULL, balance numeric(8, 2), tags int[], card jsonb,
    friend_id int REFERENCES member
);
CREATE TABLE book (
    id int PRIMARY KEY, title text NOT NULL, author_id int REFERENCES author, year int NOT NULL,
    pages int, price numeric(8, 2) NOT NULL, topics text[], info jsonb, words tsvector,
    shelf int4range
);
CREATE TABLE loan (
    id int PRIMARY KEY, book_id int NOT NULL REFERENCES book, member_id int REFERENCES member,
    day int NOT NULL, days int, state text NOT NULL
);
CREATE TABLE review (
    id int PRIMARY KEY, book_id int NOT NULL, member_id int NOT NULL, rating stars, body text,
    UNIQUE (book_id, member_id)
);
CREATE TABLE copy (
    book_id int NOT NULL REFERENCES book, no int NOT NULL, place_id int, worn boolean,
    PRIMARY KEY (book_id, no)
);
CREATE TABLE day (id int PRIMARY KEY, year int NOT NULL, moy int NOT NULL, dom int NOT NULL);
CREATE TABLE visit (member_id int, day int NOT NULL, minutes int) PARTITION BY RANGE (day);
CREATE TABLE visit_first PARTITION OF visit FOR VALUES FROM (0) TO (200);
CREATE TABLE visit_second PARTITION OF visit FOR VALUES FROM (200) TO (400)
    PARTITION BY HASH (member_id);
CREATE TABLE visit_second_even PARTITION OF visit_second FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE visit_second_odd PARTITION OF visit_second FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE visit_rest PARTITION OF visit DEFAULT;
CREATE TABLE sale (region text NOT NULL, book_id int, n int) PARTITION BY LIST (region);
CREATE TABLE sale_north PARTITION OF sale FOR VALUES IN ('north');
CREATE TABLE sale_south PARTITION OF sale FOR VALUES IN ('south', 'south-east');
CREATE TABLE sale_rest PARTITION OF sale DEFAULT;
CREATE TABLE place (id int, name text, town int);
CREATE TABLE branch (seats int) INHERITS (place);
CREATE TABLE van (wheels int) INHERITS (place);
CREATE TABLE account (id int PRIMARY KEY, member_id int, owner int NOT NULL, amount int NOT NULL);
CREATE TABLE typed (
    id int PRIMARY KEY, i2 smallint, i8 bigint, n numeric, f double precision, t text,
    v varchar(20), c char(8), d date, at timestamptz, b boolean, u uuid, s span, arr int[]
);
CREATE TABLE "Odd Table" (
    "Id" int PRIMARY KEY, "select" int, "a b" text, "q""q" int, "x#y" int, "Ünï" int, book_id int
);
CREATE TABLE nothing (id int, x int);
CREATE TABLE big_name_of_a_table_that_is_nearly_as_long_as_names_may_be_here (id int, book_id int);

INSERT INTO author SELECT i, 'author ' || i, CASE WHEN i % 6 > 0 THEN 1850 + i * 7 % 140 END,
    (ARRAY['de', 'fr', 'de', 'it', 'de', 'es'])[1 + i % 6] FROM generate_series(1, 80) AS i;
INSERT INTO member SELECT i, 'member ' || i % 200, i * i % 13, CASE WHEN i % 7 > 0 THEN 14 + i % 60 END,
    (ARRAY['bronze', 'bronze', 'silver', 'gold'])[1 + i % 4]::level,
    CASE WHEN i % 3 > 0 THEN 'm' || i || '@example.org' END, date '2020-01-01' + i,
    CASE WHEN i % 5 > 0 THEN i % 90 + 0.25 END, ARRAY[i % 3, i % 5, i % 7],
    jsonb_build_object('no', i, 'kind', i % 4, 'limits', jsonb_build_array(i % 3, i % 6)), NULL
FROM generate_series(1, 300) AS i;
UPDATE member SET friend_id = 1 + id * 3 % 300 WHERE id % 4 > 0;
INSERT INTO book SELECT i, 'book ' || i % 150, CASE WHEN i % 9 > 0 THEN 1 + i * i % 80 END,
    1950 + i % 70, CASE WHEN i % 8 > 0 THEN 50 + i * 3 % 400 END, 5 + i % 40 + 0.5,
    ARRAY['t' || i % 4, 't' || i % 9], jsonb_build_object('isbn', i, 'lang', 'l' || i % 5, 'sizes',
    jsonb_build_array(i % 4, i % 9)),
    to_tsvector('english', CASE WHEN i % 9 = 0 THEN 'a mouse ran home' WHEN i % 4 = 0 THEN
    'dogs are running' ELSE 'the cat sat still' END), int4range(i % 50, i % 50 + i % 7)
FROM generate_series(1, 400) AS i;
INSERT INTO loan SELECT i, 1 + i * i % 400, CASE WHEN i % 10 > 0 THEN 1 + i * 7 % 300 END, i * 3 % 600,
    CASE WHEN i % 4 > 0 THEN 1 + i % 40 END, (ARRAY['back', 'back', 'back', 'out', 'lost'])[1 + i % 5]
FROM generate_series(1, 1200) AS i;
INSERT INTO review SELECT i, 1 + i * 3 % 400, 1 + i * 11 % 300, CASE WHEN i % 9 > 0 THEN 1 + i % 5 END,
    'body ' || i % 31 FROM generate_series(1, 600) AS i ON CONFLICT DO NOTHING;
INSERT INTO copy SELECT b, n, CASE WHEN (b + n) % 6 > 0 THEN 1 + (b * 5 + n) % 120 END, (b + n) % 4 = 0
FROM generate_series(1, 350) AS b, generate_series(1, 3) AS n WHERE n <= 1 + b % 3;
INSERT INTO day SELECT i, 2000 + i / 120, 1 + i / 10 % 12, 1 + i % 28 FROM generate_series(0, 599) AS i;
INSERT INTO visit SELECT CASE WHEN i % 12 > 0 THEN 1 + i * 7 % 300 END, i * 7 % 600, i % 90
FROM generate_series(1, 900) AS i;
INSERT INTO sale SELECT (ARRAY['north', 'south', 'north', 'south-east', 'west'])[1 + i % 5],
    1 + i * 3 % 400, i % 20 FROM generate_series(1, 600) AS i;
INSERT INTO place SELECT i, 'place ' || i, i % 13 FROM generate_series(1, 60) AS i;
INSERT INTO branch SELECT i, 'branch ' || i, i % 13, i % 50 FROM generate_series(61, 110) AS i;
INSERT INTO van SELECT i, 'van ' || i, i % 13, 4 FROM generate_series(111, 130) AS i;
INSERT INTO account SELECT i, 1 + i * 7 % 300, i % 4, i % 100 FROM generate_series(1, 400) AS i;
INSERT INTO typed SELECT i, i % 50, i, i % 60, i % 40 + 0.5, 'T' || i % 30, 'v' || i % 25, 'c' || i % 20,
    date '2020-01-01' + i % 100, timestamptz '2020-01-01 00:00+00' + i * interval '7 hours', i % 3 = 0,
    ('00000000-0000-0000-0000-' || lpad((i % 90)::text, 12, '0'))::uuid,
    ROW (i % 6, i % 11)::span, ARRAY[i % 4, i % 6] FROM generate_series(1, 300) AS i;
INSERT INTO "Odd Table" SELECT i, i % 9, 'word ' || i % 12, i % 5, i % 7, i % 4, 1 + i * 3 % 400
FROM generate_series(1, 150) AS i;
INSERT INTO big_name_of_a_table_that_is_nearly_as_long_as_names_may_be_here
SELECT i, 1 + i * 5 % 400 FROM generate_series(1, 120) AS i;

CREATE INDEX ON book (author_id);
CREATE INDEX ON book (lower(title));
CREATE INDEX ON book USING gin (words);
CREATE INDEX ON loan (book_id);
CREATE INDEX ON loan (member_id) WHERE state = 'out';
CREATE INDEX ON review (member_id);
CREATE INDEX ON visit (member_id);
CREATE UNIQUE INDEX ON member (email) WHERE email IS NOT NULL;
CREATE INDEX ON day (year, moy);
CREATE INDEX ON typed (i8);
CREATE STATISTICS book_parts (dependencies, ndistinct, mcv) ON year, pages FROM book;

CREATE VIEW adult AS SELECT m.id, m.name, m.town, m.age FROM member AS m WHERE m.age >= 18;
CREATE VIEW open_loan AS
SELECT l.id, l.day, b.title, b.author_id, m.town FROM loan AS l
JOIN book AS b ON b.id = l.book_id JOIN member AS m ON m.id = l.member_id WHERE l.state = 'out';
CREATE VIEW loans_of_book AS
SELECT book_id, count(*) AS loans, max(day) AS last_day FROM loan GROUP BY book_id;
CREATE VIEW any_event AS
SELECT member_id, day, 'loan' AS kind FROM loan UNION ALL SELECT member_id, day, 'visit' FROM visit;
CREATE VIEW town_list AS SELECT DISTINCT town FROM member;
CREATE VIEW guarded_book WITH (security_barrier) AS
SELECT id, title, author_id, year FROM book WHERE year > 1980;
CREATE VIEW author_with_books AS
SELECT a.id, a.name, b.id AS book_id, b.year FROM author AS a LEFT JOIN book AS b ON b.author_id = a.id;
CREATE VIEW view_of_view AS SELECT * FROM adult WHERE town < 6;

CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2';
CREATE FUNCTION is_thick(pages int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
'BEGIN RETURN pages > 200; END';
CREATE FUNCTION books_since(y int) RETURNS SETOF book LANGUAGE sql STABLE AS
'SELECT * FROM book WHERE year >= y';
CREATE FUNCTION some_ids(n int) RETURNS SETOF int LANGUAGE plpgsql STABLE ROWS 20 AS
'BEGIN RETURN QUERY SELECT generate_series(1, n); END';
CREATE FUNCTION id_and_name(n int) RETURNS TABLE (id int, name text) LANGUAGE plpgsql STABLE ROWS 30 AS
'BEGIN RETURN QUERY SELECT g, ''n'' || g FROM generate_series(1, n) AS g; END';
CREATE FUNCTION this_year() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1999';
CREATE FUNCTION any_number() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 3; END';

ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON account TO corpus_reader USING (owner = 1 OR amount > 90);
ALTER TABLE review ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_adults ON review TO corpus_reader
USING (member_id IN (SELECT m.id FROM member AS m WHERE m.age > 30));
GRANT SELECT ON ALL TABLES IN SCHEMA public TO corpus_reader;

-- The planner's numbers must not change while they are compared.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', name);
    END LOOP;
END
$$;
ANALYZE;
