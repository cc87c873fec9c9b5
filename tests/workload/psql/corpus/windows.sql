-- name: first
SELECT 1;

SELECT 2 -- two

     , '3;
';
\set x 4
SELECT :x
