"""What pilot knows of the benchmarks that others publish."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files of a benchmark are.

    `tree` is git's checksum of the folder that the archive at `address` holds, or None where none
    is known.
    """

    holds: str
    address: str
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A benchmark that others publish.

    - `tables`: the tables of its data; a file that creates most of them is its schema;
    - `queries`: what the path of a file with its queries ends with; `example`: such a path;
    - `escape`: what stands before a quote inside quotes in its CSV files, as they are published;
    - `schema`: the name of a schema in this package, where its files have none;
    - `published_queries`: how many queries there are, if all have the same.
    """

    name: str
    title: str
    contents: str
    about: str
    licence: str
    tables: frozenset[str]
    queries: re.Pattern[str]
    example: str
    origins: tuple[Origin, ...]
    escape: str = '"'
    schema: str = ""
    published_queries: int | None = None


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GITHUB = "https://github.com/{}/archive/{}.tar.gz"
_IMDB_TABLES = _names(
    "aka_name aka_title cast_info char_name comp_cast_type company_name company_type complete_cast"
    " info_type keyword kind_type link_type movie_companies movie_info movie_info_idx"
    " movie_keyword movie_link name person_info role_type title"
)
_DSB_TABLES = _names(
    "call_center catalog_page catalog_returns catalog_sales customer customer_address"
    " customer_demographics date_dim household_demographics income_band inventory item promotion"
    " reason ship_mode store store_returns store_sales time_dim warehouse web_page web_returns"
    " web_sales web_site"
)
_IMDB_ROWS = Origin(
    "schema and rows of IMDB, May 2013 (1.2 GB)", "http://event.cwi.nl/da/job/imdb.tgz"
)
_JOB = Origin(
    "schema, indexes and the 113 queries of JOB",
    _GITHUB.format("gregrahn/join-order-benchmark", "a39603662e023e449cb2121997a5034df9e02ebf"),
    "20ae1ef79577201a0204f6bce922c7edb61d5ed0",
)
_STATS = Origin(
    "schema, rows, indexes and queries of STATS-CEB; queries of JOB-light",
    _GITHUB.format(
        "Nathaniel-Han/End-to-End-CardEst-Benchmark", "670cb8d4bf4cbfa32f94fdf17f33973d3fd67d1b"
    ),
    "5816c455e3481b50cd1e42552cb0c51d2a9d9b66",
)
_IMDB_LICENCE = """\
The rows are IMDB's, for personal and non-commercial use \
([conditions](https://developer.imdb.com/non-commercial-datasets/))."""


def _imdb(
    name: str,
    title: str,
    contents: str,
    about: str,
    queries: str,
    example: str,
    count: int | None,
    *origins: Origin,
) -> Published:
    return Published(
        name,
        title,
        contents,
        about,
        _IMDB_LICENCE,
        _IMDB_TABLES,
        re.compile(queries, re.IGNORECASE),
        example,
        origins,
        "\\",
        published_queries=count,
    )


PUBLISHED = (
    _imdb(
        "job",
        "Join Order Benchmark",
        "Join Order Benchmark: IMDB, 21 tables, 113 queries",
        "The queries of Leis et al., *How Good Are Query Optimizers, Really?* (VLDB 2015).",
        r"(?:^|/)\d{1,2}[a-f]\.sql",
        "1a.sql",
        113,
        _JOB,
        _IMDB_ROWS,
    ),
    _imdb(
        "job-light",
        "JOB-light",
        "JOB-light: IMDB, 70 queries with up to 4 joins",
        "The queries of Kipf et al., *Learned Cardinalities* (CIDR 2019).",
        r"(?:^|/)job[-_]?light(?:[-_]queries)?\.sql",
        "job-light.sql",
        70,
        _STATS,
        _JOB,
        _IMDB_ROWS,
    ),
    _imdb(
        "job-complex",
        "JOB-Complex",
        "JOB-Complex: IMDB, 30 queries with joins over texts",
        "The queries of Wehrstein et al., *JOB-Complex* (AIDB 2025).",
        r"(?:^|/)job[-_]?complex[^/]*\.sql",
        "JOB-Complex.sql",
        30,
        Origin(
            "the 30 queries of JOB-Complex",
            _GITHUB.format(
                "DataManagementLab/JOB-Complex", "cc83457b2c33e06f74593902b0c65eb2945c833f"
            ),
            "5beaad919806de77bd51b8d13ae2a4f708a5556f",
        ),
        _JOB,
        _IMDB_ROWS,
    ),
    Published(
        "stats-ceb",
        "STATS-CEB",
        "STATS-CEB: 8 tables of Stack Exchange, 146 queries with their counts",
        "The rows and queries of Han et al., *Cardinality Estimation in DBMS* (VLDB 2021). Each"
        " query has the count that it must return.",
        "The rows are those of [Cross Validated](https://stats.stackexchange.com), CC BY-SA.",
        _names("badges comments posthistory postlinks posts tags users votes"),
        re.compile(r"(?:^|/)stats[-_]?ceb\.sql", re.IGNORECASE),
        "stats_CEB.sql",
        (_STATS,),
        published_queries=146,
    ),
    _imdb(
        "ceb",
        "Cardinality Estimation Benchmark",
        "CEB: IMDB, 13,000 queries of 16 templates",
        "The queries of Negi et al., *Flow-Loss* (VLDB 2021).",
        r"(?:^|/)\d{1,2}[a-c]\d*/[^/]*\.sql",
        "1a/1a100.sql",
        None,
        Origin(
            "how to get the queries of CEB, which are pickles",
            "https://github.com/learnedsystems/CEB",
        ),
        _JOB,
        _IMDB_ROWS,
    ),
    Published(
        "ssb",
        "Star Schema Benchmark",
        "Star Schema Benchmark: 5 tables, 13 queries",
        "The benchmark of O'Neil et al., *The Star Schema Benchmark* (TPCTC 2009).",
        "The rows are made by dbgen, which is under the licence of the TPC.",
        _names("customer date lineorder part supplier"),
        re.compile(r"(?:^|/)q?[1-4][._-]?[1-4]\.sql", re.IGNORECASE),
        "q1.1.sql",
        (
            Origin(
                "dbgen, which makes the rows (dbgen -s 1 -T a)",
                "https://github.com/eyalroz/ssb-dbgen",
            ),
        ),
        schema="ssb_schema.sql",
        published_queries=13,
    ),
    Published(
        "dsb",
        "DSB",
        "DSB: the 24 tables of TPC-DS with skew and correlation",
        "The benchmark of Ding et al., *DSB* (VLDB 2021).",
        "DSB is Microsoft's, with parts of the TPC under its licence.",
        _DSB_TABLES,
        re.compile(r"(?:^|/)query\d+\w*\.sql", re.IGNORECASE),
        "query013_0.sql",
        (
            Origin(
                "schema, indexes, and the generators of rows and queries",
                "https://github.com/microsoft/dsb",
            ),
        ),
    ),
    Published(
        "stack",
        "Stack",
        "Stack: 10 tables of Stack Exchange, large",
        "The rows and queries of Marcus et al., *Bao* (SIGMOD 2021).",
        "The rows are those of [Stack Exchange](https://stackexchange.com), CC BY-SA.",
        _names("account answer badge comment post_link question site so_user tag tag_question"),
        re.compile(r"(?:^|/)q\d+[/_-][^/]*\.sql", re.IGNORECASE),
        "q1/q1-001.sql",
        (Origin("a dump for pg_restore, and the queries", "https://rmarcus.info/stack.html"),),
    ),
)
