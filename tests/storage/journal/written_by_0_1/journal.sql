BEGIN TRANSACTION;
CREATE TABLE begun ( -- the firing that began last, and by its number whether it has ended
    run_id INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    number INTEGER NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    after_query INTEGER NOT NULL
);
CREATE TABLE counters (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
INSERT INTO "counters" VALUES(1,'Update',2);
CREATE TABLE firings (
    firing_id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    event TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    after_query INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    duration_s REAL NOT NULL,
    fired INTEGER NOT NULL,
    fired_at REAL NOT NULL,
    error TEXT,
    traceback TEXT
);
INSERT INTO "firings" VALUES(1,1,'Update','periodic_update','interval',1,'ok',0.25,1,1005.0,NULL,NULL);
INSERT INTO "firings" VALUES(2,1,'Update','periodic_update','interval',2,'failed',0.25,2,1005.0,'no','Trace
  no');
CREATE TABLE loaded ( -- the checkpoint of each model with which a run began
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,
    version INTEGER,
    PRIMARY KEY (run_id, model)
);
CREATE TABLE models (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    path TEXT NOT NULL,
    created_at REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    event TEXT,
    query_seq INTEGER,
    trained_rows INTEGER,
    metrics TEXT NOT NULL,
    PRIMARY KEY (run_id, model, version)
);
INSERT INTO "models" VALUES(1,'latency',1,'/m/000001',17.5,99,'abc','Update',1,40,'{"mae": 1.5}');
INSERT INTO "models" VALUES(1,'latency',2,'/m/000002',17.5,99,'abc',NULL,NULL,NULL,'{"mae": NaN, "n": 1.0}');
CREATE TABLE plans ( -- of a query that was asked for its plan: the first, and each that changed
    run_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    round INTEGER NOT NULL, -- 0: taken apart from the rounds, with actual rows
    plan TEXT NOT NULL, -- JSON, an object with the key Plan
    PRIMARY KEY (run_id, seq, round)
) WITHOUT ROWID
;
INSERT INTO "plans" VALUES(1,1,1,'{"Plan": {"Node Type": "Result", "Plan Rows": 1}}');
CREATE TABLE pretraining (
    event TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    table_name TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    iterations INTEGER NOT NULL,
    collected INTEGER NOT NULL,
    trained INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (event, fingerprint)
);
CREATE TABLE queries (
    run_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    label TEXT NOT NULL,
    file TEXT,
    line INTEGER,
    command TEXT NOT NULL,
    sql TEXT NOT NULL,
    sql_chars INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
INSERT INTO "queries" VALUES(1,1,'q1','w.sql',2,'SELECT','SELECT 1',8);
INSERT INTO "queries" VALUES(1,2,'ü,"x"
',NULL,NULL,'SELECT','SELECT 2',8);
CREATE TABLE results (
    run_id INTEGER NOT NULL,
    result INTEGER NOT NULL, -- counts from 1 in each run, in the order in which queries ended
    seq INTEGER NOT NULL,
    round INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'ok',
    started_at REAL NOT NULL,
    elapsed_s REAL NOT NULL,
    row_count INTEGER,
    error TEXT,
    sqlstate TEXT,
    inference_s REAL NOT NULL DEFAULT 0,
    collection_s REAL NOT NULL DEFAULT 0,
    steering TEXT, -- JSON: applied, ignored, native
    attempts INTEGER NOT NULL DEFAULT 1,
    planning_s REAL,
    execution_s REAL,
    steering_s REAL NOT NULL DEFAULT 0,
    answer TEXT, -- a digest of the rows
    PRIMARY KEY (run_id, result)
) WITHOUT ROWID;
INSERT INTO "results" VALUES(1,1,1,1,0,'ok',1001.5,0.001,1,NULL,NULL,0.0,0.0,'{"applied": ["enable_nestloop = off"], "ignored": [["x\udc80", "no"]]}',1,0.0001,0.0005,0.0,'ab');
INSERT INTO "results" VALUES(1,2,2,1,0,'error',1002.5,0.002,NULL,'a|b
`c` <img src=x onerror=alert(1)> & [31m ]]> "q" ''ü'' 😀','42P01',0.0,0.0,NULL,1,NULL,NULL,0.0,NULL);
INSERT INTO "results" VALUES(1,3,1,2,3,'ok',1001.5,0.001,1,NULL,NULL,0.5,0.125,NULL,2,NULL,NULL,0.25,NULL);
CREATE TABLE resumes (
    run_id INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    resumed_at REAL NOT NULL,
    after_result INTEGER NOT NULL,
    forced INTEGER NOT NULL
);
CREATE TABLE runs (
    run_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    workload TEXT NOT NULL,
    config_path TEXT,
    config_text TEXT NOT NULL,
    database TEXT NOT NULL,
    options TEXT NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    summary TEXT NOT NULL DEFAULT '{}',
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_start TEXT NOT NULL,
    request TEXT NOT NULL DEFAULT '{}', -- JSON: what a resumed run has to ask for again
    workload_digest TEXT, -- of all its statements, null where that was not known at the start
    paired_with INTEGER, -- the run whose queries took turns with those of this one
    arm TEXT -- which of the two this is: driver or baseline
);
INSERT INTO "runs" VALUES(1,'run','w.sql','pilot.yaml','{}','embedded PostgreSQL 18','{"repeat": 2}',1000.0,1010.0,'finished',0,'{"queries": 3, "reasons": ["1 query failed"]}','h',0,'long ago','{}',NULL,NULL,NULL);
INSERT INTO "runs" VALUES(2,'run','w.sql','pilot.yaml','{}','embedded PostgreSQL 18','{"repeat": 2}',1000.0,NULL,'running',NULL,'{}','h',0,'long ago','{}',NULL,NULL,NULL);
CREATE TABLE summaries ( -- what a run came to, up to one of its results (RunSummary)
    run_id INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    upto INTEGER NOT NULL,
    summary TEXT NOT NULL -- JSON
);
INSERT INTO "summaries" VALUES(1,3,'{"counts":{"ok":2,"error":1},"query_s":0.004,"max_s":0.001,"buckets":[[14979,2]],"slowest":[[1,0.001,1],[2,0.002,2]]}');
CREATE TABLE warmed ( -- queries of warm-up rounds that have ended
    run_id INTEGER NOT NULL,
    round INTEGER NOT NULL, -- counts from 0
    seq INTEGER NOT NULL,
    PRIMARY KEY (run_id, round, seq)
) WITHOUT ROWID;
CREATE INDEX results_failed ON results (run_id) WHERE status <> 'ok';
CREATE INDEX firings_by_run ON firings (run_id);
COMMIT;
PRAGMA user_version = 5;
