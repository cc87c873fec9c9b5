-- Common table expressions, used once or several times, inlined or not.
WITH q AS (SELECT year, count(*) AS n FROM day GROUP BY year) SELECT * FROM q WHERE year = 2002;
WITH q AS (SELECT * FROM book WHERE year > 1990) SELECT count(*) FROM q JOIN loan l ON l.book_id = q.id;
WITH q AS (SELECT * FROM book WHERE year > 1990) SELECT count(*) FROM q a JOIN q b ON a.author_id = b.author_id;
WITH q AS MATERIALIZED (SELECT * FROM book WHERE year > 1990) SELECT count(*) FROM q JOIN loan l ON l.book_id = q.id;
WITH q AS NOT MATERIALIZED (SELECT * FROM book WHERE year > 1990) SELECT count(*) FROM q a JOIN q b ON a.author_id = b.author_id WHERE a.id < 200;
WITH q AS (SELECT * FROM book WHERE year > 1990), r AS (SELECT * FROM q WHERE pages > 100) SELECT count(*) FROM r JOIN author a ON a.id = r.author_id;
WITH q AS (SELECT * FROM book), r AS (SELECT * FROM q), s AS (SELECT * FROM r WHERE year = 1990) SELECT count(*) FROM s JOIN r ON r.id = s.id;
WITH q AS (SELECT b.id, a.country FROM book b JOIN author a ON a.id = b.author_id) SELECT q.country, count(*) FROM q JOIN loan l ON l.book_id = q.id WHERE q.country <> 'de' GROUP BY 1;
WITH q AS (SELECT b.id, a.country FROM book b JOIN author a ON a.id = b.author_id) SELECT x.country, count(*) FROM q x, q y WHERE x.id = y.id + 1 GROUP BY 1;
WITH q AS (SELECT a.country g, count(*) n FROM author a JOIN book b ON b.author_id = a.id GROUP BY a.country) SELECT 1 FROM q JOIN member m ON m.id = q.n WHERE q.g = 'fr';
WITH q AS (SELECT member_id, count(*) n FROM loan GROUP BY member_id) SELECT count(*) FROM q JOIN member m ON m.id = q.member_id WHERE q.n > 4;
WITH q AS (SELECT member_id, count(*) n FROM loan GROUP BY member_id) SELECT count(*) FROM q WHERE n = (SELECT max(n) FROM q);
WITH q AS (SELECT member_id, count(*) n FROM loan GROUP BY member_id) SELECT count(*) FROM q a JOIN q b ON a.n = b.n AND a.member_id < b.member_id;
WITH q AS (SELECT member_id FROM loan WHERE state = 'lost') SELECT count(*) FROM member WHERE id IN (SELECT member_id FROM q) AND id NOT IN (SELECT member_id FROM q WHERE member_id < 50);
WITH q AS (SELECT id FROM member WHERE town = 3) SELECT count(*) FROM loan WHERE member_id IN (SELECT id FROM q) UNION ALL SELECT count(*) FROM visit WHERE member_id IN (SELECT id FROM q);
WITH z AS (SELECT d.id FROM day d WHERE d.year BETWEEN 2001 AND 2002) SELECT * FROM (SELECT d.moy, count(*) FROM day d WHERE d.moy = 11 AND d.id IN (SELECT id FROM z) GROUP BY d.moy UNION ALL SELECT d.moy, count(*) FROM day d WHERE d.moy = 4 AND d.id IN (SELECT id FROM z) GROUP BY d.moy) y;
WITH unused AS (SELECT * FROM loan) SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id;
WITH q (i, t) AS (SELECT id, title FROM book WHERE year = 1980) SELECT t, count(*) FROM q JOIN loan ON book_id = i GROUP BY t;
WITH book AS (SELECT * FROM book WHERE year < 1970) SELECT count(*) FROM book JOIN loan ON loan.book_id = book.id;
WITH q AS (SELECT * FROM book ORDER BY year DESC, id LIMIT 50) SELECT count(*) FROM q JOIN loan l ON l.book_id = q.id WHERE q.pages > 100;
WITH q AS (SELECT DISTINCT author_id FROM book WHERE year > 2000) SELECT count(*) FROM q JOIN author a ON a.id = q.author_id;
WITH q AS (SELECT id, row_number() OVER (PARTITION BY author_id ORDER BY year, id) rn, author_id FROM book) SELECT count(*) FROM q JOIN author a ON a.id = q.author_id WHERE rn = 1;
WITH q AS (VALUES (1, 'a'), (2, 'b'), (30, 'c')) SELECT count(*) FROM q JOIN book b ON b.id = q.column1;
WITH q (n) AS (VALUES (1), (2), (3)) SELECT count(*) FROM q, loan l WHERE l.book_id = q.n;
SELECT count(*) FROM (WITH q AS (SELECT * FROM book WHERE year = 1970) SELECT q.id FROM q) s JOIN loan l ON l.book_id = s.id;
SELECT count(*) FROM author a WHERE EXISTS (WITH q AS (SELECT author_id FROM book WHERE year = 1991) SELECT 1 FROM q WHERE q.author_id = a.id);
-- ordered
WITH a AS (SELECT id FROM author WHERE country = 'de'), b AS (SELECT id, author_id FROM book WHERE author_id IN (SELECT id FROM a)) SELECT count(*) FROM a JOIN b ON b.author_id = a.id;
WITH q AS (SELECT id FROM book WHERE year > 2000) SELECT (SELECT count(*) FROM q), (SELECT max(id) FROM q);
WITH q AS (SELECT l.* FROM loan l WHERE l.day > 500) SELECT count(*) FROM q LEFT JOIN member m ON m.id = q.member_id WHERE m.town = 3;
WITH q AS (SELECT b.* FROM book b) SELECT count(*) FROM q FULL JOIN author a ON a.id = q.author_id;
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT count(*) FROM b, book WHERE book.id = b.x;
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 30) SELECT count(*) FROM r JOIN book b ON b.id = r.n;
WITH RECURSIVE r (n) AS (SELECT 1 UNION SELECT n % 5 + 1 FROM r) SELECT count(*) FROM r JOIN author a ON a.id = r.n WHERE a.country = 'fr';
WITH RECURSIVE r AS (SELECT id, friend_id, 1 AS depth FROM member WHERE id = 5 UNION ALL SELECT m.id, m.friend_id, r.depth + 1 FROM member m JOIN r ON m.id = r.friend_id WHERE r.depth < 6) SELECT count(*) FROM r JOIN loan l ON l.member_id = r.id;
-- from 14
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n % 5 + 1 FROM r) CYCLE n SET seen USING path SELECT count(*) FROM r JOIN author a ON a.id = r.n;
-- from 14
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SEARCH BREADTH FIRST BY n SET ordered SELECT count(*) FROM r JOIN author a ON a.id = r.n;
-- from 14
WITH RECURSIVE r (n, m) AS (SELECT 1, 1 UNION ALL SELECT n + 1, m * 2 FROM r WHERE n < 9) SEARCH DEPTH FIRST BY n, m SET ordered SELECT count(*) FROM r JOIN book b ON b.id = r.m JOIN author a ON a.id = b.author_id;
WITH RECURSIVE q AS (SELECT * FROM book WHERE year = 1985) SELECT count(*) FROM q JOIN loan l ON l.book_id = q.id;
WITH new AS (INSERT INTO nothing SELECT id, year FROM book WHERE year = 1999 RETURNING id) SELECT count(*) FROM new JOIN loan l ON l.book_id = new.id;
WITH gone AS (DELETE FROM copy WHERE no = 3 RETURNING book_id) SELECT count(*) FROM gone JOIN book b ON b.id = gone.book_id WHERE b.year > 1990;
WITH changed AS (UPDATE loan SET days = 0 WHERE state = 'lost' RETURNING *) SELECT count(*) FROM changed c JOIN member m ON m.id = c.member_id;
WITH changed AS (UPDATE loan SET days = 0 WHERE state = 'lost') SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id;
