-- Statements that hold a SELECT, and those that change rows.
CREATE TABLE made AS SELECT b.id, l.day FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
CREATE TEMP TABLE made AS SELECT b.id, count(*) AS n FROM book b JOIN loan l ON l.book_id = b.id GROUP BY b.id;
CREATE TABLE made (i, d) AS SELECT b.id, l.day FROM book b JOIN loan l ON l.book_id = b.id WITH NO DATA;
CREATE MATERIALIZED VIEW made AS SELECT b.id, l.day FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
SELECT b.id, l.day INTO made FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
DECLARE c CURSOR FOR SELECT b.id, l.day FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT b.id FROM book b JOIN author a ON a.id = b.author_id WHERE a.country = 'fr';
EXPLAIN SELECT b.id, l.day FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
INSERT INTO nothing SELECT b.id, l.id FROM book b JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
INSERT INTO nothing (x) SELECT l.day FROM loan l WHERE EXISTS (SELECT 1 FROM book b WHERE b.id = l.book_id AND b.year = 1999) RETURNING x;
INSERT INTO nothing VALUES (1, 2), (3, 4);
INSERT INTO author SELECT b.id + 1000, b.title, NULL, 'de' FROM book b JOIN loan l ON l.book_id = b.id WHERE l.days = 5 ON CONFLICT (id) DO NOTHING;
WITH q AS (SELECT id FROM book WHERE year = 1999) INSERT INTO nothing SELECT q.id, l.day FROM q JOIN loan l ON l.book_id = q.id;
UPDATE loan l SET days = 1 FROM book b WHERE b.id = l.book_id AND b.year = 1999;
UPDATE loan l SET days = 1 FROM book b JOIN author a ON a.id = b.author_id WHERE b.id = l.book_id AND a.country = 'it' RETURNING l.id, a.name;
UPDATE book SET pages = (SELECT count(*) FROM loan l WHERE l.book_id = book.id) WHERE year = 1999;
UPDATE book b SET pages = 1 WHERE EXISTS (SELECT 1 FROM loan l WHERE l.book_id = b.id AND l.state = 'lost');
UPDATE visit v SET minutes = 0 FROM member m WHERE m.id = v.member_id AND m.town = 3 AND v.day < 100;
UPDATE author SET born = 1 WHERE country = 'fr';
DELETE FROM review r USING book b WHERE b.id = r.book_id AND b.year = 1999;
DELETE FROM review r USING book b LEFT JOIN author a ON a.id = b.author_id WHERE b.id = r.book_id AND a.country = 'de';
DELETE FROM review WHERE book_id IN (SELECT id FROM book WHERE year < 1960) RETURNING id;
DELETE FROM review r WHERE NOT EXISTS (SELECT 1 FROM loan l WHERE l.book_id = r.book_id AND l.member_id = r.member_id);
DELETE FROM visit v USING member m WHERE m.id = v.member_id AND m.age < 20;
-- from 15
MERGE INTO review r USING book b ON b.id = r.book_id WHEN MATCHED AND b.year > 1990 THEN UPDATE SET body = 'x' WHEN NOT MATCHED THEN DO NOTHING;
-- from 15
MERGE INTO nothing n USING (SELECT b.id FROM book b JOIN author a ON a.id = b.author_id WHERE a.country = 'fr') s ON s.id = n.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1);
-- from 15
MERGE INTO copy c USING book b ON b.id = c.book_id AND b.year = 1999 WHEN MATCHED THEN DELETE;
VALUES (1, 'a'), (2, 'b');
SELECT 1;
SELECT now() IS NOT NULL, (SELECT 2);
VALUES ((SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id));
