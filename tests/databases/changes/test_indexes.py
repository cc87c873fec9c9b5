"""Indexes that are made and dropped come back, or go, when the target is closed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from changes_support import Bench

from pilotcli.common.errors import CapabilityError, QueryError, SteeringError, UsageError
from pilotcli.common.records import Index
from pilotcli.databases.changes.log import ChangeLog

pytestmark = pytest.mark.slow

STATE = """
SELECT i.relname, pg_get_indexdef(i.oid), obj_description(i.oid, 'pg_class'), x.indisclustered,
  x.indisreplident, x.indisvalid, x.indisunique, i.reloptions, i.reltablespace, t.relreplident,
  pg_get_userbyid(i.relowner),
  (SELECT array_agg(attstattarget ORDER BY attnum) FROM pg_attribute WHERE attrelid = i.oid),
  (SELECT relname FROM pg_inherits JOIN pg_class AS p ON p.oid = inhparent WHERE inhrelid = i.oid),
  (SELECT array_agg(refobjid::text) FROM pg_depend WHERE objid = i.oid AND deptype = 'x'),
  (SELECT conname FROM pg_constraint WHERE conindid = i.oid AND contype <> 'f')
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = indrelid
WHERE i.relnamespace::regnamespace::text !~ '^pg_' ORDER BY i.relnamespace::regnamespace::text, 1
"""

EVERY_KIND = """
CREATE SCHEMA "Odd ""one";
CREATE TABLE posts (id int PRIMARY KEY, score int, title text, body text, tags int[],
  made timestamptz DEFAULT now(), code text UNIQUE, "Odd %s ""column" int NOT NULL);
INSERT INTO posts SELECT g, g % 50, 't' || g, repeat('x', g % 9), ARRAY[g], now(), g, g
FROM generate_series(1, 300) AS g;
CREATE INDEX plain ON posts (score);
CREATE INDEX backwards ON posts (score DESC NULLS LAST, title ASC NULLS FIRST);
CREATE INDEX partial ON posts (score) WHERE title LIKE 't1%' AND score > 3;
CREATE INDEX expressions ON posts (lower(title), (score + 1), id);
ALTER INDEX expressions ALTER COLUMN 1 SET STATISTICS 777;
CREATE INDEX collated ON posts (title COLLATE "C" text_pattern_ops);
CREATE UNIQUE INDEX including ON posts (id) INCLUDE (score, title);
CREATE UNIQUE INDEX identity ON posts ("Odd %s ""column");
ALTER TABLE posts REPLICA IDENTITY USING INDEX identity;
CREATE INDEX filled ON posts USING btree (id) WITH (fillfactor = 61, deduplicate_items = off);
CREATE INDEX gin_tags ON posts USING gin (tags) WITH (fastupdate = off);
CREATE INDEX brin_made ON posts USING brin (made) WITH (pages_per_range = 7);
CREATE INDEX hashed ON posts USING hash (title);
CREATE INDEX "Odd %s ""name" ON posts ("Odd %s ""column");
COMMENT ON INDEX "Odd %s ""name" IS 'it''s 100%% odd: \\ "x"';
CREATE INDEX elsewhere ON posts (made) TABLESPACE pg_default;
ALTER TABLE posts CLUSTER ON backwards;
CREATE TABLE "Odd ""one"."T" (a int);
CREATE INDEX in_a_schema ON "Odd ""one"."T" (a);
CREATE FUNCTION "Odd ""one".twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE INDEX by_a_function ON posts ("Odd ""one".twice(score));
CREATE TABLE votes (id int, day int) PARTITION BY RANGE (day);
CREATE TABLE votes_1 PARTITION OF votes FOR VALUES FROM (0) TO (10);
CREATE TABLE votes_2 PARTITION OF votes FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE votes_21 PARTITION OF votes_2 DEFAULT;
CREATE INDEX votes_by_day ON votes (day DESC) INCLUDE (id);
CREATE INDEX of_one_partition ON votes_1 (id);
CREATE INDEX waiting ON ONLY votes (id);
ALTER INDEX waiting ATTACH PARTITION of_one_partition;
CREATE TABLE parents (a int, b int);
CREATE UNIQUE INDEX referenced ON parents (a);
CREATE TABLE children (a int REFERENCES parents (a));
CREATE INDEX depending ON posts (tags);
ALTER INDEX depending DEPENDS ON EXTENSION plpgsql;
"""


def test_every_kind_comes_back_as_it_was(bench: Bench) -> None:
    bench.sql(EVERY_KIND)
    if bench.version >= 15:
        bench.sql("CREATE UNIQUE INDEX nulls ON posts (code) NULLS NOT DISTINCT")
    before = bench.sql(STATE)
    pilot = bench.open()
    indexes = pilot.controller.get_all_indexes()
    assert len(indexes) >= (19 if bench.version >= 15 else 18)
    pilot.controller.drop_all_indexes()
    kept = pilot.controller.get_all_indexes()
    unique = bench.sql("SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique")
    assert {one.index_name for one in kept} < {row[0] for row in unique}
    assert len(kept) >= 2
    for one in kept:
        pilot.controller.drop_index(one)
    assert pilot.controller.get_all_indexes() == []
    left = {row[0] for row in bench.sql(STATE)}
    # Those behind constraints stay: primary and unique keys, and what a foreign key needs.
    assert left == {"posts_pkey", "posts_code_key", "referenced"}
    pilot.close()
    assert bench.sql(STATE) == before
    assert ChangeLog(bench.home).pending() == []


def test_another_tablespace(bench: Bench) -> None:
    place = bench.server.place.folder / "tablespace"
    place.mkdir(mode=0o700)
    info = bench.server.data_dir.stat()
    os.chown(place, info.st_uid, info.st_gid)
    bench.sql(f"CREATE TABLESPACE fast LOCATION '{place}'")
    try:
        bench.sql("CREATE TABLE t (a int); CREATE INDEX x ON t (a) TABLESPACE fast")
        pilot = bench.open()
        pilot.controller.drop_index(Index(["a"], "t"))
        pilot.close()
        assert bench.sql("SELECT tablespace FROM pg_indexes WHERE indexname = 'x'") == [("fast",)]
    finally:
        bench.sql("DROP TABLE IF EXISTS t")
        bench.sql("DROP TABLESPACE fast")


def test_made_indexes_go(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["b", "a"], "t"))
    pilot.controller.create_index(Index(["a"], "t", 'Odd "name" %s'))
    assert [(tuple(one.columns), one.index_name) for one in pilot.controller.get_all_indexes()] == [
        (("a",), 'Odd "name" %s'),
        (("b", "a"), "t_b_a_idx"),
    ]
    pilot.controller.drop_index(Index(["b", "a"], "t"))
    assert pilot.controller.get_index_number("t") == 1
    # What this pilot has made and dropped itself need not be remembered.
    assert [one.kind for one in pilot.target.changes.own()] == ["index made"]
    pilot.close()
    assert bench.sql(STATE) == []


def test_kept_changes_stay(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["a"], "t", "x"))
    pilot.target.changes.keep()
    pilot.close()
    assert bench.names() == ["x"]


def test_a_strangers_index_of_the_same_name_stays(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["a"], "t", "x"))
    bench.sql("DROP INDEX x; CREATE INDEX x ON t (b)")
    pilot.close()
    assert "(b)" in str(bench.sql("SELECT pg_get_indexdef('x'::regclass)"))


def test_a_renamed_index_is_found(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["a"], "t", "x"))
    bench.sql("ALTER INDEX x RENAME TO y")
    pilot.close()
    assert bench.names() == []


def test_a_taken_name_leaves_the_change_pending(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int); CREATE INDEX x ON t (a)")
    pilot = bench.open()
    pilot.controller.drop_all_indexes()
    bench.sql("CREATE INDEX x ON t (b)")
    pilot.close()
    assert "its name is taken" in "".join(pilot.said)
    assert "CREATE INDEX x ON public.t USING btree (a)" in "".join(pilot.said)
    (pending,) = ChangeLog(bench.home).pending()
    assert pending.name == "x"
    bench.sql("DROP INDEX x")
    bench.forget_owner(pending.change_id)
    bench.open().close()
    assert "(a)" in str(bench.sql("SELECT pg_get_indexdef('x'::regclass)"))


def test_the_same_index_made_again_by_somebody_else(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int); CREATE INDEX x ON t (a)")
    pilot = bench.open()
    pilot.controller.drop_all_indexes()
    bench.sql("CREATE INDEX x ON t (a)")
    pilot.close()
    assert ChangeLog(bench.home).pending() == []


def test_a_dropped_table_and_a_dropped_database(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int); CREATE TABLE u (a int); CREATE INDEX ON t (a)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["a"], "u"))
    pilot.controller.drop_index(Index(["a"], "t"))
    bench.sql("DROP TABLE t, u")
    pilot.close()
    assert ChangeLog(bench.home).pending() == []
    bench.sql("CREATE TABLE t (a int)")
    pilot = bench.open()
    pilot.controller.create_index(Index(["a"], "t"))
    pilot.controller.close()
    bench.drop_database()
    pilot.target.close()
    assert ChangeLog(bench.home).pending() == []
    assert "was dropped" in "".join(pilot.said)


def test_two_pilots_do_not_undo_each_others(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int); CREATE INDEX theirs ON t (b)")
    one, other = bench.open(), bench.open()
    one.controller.create_index(Index(["a"], "t", "of_one"))
    other.controller.create_index(Index(["a"], "t", "of_other"))
    one.close()
    assert bench.names() == ["of_other", "theirs"]
    third = bench.open()
    third.close()
    assert bench.names() == ["of_other", "theirs"]
    other.close()
    assert bench.names() == ["theirs"]


@pytest.mark.parametrize("first", ["maker", "dropper"])
def test_one_pilot_drops_what_another_has_made(bench: Bench, first: str) -> None:
    bench.sql("CREATE TABLE t (a int)")
    maker, dropper = bench.open(), bench.open()
    maker.controller.create_index(Index(["a"], "t", "x"))
    dropper.controller.drop_all_indexes()
    assert bench.names() == []
    if first == "maker":
        maker.close()
        dropper.close()
    else:
        dropper.close()
        assert bench.names() == ["x"]
        maker.close()
    assert bench.names() == []
    assert ChangeLog(bench.home).pending() == []


def test_a_refused_index_leaves_nothing(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int); CREATE TABLE x (a int)")
    pilot = bench.open()
    with pytest.raises(QueryError, match="already exists"):
        pilot.controller.create_index(Index(["a"], "t", "x"))
    assert pilot.target.changes.own() == []
    assert pilot.controller.execute("SELECT 1", True) == [(1,)]
    pilot.close()


@pytest.mark.parametrize(
    ("index", "said", "hint"),
    [
        (Index(["scor"], "posts"), "no column 'scor'", "score"),
        (Index(["score"], "postz"), "no table 'postz'", "posts"),
        (Index([], "posts"), "are a list", None),
        (Index("score", "posts"), "are a list", None),
        (Index(["score); DROP TABLE posts; --"], "posts"), "no column", "It has"),
        ("posts", "an index is an Index", None),
    ],
)
def test_bad_indexes(bench: Bench, index: Index, said: str, hint: str | None) -> None:
    bench.sql("CREATE TABLE posts (id int PRIMARY KEY, score int)")
    pilot = bench.open()
    with pytest.raises(SteeringError, match=said) as caught:
        pilot.controller.create_index(index)
    assert (hint or "") in (caught.value.hint or "")
    with pytest.raises(SteeringError, match="no index"):
        pilot.controller.drop_index(Index(["id"], "posts", "posts_pkey"))
    with pytest.raises(SteeringError, match="no index"):
        pilot.controller.get_index_byte(Index(["id"], "posts", "posts_pkey"))
    pilot.close()


def test_sizes(bench: Bench) -> None:
    bench.sql(
        "CREATE TABLE t (a int PRIMARY KEY, b int);"
        "INSERT INTO t SELECT g, g FROM generate_series(1, 5000) AS g"
    )
    pilot = bench.open()
    controller = pilot.controller
    keys = controller.get_table_indexes_byte("t")
    controller.create_index(Index(["b"], "t"))
    size = controller.get_index_byte(Index(["b"], "t"))
    assert size > 5000 * 8
    assert controller.get_table_indexes_byte("t") == keys + size
    assert controller.get_all_indexes_byte() == keys + size
    assert controller.get_existed_indexes("t") == [Index(["b"], "t", "t_b_idx")]
    pilot.close()


def test_not_inside_a_transaction(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int)")
    pilot = bench.open()
    pilot.controller.execute("BEGIN")
    with pytest.raises(UsageError, match="transaction"):
        pilot.controller.create_index(Index(["a"], "t"))
    pilot.controller.execute("ROLLBACK")
    pilot.close()


def test_indexes_of_several_threads(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int, b int, c int, d int)")
    pilot = bench.open()
    threads = [
        threading.Thread(target=pilot.controller.create_index, args=(Index([column], "t"),))
        for column in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.names()) == 4
    pilot.close()
    assert bench.names() == []


def test_a_role_without_rights_undoes_what_it_has_changed(bench: Bench) -> None:
    role = f"plain_{bench.database}"
    bench.sql(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}")
    bench.sql("CREATE TABLE t (a int, b int); CREATE INDEX theirs ON t (a)")
    bench.sql("CREATE TABLE others (a int); CREATE INDEX of_others ON others (a)")
    bench.sql(f"ALTER TABLE t OWNER TO {role}")
    config = bench.dsn_config(user=role)
    pilot = bench.open(config)
    with pytest.raises(QueryError, match="must be owner"):
        pilot.controller.drop_all_indexes()
    assert bench.names() == ["of_others", "theirs"]
    pilot.controller.drop_index(Index(["a"], "t"))
    pilot.controller.create_index(Index(["b"], "t"))
    assert bench.names() == ["of_others", "t_b_idx"]
    for change in pilot.target.changes.own():
        bench.forget_owner(change.change_id)
    bench.open(config).close()
    assert bench.names() == ["of_others", "theirs"]
    pilot.close()
    bench.sql(f"DROP OWNED BY {role}")
    bench.sql(f"DROP ROLE {role}")


def test_a_target_that_nobody_closes(bench: Bench) -> None:
    bench.sql("CREATE TABLE t (a int)")
    done = bench.run_python(
        "controller.create_index(Index(['a'], 't')); controller.set_knobs({'work_mem': '9MB'})\n"
        "print(controller.get_index_number('t'))"
    )
    assert done == "1\n"
    assert bench.names() == []
    assert bench.auto_conf() == {}


def test_pilots_of_two_homes_do_not_bring_back_each_others_indexes(
    bench: Bench, tmp_path: Path
) -> None:
    bench.sql("CREATE TABLE posts (id int, score int); CREATE INDEX users_own ON posts (id)")
    one = bench.open(bench.dsn_config(tmp_path / "one"))
    two = bench.open(bench.dsn_config(tmp_path / "two"))
    one.controller.create_index(Index(["score"], "posts"))
    with pytest.raises(CapabilityError, match=r"indexes of the database .* another folder"):
        two.controller.drop_all_indexes()
    one.close()
    two.controller.drop_all_indexes()
    assert bench.names() == []
    two.close()
    assert bench.names() == ["users_own"]


def test_what_a_killed_pilot_dropped_waits_for_the_pilot_of_another_home_that_has_made_it(
    bench: Bench, tmp_path: Path
) -> None:
    bench.sql("CREATE TABLE posts (id int); CREATE INDEX users_own ON posts (id)")
    bench.run_python(
        "controller.drop_all_indexes(); os.kill(os.getpid(), signal.SIGKILL)",
        exit_code=-signal.SIGKILL,
    )
    other = bench.open(bench.dsn_config(tmp_path / "other"))
    other.controller.create_index(Index(["id"], "posts", "users_own"))
    early = bench.open()
    early.close()
    assert "changed by a pilot of another folder" in " ".join(early.said)
    other.close()
    assert bench.names() == []
    bench.open().close()
    assert bench.names() == ["users_own"]
