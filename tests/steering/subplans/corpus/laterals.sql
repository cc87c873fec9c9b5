-- LATERAL sub-queries and functions that use relations on their left.
SELECT count(*) FROM book b, LATERAL (SELECT l.day FROM loan l WHERE l.book_id = b.id) x WHERE b.year > 1990;
SELECT count(*) FROM book b CROSS JOIN LATERAL (SELECT l.day FROM loan l WHERE l.book_id = b.id AND l.state = 'out') x;
SELECT count(*) FROM book b LEFT JOIN LATERAL (SELECT l.day FROM loan l WHERE l.book_id = b.id AND l.days > 30) x ON true;
SELECT count(*) FROM book b, LATERAL (SELECT l.day FROM loan l WHERE l.book_id = b.id ORDER BY l.day DESC, l.id LIMIT 2) x;
SELECT count(*) FROM book b LEFT JOIN LATERAL (SELECT l.day FROM loan l WHERE l.book_id = b.id ORDER BY l.day DESC LIMIT 1) x ON x.day > 400;
SELECT count(*) FROM book b, LATERAL (SELECT count(*) n FROM loan l WHERE l.book_id = b.id) x WHERE x.n > 2;
SELECT count(*) FROM book b, LATERAL (SELECT l.state, count(*) n FROM loan l WHERE l.book_id = b.id GROUP BY l.state) x WHERE x.n > 1;
SELECT count(*) FROM author a, LATERAL (SELECT b.id FROM book b WHERE b.author_id = a.id) b, LATERAL (SELECT l.id FROM loan l WHERE l.book_id = b.id) l WHERE a.country = 'it';
SELECT count(*) FROM author a, LATERAL (SELECT b.id, b.year + a.id AS y FROM book b WHERE b.author_id = a.id) x WHERE x.y > 2000;
SELECT count(*) FROM author a, LATERAL (SELECT a.id + 1 AS n) x JOIN book b ON b.id = x.n;
SELECT count(*) FROM author a, LATERAL (VALUES (a.id), (a.born)) x (n), book b WHERE b.id = x.n;
SELECT count(*) FROM book b, unnest(b.topics) AS t WHERE t = 't3';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id, unnest(b.topics) AS t (topic) WHERE t.topic = 't1' AND l.days > 10;
SELECT count(*) FROM member m, generate_series(1, m.town) g WHERE g = 4;
SELECT count(*) FROM member m LEFT JOIN LATERAL generate_series(1, m.town) g ON true WHERE m.id < 40;
SELECT count(*) FROM book b LEFT JOIN LATERAL unnest(b.topics) t ON t <> 't1' WHERE b.id < 90;
SELECT count(*) FROM book b, LATERAL (SELECT DISTINCT l.state FROM loan l WHERE l.book_id = b.id) x;
SELECT count(*) FROM book b, LATERAL (SELECT l.id FROM loan l, member m WHERE l.book_id = b.id AND m.id = l.member_id AND m.town = 3) x;
SELECT count(*) FROM book b JOIN LATERAL (SELECT l.id, l.member_id FROM loan l WHERE l.book_id = b.id) x ON true JOIN member m ON m.id = x.member_id WHERE m.age < 30;
SELECT count(*) FROM author a LEFT JOIN LATERAL (SELECT b.id FROM book b LEFT JOIN loan l ON l.book_id = b.id AND l.day > a.id WHERE b.author_id = a.id) x ON true;
SELECT count(*) FROM author a WHERE EXISTS (SELECT 1 FROM book b, LATERAL (SELECT 1 FROM loan l WHERE l.book_id = b.id AND l.day > a.id) x WHERE b.author_id = a.id);
SELECT count(*) FROM book b, LATERAL (SELECT 1 WHERE b.year > 1990) x;
SELECT count(*) FROM author a, LATERAL (SELECT * FROM book b WHERE b.author_id = a.id OFFSET 0) x WHERE x.year > 1970;
SELECT count(*) FROM (SELECT a.id FROM author a) x, LATERAL (SELECT y.id FROM (SELECT b.id, b.author_id FROM book b WHERE b.year < 1980) y WHERE y.author_id = x.id) z;
SELECT count(*) FROM member m, LATERAL (SELECT sum(v.minutes) s FROM visit v WHERE v.member_id = m.id) t WHERE t.s > 100 AND m.level = 'gold';
SELECT count(*) FROM (SELECT count(*) n FROM author) x JOIN book b ON b.id < x.n;
SELECT count(*) FROM (SELECT count(*) n, country c FROM author GROUP BY country) x JOIN book b ON b.id < x.n;
-- Conditions that use relations outside of the LEFT JOIN's own two sides.
SELECT b.id, l.id FROM book b JOIN member m ON m.id = b.pages LEFT JOIN LATERAL (SELECT r.book_id AS x FROM review r WHERE r.book_id = m.town) q ON q.x = b.id LEFT JOIN loan l ON l.id = b.id;
SELECT b.id, l.x FROM author a JOIN book b ON b.author_id = a.id LEFT JOIN LATERAL (SELECT l.days AS x FROM loan l WHERE l.book_id = a.id AND l.days > a.born - 1900) l ON l.x < b.id;
SELECT v.day, m.age FROM (SELECT * FROM visit WHERE day <= 90) v JOIN (SELECT * FROM member WHERE id <= 15) m ON m.id = v.day LEFT JOIN LATERAL (SELECT p.id AS x FROM place p WHERE p.id = m.town AND p.id <= 60) q ON q.x = v.day;
-- A lateral sub-query's condition on a relation that an outer join outside of it makes null.
SELECT d.id, b.id FROM day d LEFT JOIN book b ON b.id = d.id JOIN LATERAL (SELECT m.id AS x FROM member m WHERE m.id = b.pages AND m.id <= 90) q ON q.x = d.id WHERE d.id < 200;
SELECT d.id, m.id FROM day d FULL JOIN member m ON m.id = d.id JOIN LATERAL (SELECT a.id AS x FROM author a WHERE a.id = d.dom) q ON q.x = m.town;
SELECT count(*) FROM author a, LATERAL (SELECT count(*) AS n FROM book b JOIN loan l ON l.book_id = b.id WHERE l.member_id = a.id AND l.days > 35) q;
