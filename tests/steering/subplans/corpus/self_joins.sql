-- Joins of a table with itself, by keys (removed from PostgreSQL 18 on) and others.
SELECT count(*) FROM book x JOIN book y ON x.id = y.id JOIN loan l ON l.book_id = y.id WHERE x.year = 1999;
SELECT count(*) FROM book x JOIN book y ON x.id = y.id WHERE x.year > 1990 AND y.pages < 300;
SELECT count(*) FROM book x JOIN book y USING (id) JOIN book z USING (id) WHERE z.year > 1990;
SELECT x.title, y.year FROM book x, book y WHERE x.id = y.id AND x.author_id = 17;
SELECT count(*) FROM book x LEFT JOIN book y ON x.id = y.id WHERE x.year > 1990;
SELECT count(*) FROM book x LEFT JOIN book y ON x.id = y.id AND y.pages > 100 WHERE x.year > 1990;
SELECT count(*) FROM book x WHERE EXISTS (SELECT 1 FROM book y WHERE y.id = x.id AND y.year = 1999);
SELECT count(*) FROM book x WHERE x.id IN (SELECT y.id FROM book y WHERE y.year > 1999) AND x.pages > 50;
SELECT count(*) FROM copy x JOIN copy y ON x.book_id = y.book_id AND x.no = y.no WHERE y.worn;
SELECT count(*) FROM copy x JOIN copy y ON x.book_id = y.book_id AND x.no < y.no;
SELECT count(*) FROM copy x JOIN copy y ON x.book_id = y.book_id AND x.no = 1 AND y.no = 1;
SELECT count(*) FROM member m JOIN member f ON f.id = m.friend_id WHERE f.age > m.age;
SELECT count(*) FROM member m JOIN member f ON f.id = m.friend_id JOIN member g ON g.id = f.friend_id WHERE g.town = 3;
SELECT count(*) FROM member a JOIN member b ON a.email = b.email;
SELECT count(*) FROM member a JOIN member b ON a.email = b.email AND a.email IS NOT NULL AND b.email IS NOT NULL;
SELECT count(*) FROM book, book AS "book_1", loan WHERE book.id = book_1.id AND loan.book_id = book_1.id;
SELECT count(*) FROM book AS b JOIN book AS b_1 ON b.author_id = b_1.author_id WHERE b.year = 1999 AND b_1.year = 1980;
SELECT count(*) FROM (SELECT * FROM book b WHERE b.year > 1990) x JOIN (SELECT * FROM book b WHERE b.pages > 200) y ON x.author_id = y.author_id;
SELECT count(*) FROM (SELECT * FROM book b WHERE b.year > 1990) x JOIN (SELECT * FROM book b WHERE b.pages > 200) y ON x.id = y.id JOIN loan b ON b.book_id = x.id;
SELECT count(*) FROM loan a JOIN loan b ON a.book_id = b.book_id AND a.id < b.id JOIN loan c ON c.member_id = b.member_id AND c.id > b.id;
-- The classes of a removed relation are not combined with those of the one that stays.
SELECT count(*) FROM member a JOIN member b ON b.id = a.id JOIN author d ON d.id = b.town WHERE a.town = 4;
SELECT count(*) FROM author a JOIN member b ON b.town = a.id JOIN member c ON c.id = b.id JOIN day d ON d.id = c.town WHERE d.id = 3;
SELECT b.id FROM author a, member b LEFT JOIN member c ON c.id = b.id WHERE b.town = a.born - 1900 AND c.town = 4 AND NOT EXISTS (SELECT 1 FROM day d WHERE d.id = b.town AND d.moy < 4);
SELECT b.id FROM member b JOIN member c ON c.id = b.id LEFT JOIN day d ON d.id = b.town WHERE b.town = 4 AND c.town < 6;
