/*
 * pilot_indexes.h
 *	  What-if indexes: what pilot_planner.c and pilot_index_size.c use of pilot_indexes.c.
 */
#ifndef PILOT_INDEXES_H
#define PILOT_INDEXES_H

#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "utils/relcache.h"

/* A what-if index on one table or partition. Its expressions have the range table index 1. */
typedef struct WhatIfIndex
{
	int			number;			/* its place in pilot_planner.indexes, from 0 */
	Oid			relid;
	Oid			oid;			/* of no relation */
	const char *name;
	int			n_columns;
	int			n_keys;
	AttrNumber	columns[INDEX_MAX_KEYS];	/* 0 for an expression */
	Oid			types[INDEX_MAX_KEYS];	/* as stored in the index */
	Oid			collations[INDEX_MAX_KEYS];
	Oid			families[INDEX_MAX_KEYS];
	Oid			input_types[INDEX_MAX_KEYS];
	bool		descending[INDEX_MAX_KEYS];
	bool		nulls_first[INDEX_MAX_KEYS];
	List	   *expressions;	/* as many as there are zeros in columns */
	List	   *predicate;
	bool		unique;
	bool		nulls_not_distinct;
	bool		is_partitioned; /* of a partitioned table: proves uniqueness, has no pages */
	bool		is_sized;		/* for a table of this size: */
	BlockNumber table_pages;
	double		table_rows;
	int			fill_factor;
	bool		deduplicates;
	BlockNumber pages;			/* from here on: estimates, once is_sized */
	int			height;
	double		rows;
} WhatIfIndex;

/* ---- pilot_planner.c ---- */

extern void pilot_note_settings(void);

/* ---- pilot_indexes.c ---- */

/* Whether one of the settings is not empty. */
extern bool pilot_indexes_are_set;

/* Whether the query that is being planned sees what-if indexes. */
extern bool pilot_indexes_are_seen;

/* Whether an EXPLAIN of the client runs that may see them. */
extern bool pilot_is_explaining;

extern void pilot_init_indexes(void);
extern bool pilot_begin_explain(const ExplainStmt *statement, const char *text);
extern void pilot_end_explain(void);
extern bool pilot_explains(const char *query_string, int cursor_options);
extern void pilot_add_indexes(StringInfo out);

/* ---- pilot_index_size.c ---- */

extern void pilot_estimate_size(PlannerInfo *root, RelOptInfo *rel, Relation table,
								WhatIfIndex *index, List *expressions, List *predicate);

#endif
