\set limit 10
\set name 'O''Hara; "x"' \set path 'a\\b'
\set both :limit 5
\echo starting; it's all right
\timing on
\pset format unaligned
SELECT :limit, :'name', :"name", :'path', :{?limit}, :{?nothing}, :nothing, :'nothing', :"nothing";
SELECT a::int, b[1:2], b[:limit], ':limit', "x:limit", $$:limit$$, /* :limit */ :both;
\set columns 'a, b; SELECT c'
SELECT :columns, d;
\unset limit
SELECT :limit \g
\g
SELECT 'second' AS x \gx
SELECT 1 \; SELECT 2 \; SELECT 3;
SELECT a \: b;
SELECT 4
\echo between
     , 5 \echo at the end of a line
     , 6;
SELECT 7 \r
SELECT 8;
\if :{?name}
SELECT 'taken';
\if off
SELECT 'not; taken' ; SELECT ( ;
\elif f
SELECT 'nor this';
\else
SELECT 'else';
\endif
\else
\if true
SELECT 'in a branch that is skipped';
\endif
SELECT 'other';
\endif
SELECT 9 +
\if no
  10
\else
  11
\endif
  + 12;
\set greeting 'SELECT 13;' \\ :greeting SELECT 14;
SELECT 15 \q
SELECT 'never';
