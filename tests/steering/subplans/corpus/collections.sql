-- Arrays, JSON, full text and ranges.
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.topics @> ARRAY['t3'];
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.topics && ARRAY['t3', 't5'] AND NOT b.topics <@ ARRAY['t1', 't3'];
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE 't3' = ANY (b.topics);
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE 't3' <> ALL (b.topics) AND array_length(b.topics, 1) = 2;
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.topics[1] = 't3' AND b.topics[1:1] <> '{}';
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id WHERE a.id = ANY (ARRAY[b.id, b.id + 1]);
SELECT count(*) FROM member m JOIN book b ON b.id = ANY (m.tags);
SELECT count(*) FROM member m JOIN book b ON b.id = m.tags[1] + 1 WHERE m.tags[2] = 3;
SELECT count(*) FROM member m JOIN typed t ON t.arr && m.tags WHERE m.id < 20 AND t.id < 50;
SELECT count(*) FROM member m JOIN loan l ON l.member_id = m.id WHERE m.tags = ARRAY[1, 1, 1] OR m.tags || 5 = '{0,0,0,5}';
SELECT count(*) FROM member m JOIN loan l ON l.member_id = m.id WHERE ARRAY[m.age, m.town] @> ARRAY[20];
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info ->> 'lang' = 'l3';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info -> 'sizes' ->> 0 = '3' AND (b.info ->> 'isbn')::int > 50;
SELECT count(*) FROM book b JOIN loan l ON l.book_id = (b.info ->> 'isbn')::int WHERE b.year > 1990;
SELECT count(*) FROM book b JOIN member m ON b.info -> 'isbn' = m.card -> 'no';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info @> '{"lang": "l3"}';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info ? 'lang' AND b.info ?| ARRAY['x', 'isbn'] AND b.info ?& ARRAY['lang', 'isbn'];
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info #>> '{sizes,1}' = '4' AND b.info #> '{sizes}' <> '[]';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info @? '$.sizes[*] ? (@ > 7)';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info @@ '$.isbn < 50';
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE jsonb_path_exists(b.info, '$.sizes[*] ? (@ == 3)') AND jsonb_typeof(b.info -> 'isbn') = 'number';
-- from 14
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info['lang'] = '"l3"';
-- from 16
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.info IS JSON OBJECT AND b.title IS NOT JSON;
-- from 17
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE json_exists(b.info, '$.lang') AND json_value(b.info, '$.isbn' RETURNING int) < 50;
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id WHERE b.words @@ to_tsquery('english', 'mouse & home');
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id WHERE b.words @@ 'cat'::tsquery;
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id WHERE b.words @@ plainto_tsquery('english', 'running dogs') AND a.country = 'de';
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id WHERE to_tsvector('simple', a.name) @@ to_tsquery('simple', '17 | 25');
SELECT count(*) FROM book b JOIN author a ON a.id = b.author_id, websearch_to_tsquery('english', 'dog -cat') AS q WHERE b.words @@ q;
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.shelf @> 20;
SELECT count(*) FROM book b JOIN loan l ON b.shelf @> l.days WHERE b.id < 40 AND l.id < 90;
SELECT count(*) FROM book b JOIN book c ON b.shelf && c.shelf WHERE b.id < 30 AND c.id < 60;
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.shelf <@ '[10,30)' AND NOT isempty(b.shelf);
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id WHERE b.shelf << int4range(20, 40) AND lower(b.shelf) > 3;
SELECT count(*) FROM book b JOIN loan l ON l.book_id = b.id AND int4range(b.id - 5, b.id + 5) @> l.day;
SELECT array_agg(b.id ORDER BY b.id), jsonb_object_agg(l.id, b.title) FROM book b JOIN loan l ON l.book_id = b.id WHERE l.days = 5;
