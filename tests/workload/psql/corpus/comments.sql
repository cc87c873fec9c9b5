-- A comment; with a semicolon, before the first statement.

/* A hint or a heading is sent; */ SELECT 1;
SELECT 2 -- in the middle; kept
     , 3 /* nested /* twice /* ; */ ; */ ; */;

-- dropped
   -- dropped as well, /* and no block begins here
SELECT 4;;;
/* nothing but a comment */;
SELECT 5 /* ' " $$ \echo */ + /**/ 6 /***/ ;

SELECT 7

     , 8
  
     , 9;
SELECT (10; 11), [12; 13];
SELECT ) (; ) 14;
/*+ SeqScan(t) */
SELECT 15; SELECT 16 -- trailing
