-- Functions, VALUES, ORDINALITY, ROWS FROM and TABLESAMPLE in FROM.
SELECT count(*) FROM generate_series(1, 50) g JOIN book b ON b.id = g;
SELECT count(*) FROM generate_series(1, 50) AS g (n) JOIN book b ON b.id = g.n WHERE g.n > 10;
SELECT count(*) FROM generate_series(1, 50) AS n, generate_series(1, 3) AS m, book b WHERE b.id = n * m;
SELECT count(*) FROM some_ids(20) AS s JOIN loan l ON l.id = s;
SELECT count(*) FROM some_ids(20) JOIN loan l ON l.id = some_ids;
SELECT count(*) FROM id_and_name(9) x JOIN author a ON a.id = x.id WHERE x.name <> 'n3';
SELECT count(*) FROM id_and_name(9) AS x (i, n) JOIN author a ON a.id = x.i;
SELECT count(*) FROM books_since(2000) b JOIN loan l ON l.book_id = b.id;
SELECT count(*) FROM books_since(2000) b WHERE b.pages > 100;
SELECT count(*) FROM books_since(this_year()) b JOIN author a ON a.id = b.author_id;
SELECT count(*) FROM author a, books_since(1900 + a.id) b WHERE b.author_id = a.id;
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id, unnest(b.topics) WITH ORDINALITY AS u (x, o) WHERE u.o = 2 AND b.year = 1999;
SELECT count(*) FROM generate_series(10, 20) WITH ORDINALITY AS g (n, o) JOIN book b ON b.id = g.o;
SELECT count(*) FROM ROWS FROM (generate_series(1, 9), generate_series(1, 4)) AS r (a, b) JOIN book k ON k.id = r.a WHERE r.b IS NULL;
SELECT count(*) FROM ROWS FROM (unnest(ARRAY[1, 2, 3]), some_ids(5)) WITH ORDINALITY AS r (a, b, o), author t WHERE t.id = r.b;
SELECT count(*) FROM unnest(ARRAY[1, 2, 3, 3], ARRAY['a', 'b', 'c', 'd']) AS u (n, t) JOIN author a ON a.id = u.n;
SELECT count(*) FROM (VALUES (1, 'x'), (2, 'y'), (7, NULL)) AS v (id, t) JOIN author a ON a.id = v.id;
SELECT count(*) FROM (VALUES (1), (2), (NULL)) AS v (id) LEFT JOIN author a ON a.id = v.id;
SELECT count(*) FROM (VALUES (1)) AS v (id) JOIN author a ON a.id = v.id;
SELECT count(*) FROM json_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS j (a int, b text) JOIN author a ON a.id = j.a;
SELECT count(*) FROM jsonb_array_elements('[1, 2, 3]') j JOIN author a ON a.id = j::int;
SELECT count(*) FROM jsonb_each('{"a": 1, "b": 2}') j JOIN author a ON a.id = j.value::int;
SELECT count(*) FROM book b, jsonb_array_elements_text(b.info -> 'sizes') s WHERE s = '3';
SELECT count(*) FROM member m, jsonb_to_record(m.card) AS r (no int, kind int) WHERE r.kind = 2;
SELECT count(*) FROM regexp_split_to_table('1,2,3,4', ',') p JOIN author a ON a.id = p::int;
-- from 14
SELECT count(*) FROM string_to_table('1 2 3', ' ') p JOIN author a ON a.id::text = p;
SELECT count(*) FROM book b, to_tsquery('english', 'mouse') q WHERE b.words @@ q;
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id, to_tsquery('english', 'mouse') q WHERE b.words @@ q;
SELECT count(*) FROM loan l JOIN book b ON b.id = l.book_id, twice(20) t WHERE l.days = t;
SELECT count(*) FROM book b, this_year() y WHERE b.year > y;
SELECT count(*) FROM book b, current_date d JOIN member m ON m.joined < d WHERE b.id = m.id;
SELECT count(*) FROM book b TABLESAMPLE SYSTEM (100) REPEATABLE (3) JOIN loan l ON l.book_id = b.id;
SELECT count(*) FROM book b TABLESAMPLE BERNOULLI (100) JOIN loan l ON l.book_id = b.id WHERE b.year > 1990;
SELECT count(*) FROM book b TABLESAMPLE BERNOULLI (50) REPEATABLE (7) JOIN loan l ON l.book_id = b.id WHERE l.days > 20;
-- from 17
SELECT count(*) FROM JSON_TABLE('[{"n": 1}, {"n": 5}]'::jsonb, '$[*]' COLUMNS (n int PATH '$.n')) j JOIN author a ON a.id = j.n;
-- from 17
SELECT count(*) FROM book b, JSON_TABLE(b.info, '$.sizes[*]' COLUMNS (s int PATH '$')) j WHERE j.s = 3 AND b.year > 1980;
SELECT (x.g).id FROM (SELECT id_and_name(4) AS g) x JOIN author a ON a.id = (x.g).id;
SELECT count(*) FROM (SELECT generate_series(1, 9) AS n) x JOIN author a ON a.id = x.n;
SELECT count(*) FROM (SELECT id, unnest(topics) AS t FROM book) x JOIN loan l ON l.book_id = x.id WHERE x.t = 't2';
SELECT count(*) FROM book b TABLESAMPLE system ((SELECT 100)) WHERE b.pages > 100;
SELECT count(*) FROM author a, LATERAL (SELECT b.id FROM book b TABLESAMPLE bernoulli ((SELECT 100 + count(*) * 0 FROM copy)) REPEATABLE ((SELECT 7)) WHERE b.author_id = a.id) q;
SELECT count(*) FROM author a, generate_series((SELECT min(c.book_id) FROM copy c), 9) g WHERE g = a.id;
SELECT count(*) FROM author a, LATERAL (SELECT b.id FROM book b TABLESAMPLE bernoulli (100 + a.id * 0) WHERE b.author_id = a.id) q;
