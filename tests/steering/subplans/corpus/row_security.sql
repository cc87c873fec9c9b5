-- Tables with row security, read by a role that it holds for.
-- role: corpus_reader
SELECT count(*) FROM account a JOIN member m ON m.id = a.member_id;
-- role: corpus_reader
SELECT count(*) FROM account a WHERE a.amount < 50;
-- role: corpus_reader
SELECT count(*) FROM account a JOIN member m ON m.id = a.member_id WHERE a.amount > 30 AND m.town = 4;
-- role: corpus_reader
SELECT count(*) FROM account a, account b WHERE a.member_id = b.member_id AND a.id < b.id;
-- role: corpus_reader
SELECT count(*) FROM member m LEFT JOIN account a ON a.member_id = m.id WHERE m.age > 50;
-- role: corpus_reader
SELECT count(*) FROM review r JOIN book b ON b.id = r.book_id;
-- role: corpus_reader
SELECT count(*) FROM review r JOIN account a ON a.member_id = r.member_id WHERE r.rating > 2;
-- role: corpus_reader
SELECT count(*) FROM book b WHERE EXISTS (SELECT 1 FROM review r WHERE r.book_id = b.id);
-- role: corpus_reader
SELECT count(*) FROM account a WHERE is_thick(a.amount) OR a.id < 20;
-- role: corpus_reader
SELECT count(*) FROM loan l JOIN book b ON b.id = l.book_id WHERE b.year = 1990;
SELECT count(*) FROM account a JOIN member m ON m.id = a.member_id;
SELECT count(*) FROM review r JOIN book b ON b.id = r.book_id WHERE r.rating = 5;
