-- Every kind of quote, each with a semicolon inside.
SELECT 'one; two', 'it''s; fine', '', ';';
SELECT E'tab\t; quote \'; backslash \\', e'\'', E'two''quotes\\';
SELECT U&'d\0061t\0061; \', U&"na\006De;", u&'!0041' UESCAPE '!';
SELECT B'01;01', X'1F;F', N'national; text', b'', x'';
SELECT "quoted; name", "with ""quotes;""", """";
SELECT $$dollar; 'quote'$$, $tag$ $$ ; $tagged$ ; $tag$, $Ümlaut$;$Ümlaut$;
SELECT a$b$;
SELECT c$d$ AS "a name may hold a dollar sign", $1, $2;
SELECT 1$q$;$q$;
PREPARE p AS SELECT $1$x$;$x$;
SELECT 'continued; '
       'on the next line;';
SELECT 'blank lines

stay; in a string', $$

and; here$$;
SELECT 'naïve; ☃', "schöne; Namen", größe FROM maße;
SELECT date'2024-01-01', e1'', name'x\';
SELECT 5-3, 5--3;
-2, 6/2, 6 */* ; */ 2 @-1;
