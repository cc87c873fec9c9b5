-- Views: simple, joined, grouped, with a set operation, with a security barrier, nested.
SELECT count(*) FROM adult a JOIN loan l ON l.member_id = a.id WHERE a.town = 3;
SELECT count(*) FROM adult JOIN loan ON loan.member_id = adult.id WHERE adult.age < 30;
SELECT count(*) FROM open_loan o JOIN author a ON a.id = o.author_id WHERE o.town < 5;
SELECT count(*) FROM open_loan o WHERE o.day > 300;
SELECT count(*) FROM open_loan o, open_loan p WHERE o.author_id = p.author_id AND o.id < p.id;
SELECT count(*) FROM open_loan o LEFT JOIN author a ON a.id = o.author_id AND a.country = 'fr';
SELECT count(*) FROM author a LEFT JOIN open_loan o ON a.id = o.author_id AND o.town = 4;
SELECT count(*) FROM book b JOIN loans_of_book x ON x.book_id = b.id WHERE x.loans > 3;
SELECT count(*) FROM loans_of_book WHERE book_id < 50;
SELECT count(*) FROM loans_of_book WHERE book_id = 41;
SELECT count(*) FROM book b JOIN loans_of_book x ON x.book_id = b.id JOIN author a ON a.id = b.author_id WHERE x.last_day > 550 AND a.country = 'de';
SELECT count(*) FROM any_event WHERE day BETWEEN 100 AND 200;
SELECT count(*) FROM any_event WHERE kind = 'loan' AND member_id = 8;
SELECT count(*) FROM town_list t JOIN member m ON m.town = t.town WHERE t.town > 6;
SELECT count(*) FROM guarded_book g JOIN loan l ON l.book_id = g.id WHERE g.year < 2000;
SELECT count(*) FROM guarded_book g JOIN guarded_book h ON h.author_id = g.author_id;
SELECT count(*) FROM guarded_book WHERE is_thick(id);
SELECT count(*) FROM author_with_books x JOIN loan l ON l.book_id = x.book_id WHERE x.year > 1999;
SELECT count(*) FROM author_with_books x LEFT JOIN loan l ON l.book_id = x.book_id WHERE x.id < 20;
SELECT count(*) FROM author_with_books WHERE book_id IS NULL;
SELECT count(*) FROM view_of_view v JOIN visit i ON i.member_id = v.id;
SELECT count(*) FROM view_of_view v WHERE EXISTS (SELECT 1 FROM open_loan o WHERE o.town = v.town);
SELECT count(*) FROM view_of_view v WHERE v.town IN (SELECT town FROM town_list WHERE town > 2);
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r';
SELECT count(*) FROM information_schema.tables t WHERE t.table_schema = 'public' AND t.table_type = 'VIEW';
-- A view with a security barrier inside a sub-query that stays a relation.
SELECT q.year, a.id FROM (SELECT DISTINCT g.year, g.author_id FROM guarded_book g WHERE EXISTS (SELECT 1 FROM loan l WHERE l.book_id = g.id AND l.day < 90)) q JOIN author a ON a.id = q.author_id;
