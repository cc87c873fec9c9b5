CREATE TABLE t (a int, b text);
COPY t FROM STDIN;
1	one; 'two'
2	\\.
3	$$
\.
copy public."T" (a, "b c") from stdin with (format csv, header); -- the comment is read later
a,b
1,"x;
y"
\.
COPY t FROM '/tmp/file; of the server';
COPY t TO STDOUT;
COPY (SELECT a FROM t) TO STDOUT;
/* loads */ COPY binary t FROM stdin; SELECT 'after the data';
\.
COPY t -- comment
  FROM /* there */ STDIN
\g
9	nine
\.
SELECT 'last';
COPY t FROM STDIN;
10	without an end
