CREATE FUNCTION one() RETURNS int LANGUAGE sql
BEGIN ATOMIC
    SELECT 1;
    SELECT CASE WHEN true THEN CASE 1 WHEN 1 THEN 2 END ELSE 3 END;
END;
create or replace procedure two(a int, b int DEFAULT (1))
begin atomic
    insert into t values (a);
    insert into t values (b);
end;
CREATE OR REPLACE FUNCTION three() RETURNS int AS 'SELECT 1; SELECT 2;' LANGUAGE sql;
CREATE FUNCTION four() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.a THEN RETURN NEW; END IF;

    RETURN NULL;
END;
$body$;
CREATE /* still */ FUNCTION -- a function
five() RETURNS int RETURN 5;
CREATE TABLE begin_atomic (a int); SELECT CASE WHEN a THEN 1 END FROM begin_atomic;
BEGIN; SELECT 1; END;
CREATE FUNCTION "begin"() RETURNS int RETURN (SELECT begin FROM x);
DO $$ BEGIN PERFORM 1; END $$;
CREATE VIEW v AS SELECT 1; CREATE FUNCTION six() BEGIN ATOMIC; END; SELECT 6;
