/*
 * pilot_planner.c
 *	  Pushes row estimates into PostgreSQL's planner, and reports the planner's own estimates.
 *
 * LOAD loads it into a session of an unmodified PostgreSQL 13 to 19. It does nothing while its two
 * settings are empty. It acts on the statements that the client sends, not on those that run
 * inside functions. It changes the plan of a query, never its result.
 *
 * pilot_planner.rows
 *		'"p"=120; "p","u"=35.5': the rows that a set of relations of one query block returns.
 *		Relations are named by alias, always in double quotes (a double quote is doubled, and so
 *		is a # that belongs to the alias). Pulled-up sub-queries may give one block several
 *		relations with the same alias: the second in the order of the range table is "p#2", the
 *		third "p#3". An entry applies to the block whose number is in front of it, as in
 *		'3'2:"p"=120'; without a number it applies to the outermost block that has all its names,
 *		and to each of several such blocks at the same depth. Rows are limited to 1 to 1e100.
 *
 * pilot_planner.report
 *		A list of what to report:
 *		blocks	the query blocks with their relations, joins and conditions as SQL, and the estimates
 *		plan	the plan that ran or was explained, as in EXPLAIN (FORMAT JSON)
 *		actual	the plan with the actual rows and loops of each node
 *		timing	the plan with the times and buffers of each node too, and those of JIT
 *		time	planning and execution time
 *		indexes	the what-if indexes that the planner saw
 *
 * pilot_planner.indexes, pilot_planner.hidden_indexes
 *		What-if indexes; pilot_indexes.c describes them.
 *
 * Reports are messages of level INFO, which always reach the client: the text
 * "pilot_planner 2 ", pilot_planner.nonce and a JSON object. So a message that a function of the
 * workload raises is no report. One comes after planning if pilot_planner.rows has entries or "blocks" or "indexes" is in
 * pilot_planner.report, one at the end of the execution if anything else is in it. Keys:
 *
 *		applied			numbers of the entries of pilot_planner.rows (from 0) that took effect
 *		ignored			[number, reason] of the others
 *		blocks			[{"number": "1", "relations": ...}]; the number is the query's place in the
 *						statement, and "3'2" the second planning of the third query; pilot_blocks.c
 *						describes the other keys
 *		sets			{"1": [[3, 40], ...]}: by block, the sets of relations as in pilot_blocks.c,
 *						and the planner's own estimates, which depend on the rows pushed for smaller
 *						sets
 *		naming_ms		time to describe the blocks, which is not in planning_ms
 *		planning_ms		time in the planner; absent if the plan was made earlier
 *		indexes			[[number, bytes, height, rows, "name"], ...]: what-if indexes by their number in
 *						pilot_planner.indexes, from 0; of a partitioned table, one of each partition
 *		execution_ms	time in the executor (start, run and finish)
 *		plan			{"Plan": {...}, "Relations": {"p_1": ["2", "p"]}, "Lookups": ["p_1"]}: by alias
 *						in the plan, the block and the name of the relation (a partition has its
 *						parent's); and the aliases whose rows are looked up by values of other
 *						relations, in a nested loop
 *
 * How it works. When the first base relation of a block gets its paths, the sizes of all base
 * relations are known and no join is planned yet. At that point the base relations get their rows,
 * and paths with costs for other rows are made again; index scans fetch as many rows as they
 * return. A join relation gets its rows at the first pair of relations that it can be made from:
 * the paths made so far are dropped, and the planner adds them again. The rows of partitions change
 * by the same factor as those of their parent. The rows pushed for a join also give the rows of an
 * inner index scan in each loop.
 */
#include "postgres.h"

#if PG_VERSION_NUM < 130000 || PG_VERSION_NUM >= 200000
#error "the planner module knows PostgreSQL 13 to 19, not this version"
#endif

#include <limits.h>
#include <math.h>

#include "access/amapi.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/executor.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "parser/parsetree.h"
#include "portability/instr_time.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "pilot_blocks.h"
#include "pilot_indexes.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

#define MAX_NONCE 64
#define MESSAGE_HEAD "pilot_planner 2 "
#define REMOVED "the planner removed %s, which the result does not depend on"
#define MOST_ROWS 1e100			/* the planner's own limit (costsize.c) */

#define REPORT_PLAN 0x02
#define REPORT_ACTUAL 0x04
#define REPORT_TIMING 0x08
#define REPORT_TIME 0x10
#define REPORT_BLOCKS 0x20
#define REPORT_INDEXES 0x40
#define REPORT_AT_END (REPORT_PLAN | REPORT_TIME)

/* ---- Settings ---- */

/* An entry of pilot_planner.rows; its names are names[first_name] and those after it. */
typedef struct Entry
{
	double		rows;
	int			first_name;
	int			n_names;
	int			query;			/* number of the block's query; 0 for none */
	int			planning;		/* which planning of that query, from 1 */
} Entry;

/*
 * All of pilot_planner.rows in one chunk of memory, which PostgreSQL frees: the header, the
 * entries, the offsets of the names from the start of the chunk, the names.
 */
typedef struct Pushed
{
	Size		size;
	int			n_entries;
	int			n_names;
	Entry		entries[FLEXIBLE_ARRAY_MEMBER];
} Pushed;

#define NAME_PLACES(pushed) ((int *) &(pushed)->entries[(pushed)->n_entries])
#define NAME(pushed, i) ((const char *) (pushed) + NAME_PLACES(pushed)[i])

static char *rows_setting = NULL;
static char *report_setting = NULL;
static char *nonce_setting = NULL;

/* The last nonce that was set: RESET does not take it back, and SHOW does not tell it. */
static char nonce[MAX_NONCE + 1] = "-";

static const Pushed *pushed_now = NULL;
static int	report_now = 0;
static bool active = false;		/* whether any setting is set */

/* ---- The state of one planning ---- */

/* A set of relations of a block. */
typedef struct Subset
{
	Relids		relids;			/* base relations only */
	int			entry;			/* the pushed entry; -1 for none */
	bool		seen;			/* whether the planner has considered it */
	bool		is_partition;	/* of partitions, not of relations of the query */
	double		own;			/* the planner's estimate */
	double		target;			/* the estimate to use instead */
	double		factor;			/* target / own */
	int			n_scaled;		/* how many of the relation's ParamPathInfos are scaled */
	struct Subset *next;
} Subset;

typedef struct SubsetSlot
{
	Relids		relids;
	Subset	   *subset;
	uint32		hash;
	char		status;
} SubsetSlot;

#define SH_PREFIX subsets
#define SH_ELEMENT_TYPE SubsetSlot
#define SH_KEY_TYPE Relids
#define SH_KEY relids
#define SH_HASH_KEY(table, key) bms_hash_value(key)
#define SH_EQUAL(table, a, b) bms_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, slot) (slot)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The cost function of an index in a block for which rows are pushed. */
typedef struct IndexCost
{
	IndexOptInfo *index;
	bool		table_is_pushed;	/* rows of the table itself, not only of joins */
	amcostestimate_function original;
	struct IndexCost *next;
} IndexCost;

/* One query block, that is one PlannerInfo. */
typedef struct Block
{
	PlannerInfo *root;
	bool		is_copy;		/* a second planning of the block around it, for min() or max() */
	int			query;			/* the number of its query in the statement */
	int			nth;			/* which planning of that query this is, from 1 */
	char	   *description;
	bool		has_joins_pushed;
	bool		has_bases_pushed;
	int			n_names;
	char	  **names;			/* by range table index; NULL without a name */
	double	   *factors;		/* by range table index; of base relations */
	int		   *bits;			/* by range table index, as in pilot_blocks.c; -1 for none */
	subsets_hash *table;
	Subset	   *first;			/* in the order in which the planner considered them */
	Subset	   *last;
	struct Block *next;
} Block;

typedef struct Planning
{
	MemoryContext context;
	const Statement *statement; /* NULL unless blocks have numbers */
	const Pushed *pushed;		/* a copy: a function called while planning may change settings */
	int			report;
	bool	   *applied;		/* by entry */
	const char **reasons;		/* by entry; why it was not applied */
	int		   *weights;		/* by entry; how specific the reason is */
	Block	   *blocks;
	Block	   *latest;			/* the last one looked up */
	IndexCost  *index_costs;
	instr_time	naming;			/* time spent in describing blocks */
	bool		in_rebuild;
} Planning;

static Planning *planning = NULL;	/* NULL unless a client's statement is steered */

/* ---- The state of executions ---- */

typedef struct Execution
{
	QueryDesc  *query;
	int			report;
	bool		was_planned;	/* in this message */
	bool		sends_planning;
	double		planning_ms;
	instr_time	spent;
	struct Execution *next;
	MemoryContextCallback callback;
} Execution;

static Execution *executions = NULL;	/* of the client's statements; several with cursors */

/*
 * Facts of the last planning for the executions that follow it: several, if rules add to the
 * statement. A plan may be copied before it runs, so it is identified by its place in the message.
 */
static struct
{
	TimestampTz message;		/* when the client's message came */
	bool		is_sent;		/* whether planning_ms has been sent */
	int			location;
	int			length;
	double		planning_ms;
}			last_planned;

static int	plan_depth = 0;
static int	run_depth = 0;

/* When the message came in which the hooks were installed, if a statement of it was running then. */
static TimestampTz nested_message = 0;

static planner_hook_type prev_planner = NULL;
static set_rel_pathlist_hook_type prev_rel_pathlist = NULL;
static set_join_pathlist_hook_type prev_join_pathlist = NULL;
static ExecutorStart_hook_type prev_start = NULL;
static ExecutorRun_hook_type prev_run = NULL;
static ExecutorFinish_hook_type prev_finish = NULL;
static ExecutorEnd_hook_type prev_end = NULL;
static ProcessUtility_hook_type prev_utility = NULL;

/* ------------------------------------------------------------------------------------------
 * Settings
 * ------------------------------------------------------------------------------------------
 */

static void *
setting_memory(Size size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

static void
free_setting_memory(void *memory)
{
#if PG_VERSION_NUM >= 160000
	guc_free(memory);
#else
	free(memory);
#endif
}

static const char *
skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
		at++;
	return at;
}

static bool
refuse_rows(int entry, const char *problem)
{
	GUC_check_errdetail("Entry %d %s.", entry + 1, problem);
	GUC_check_errhint("Write entries as \"a\",\"b\"=100, separated by semicolons.");
	return false;
}

static bool
read_number(const char **at, int *number)
{
	char	   *end;
	long		read = strtol(*at, &end, 10);

	if (end == *at || read < 1 || read > INT_MAX)
		return false;
	*at = end;
	*number = (int) read;
	return true;
}

/*
 * Read pilot_planner.rows into `chunk`; with NULL, only count entries, names and bytes.
 * Returns false, and sets the error detail, for a text of a wrong form.
 */
static bool
read_rows(const char *text, Pushed *chunk, int *n_entries, int *n_names, Size *n_chars)
{
	const char *at = skip_space(text);
	int			entry = 0;
	int			name = 0;
	Size		chars = 0;
	char	   *store = NULL;

	if (chunk != NULL)
		store = (char *) &NAME_PLACES(chunk)[chunk->n_names];
	while (*at != '\0')
	{
		int			first = name;
		int			query = 0;
		int			planning_number = 1;
		char	   *end;
		double		rows;

		if (*at >= '0' && *at <= '9')
		{
			if (!read_number(&at, &query) ||
				(*at == '\'' && (at++, !read_number(&at, &planning_number))) || *at != ':')
				return refuse_rows(entry, "has a wrong number of a block");
			at = skip_space(at + 1);
		}
		for (;;)
		{
			Size		length = 0;

			if (*at != '"')
				return refuse_rows(entry, "does not begin a name with a double quote");
			if (chunk != NULL)
				NAME_PLACES(chunk)[name] = (int) (store - (char *) chunk);
			for (at++; *at != '\0' && (*at != '"' || at[1] == '"'); at++)
			{
				if (*at == '"')
					at++;
				if (chunk != NULL)
					*store++ = *at;
				length++;
			}
			if (*at != '"')
				return refuse_rows(entry, "has a name without an end");
			if (length == 0)
				return refuse_rows(entry, "has an empty name");
			if (chunk != NULL)
			{
				*store++ = '\0';
				for (int i = first; i < name; i++)
					if (strcmp(NAME(chunk, i), NAME(chunk, name)) == 0)
						return refuse_rows(entry, "names a relation twice");
			}
			chars += length + 1;
			name++;
			at = skip_space(at + 1);
			if (*at != ',')
				break;
			at = skip_space(at + 1);
		}
		if (*at != '=')
			return refuse_rows(entry, "has no = after its names");
		at = skip_space(at + 1);
		if (*at == '-')
			return refuse_rows(entry, "has a negative number of rows");
		/* strtod alone also takes hexadecimal numbers, infinity and "nan". */
		if ((*at < '0' || *at > '9') && *at != '.')
			return refuse_rows(entry, "has no number of rows");
		errno = 0;
		rows = strtod(at, &end);
		if (end == at || memchr(at, 'x', end - at) != NULL || memchr(at, 'X', end - at) != NULL)
			return refuse_rows(entry, "has no number of rows");
		if (isnan(rows) || isinf(rows))
			return refuse_rows(entry, "has a number of rows that is too large");
		at = skip_space(end);
		if (*at == ';')
			at = skip_space(at + 1);
		else if (*at != '\0')
			return refuse_rows(entry, "goes on after its number of rows");
		if (chunk != NULL)
		{
			chunk->entries[entry].rows = Min(Max(rows, 1.0), MOST_ROWS);
			chunk->entries[entry].first_name = first;
			chunk->entries[entry].n_names = name - first;
			chunk->entries[entry].query = query;
			chunk->entries[entry].planning = planning_number;
		}
		entry++;
	}
	*n_entries = entry;
	*n_names = name;
	*n_chars = chars;
	return true;
}

static bool
check_rows(char **value, void **extra, GucSource source)
{
	int			n_entries;
	int			n_names;
	Size		n_chars;
	Size		size;
	Pushed	   *chunk;

	(void) source;
	if (*value == NULL || *skip_space(*value) == '\0')
		return true;
	if (!read_rows(*value, NULL, &n_entries, &n_names, &n_chars))
		return false;
	size = offsetof(Pushed, entries) + n_entries * sizeof(Entry) + n_names * sizeof(int) + n_chars;
	chunk = setting_memory(size);
	if (chunk == NULL)
		return false;
	chunk->size = size;
	chunk->n_entries = n_entries;
	chunk->n_names = n_names;
	if (!read_rows(*value, chunk, &n_entries, &n_names, &n_chars))
	{
		free_setting_memory(chunk);
		return false;
	}
	*extra = chunk;
	return true;
}

static void
assign_rows(const char *value, void *extra)
{
	(void) value;
	pushed_now = extra;
	pilot_note_settings();
}

static bool
check_report(char **value, void **extra, GucSource source)
{
	static const struct
	{
		const char *word;
		int			report;
	}			words[] = {
		{"plan", REPORT_PLAN},
		{"actual", REPORT_PLAN | REPORT_ACTUAL},
		{"timing", REPORT_PLAN | REPORT_ACTUAL | REPORT_TIMING},
		{"time", REPORT_TIME},
		{"blocks", REPORT_BLOCKS},
		{"indexes", REPORT_INDEXES},
	};
	const char *at = *value == NULL ? "" : skip_space(*value);
	int			report = 0;
	int		   *stored;

	(void) source;
	while (*at != '\0')
	{
		Size		length = strcspn(at, ", \t\n\r");
		bool		known = false;

		for (Size i = 0; i < lengthof(words); i++)
			if (strlen(words[i].word) == length && strncmp(at, words[i].word, length) == 0)
			{
				report |= words[i].report;
				known = true;
			}
		at = skip_space(at + length);
		if (!known || (*at != ',' && *at != '\0'))
		{
			GUC_check_errdetail("It is a list of blocks, plan, actual, timing, time, indexes.");
			return false;
		}
		if (*at == ',')
			at = skip_space(at + 1);
	}
	if (report == 0)
		return true;
	stored = setting_memory(sizeof(int));
	if (stored == NULL)
		return false;
	*stored = report;
	*extra = stored;
	return true;
}

static bool
check_nonce(char **value, void **extra, GucSource source)
{
	(void) extra;
	(void) source;
	return *value == NULL || strspn(*value, "0123456789abcdef") == strlen(*value);
}

static void
assign_nonce(const char *value, void *extra)
{
	(void) extra;
	if (value != NULL && *value != '\0')
		snprintf(nonce, sizeof(nonce), "%s", value);
}

static const char *
show_nonce(void)
{
	return "";
}

static void
assign_report(const char *value, void *extra)
{
	(void) value;
	report_now = extra == NULL ? 0 : *(int *) extra;
	pilot_note_settings();
}

/* ------------------------------------------------------------------------------------------
 * Relations of a block and their names
 * ------------------------------------------------------------------------------------------
 */

static Relids
relids_of_jointree(const Query *query)
{
#if PG_VERSION_NUM >= 160000
	return get_relids_in_jointree((Node *) query->jointree, false, false);
#else
	return get_relids_in_jointree((Node *) query->jointree, false);
#endif
}

/* The name of the `nth` relation with an alias, as in pilot_planner.rows. */
static char *
written_name(const char *alias, int nth)
{
	StringInfoData name;

	initStringInfo(&name);
	for (; *alias != '\0'; alias++)
	{
		appendStringInfoChar(&name, *alias);
		if (*alias == '#')
			appendStringInfoChar(&name, '#');
	}
	if (nth > 1)
		appendStringInfo(&name, "#%d", nth);
	return name.data;
}

/* The alias of a relation. Before 19, the sub-query of IN had another name than one without alias. */
static const char *
alias_of(int rti, List *rtable)
{
	const char *alias = rt_fetch(rti, rtable)->eref->aliasname;

	return strcmp(alias, "ANY_subquery") == 0 ? "unnamed_subquery" : alias;
}

/* The names of the relations `members`, in an array by range table index. */
static char **
make_names(List *rtable, Relids members)
{
	char	  **names = palloc0(sizeof(char *) * (list_length(rtable) + 1));
	int			rti = -1;

	while ((rti = bms_next_member(members, rti)) >= 0)
	{
		const char *alias = alias_of(rti, rtable);
		int			nth = 1;
		int			before = -1;

		while ((before = bms_next_member(members, before)) < rti)
			if (strcmp(alias_of(before, rtable), alias) == 0)
				nth++;
		names[rti] = written_name(alias, nth);
	}
	return names;
}

/* The index of the relation called `name`; 0 for none. */
static int
find_name(char **names, int n_names, const char *name)
{
	for (int i = 1; i < n_names; i++)
		if (names[i] != NULL && strcmp(names[i], name) == 0)
			return i;
	return 0;
}

/* Whether `query`, in its present state, has all relations of an entry. */
static bool
has_names(const Query *query, const Entry *entry)
{
	char	  **names = make_names(query->rtable, relids_of_jointree(query));

	for (int i = 0; i < entry->n_names; i++)
		if (!find_name(names, list_length(query->rtable) + 1,
					   NAME(planning->pushed, entry->first_name + i)))
			return false;
	return true;
}

/*
 * Whether a root is a second planning of the query around it, which the planner tries for min()
 * and max() (planagg.c): the same relations, with a limit of one row.
 */
static bool
is_copy_of_parent(PlannerInfo *root)
{
	Query	   *own = root->parse;
	Query	   *parent;

	if (root->parent_root == NULL || own->limitCount == NULL ||
		root->query_level != root->parent_root->query_level + 1)
		return false;
	parent = root->parent_root->parse;
	return parent->limitCount == NULL && parent->hasAggs && !own->hasAggs &&
		list_length(own->targetList) == 1 &&
		strcmp(((TargetEntry *) linitial(own->targetList))->resname == NULL ? "" :
			   ((TargetEntry *) linitial(own->targetList))->resname, "agg_target") == 0 &&
		equal(own->rtable, parent->rtable);
}

static Subset *
add_subset(Block *block, Relids relids)
{
	MemoryContext before = MemoryContextSwitchTo(planning->context);
	Subset	   *subset = palloc0(sizeof(Subset));
	bool		found;
	SubsetSlot *slot;

	subset->relids = bms_copy(relids);
	subset->entry = -1;
	subset->factor = 1.0;
	slot = subsets_insert(block->table, subset->relids, &found);
	Assert(!found);
	slot->subset = subset;
	if (block->last == NULL)
		block->first = subset;
	else
		block->last->next = subset;
	block->last = subset;
	MemoryContextSwitchTo(before);
	return subset;
}

static Subset *
find_subset(Block *block, Relids relids)
{
	SubsetSlot *slot = subsets_lookup(block->table, relids);

	return slot == NULL ? NULL : slot->subset;
}

/* Keep why an entry is not applied, unless a more specific reason is known. */
static void
set_reason(int entry, int weight, const char *reason)
{
	if (weight > planning->weights[entry])
	{
		planning->weights[entry] = weight;
		planning->reasons[entry] = reason;
	}
}

/* Whether the planner has removed the table `name` from the block, also from its tree of joins. */
static bool
is_removed(const Block *block, const char *name)
{
	PlannerInfo *root = block->root;

	for (int i = 1; i < Min(block->n_names, root->simple_rel_array_size); i++)
	{
		RangeTblEntry *entry = rt_fetch(i, root->parse->rtable);

		if (entry->rtekind == RTE_RELATION && root->simple_rel_array[i] == NULL &&
			strcmp(entry->eref->aliasname, name) == 0)
			return true;
	}
	return false;
}

/* Find the relations of an entry in `block`; `removed` are those that are not planned. */
static void
resolve_entry(Block *block, int number, Relids removed)
{
	const Pushed *pushed = planning->pushed;
	const Entry *entry = &pushed->entries[number];
	PlannerInfo *outer = block->root->parent_root;
	Relids		relids = NULL;
	Subset	   *subset;

	if (entry->query > 0 && (entry->query != block->query || entry->planning != block->nth))
		return;
	for (int i = 0; i < entry->n_names; i++)
	{
		const char *name = NAME(pushed, entry->first_name + i);
		int			rti = find_name(block->names, block->n_names, name);

		if (rti == 0 && is_removed(block, name))
		{
			set_reason(number, 2000, psprintf(REMOVED, name));
			return;
		}
		if (rti == 0)
		{
			/* The reason from the block with the most of the names is the most specific. */
			set_reason(number, 1 + Min(i, 1000),
					   psprintf("no query block has all of its relations: %s is missing", name));
			return;
		}
		relids = bms_add_member(relids, rti);
	}
	if (block->is_copy)
		outer = outer->parent_root;
	for (; entry->query == 0 && outer != NULL; outer = outer->parent_root)
		if (has_names(outer->parse, entry))
			return;
	if (bms_overlap(relids, removed))
	{
		int			rti = bms_next_member(bms_intersect(relids, removed), -1);

		set_reason(number, 2000, psprintf(REMOVED, block->names[rti]));
		return;
	}
	subset = find_subset(block, relids);
	if (subset == NULL)
		subset = add_subset(block, relids);
	if (subset->entry >= 0)
	{
		set_reason(number, 2000, "an entry before it names the same relations");
		return;
	}
	subset->entry = number;
	subset->target = entry->rows;
	set_reason(number, 1500, "the planner considered no such join");
	if (bms_membership(relids) == BMS_MULTIPLE)
		block->has_joins_pushed = true;
}

/* Whether an index scan looks up all conditions on its table. */
static bool
looks_up_everything(const IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexinfo->indrestrictinfo)
	{
		RestrictInfo *condition = lfirst(cell);
		bool		found = false;
		ListCell   *clause;

		foreach(clause, path->indexclauses)
		{
			IndexClause *looked_up = lfirst(clause);

			if (looked_up->rinfo == condition && !looked_up->lossy)
				found = true;
		}
		if (!found)
			return false;
	}
	return true;
}

/* Whether an index scan looks up one arm of an OR; its rows say little about all arms. */
static bool
looks_up_an_arm(const IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		RestrictInfo *condition = ((IndexClause *) lfirst(cell))->rinfo;
		RelOptInfo *rel = path->indexinfo->rel;

		if (condition->parent_ec == NULL && !list_member_ptr(rel->baserestrictinfo, condition) &&
			!list_member_ptr(rel->joininfo, condition))
			return true;
	}
	return false;
}

/*
 * Make the cost of an index scan match the rows that it returns: it fetches at least these, and
 * exactly these if it looks up all conditions on its table. Otherwise the planner would expect a
 * thousand rows, and compute the cost of fetching ten.
 */
static void
cost_index_as_pushed(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup,
					 Cost *total, Selectivity *selectivity, double *correlation, double *pages)
{
	RelOptInfo *rel = path->indexinfo->rel;
	IndexCost  *cost = planning == NULL ? NULL : planning->index_costs;
	amcostestimate_function original;
	double		fetched;
	double		rows;
	double		ratio;

	while (cost != NULL && cost->index != path->indexinfo)
		cost = cost->next;
	/* Another module may have copied the index. */
	original = cost != NULL ? cost->original :
		GetIndexAmRoutineByAmId(path->indexinfo->relam, false)->amcostestimate;
	original(root, path, loop_count, startup, total, selectivity, correlation, pages);
	fetched = *selectivity * rel->tuples;
	rows = path->path.param_info == NULL ? rel->rows : path->path.param_info->ppi_rows;
	if (path->indexclauses == NIL || !(fetched > 0) || looks_up_an_arm(path))
		return;
	if (path->path.param_info != NULL)
	{
		if (rows <= clamp_row_est(fetched))
			return;
	}
	else if (cost == NULL || !cost->table_is_pushed ||
			 (rows <= fetched && !looks_up_everything(path)))
		return;
	ratio = Min(rows, rel->tuples) / fetched;
	*selectivity = Min(*selectivity * ratio, 1.0);
	*total = *startup + (*total - *startup) * ratio;
	*pages = Max(*pages * ratio, 1.0);
}

static void
steer_index_costs(RelOptInfo *rel, bool is_pushed)
{
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);
		IndexCost  *cost = palloc(sizeof(IndexCost));

		cost->index = index;
		cost->table_is_pushed = is_pushed;
		cost->original = (amcostestimate_function) index->amcostestimate;
		cost->next = planning->index_costs;
		planning->index_costs = cost;
		index->amcostestimate = cost_index_as_pushed;
	}
}

/* Give a base relation and its partitions the rows pushed for it. */
static void
push_base(Block *block, Subset *subset)
{
	PlannerInfo *root = block->root;
	int			rti = bms_singleton_member(subset->relids);
	RelOptInfo *rel = root->simple_rel_array[rti];

	if (IS_DUMMY_REL(rel))
	{
		set_reason(subset->entry, 2000, "the planner has proven that it returns no rows");
		return;
	}
	subset->factor = subset->target / rel->rows;
	rel->rows = subset->target;
	block->factors[rti] = subset->factor;
	block->has_bases_pushed = true;
	planning->applied[subset->entry] = true;
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *child = root->simple_rel_array[i];

		if (child != NULL && child->reloptkind == RELOPT_OTHER_MEMBER_REL &&
			bms_equal(child->top_parent_relids, subset->relids) && !IS_DUMMY_REL(child))
			child->rows = Max(child->rows * subset->factor, 1.0);
	}
}

/* The factor by which the rows of a base relation, or of a partition's parent, changed. */
static double
base_factor(const Block *block, const RelOptInfo *rel)
{
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
		return block->factors[bms_singleton_member(rel->top_parent_relids)];
	return block->factors[rel->relid];
}

/* A query that is planned several times, such as EXISTS in an expression, is several blocks. */
static void
number_block(Block *block)
{
	block->query = block->is_copy ? pilot_query_number(block->root->parent_root) :
		pilot_query_number(block->root);
	block->nth = 1;
	for (Block *before = planning->blocks; before != NULL; before = before->next)
		if (before->query == block->query && !before->is_copy &&
			!(block->is_copy && before->root == block->root->parent_root))
			block->nth++;
}

static void
describe_block(Block *block)
{
	instr_time	began;
	instr_time	ended;

	INSTR_TIME_SET_CURRENT(began);
	block->description = pilot_describe_block(block->root, block->names, planning->statement);
	INSTR_TIME_SET_CURRENT(ended);
	INSTR_TIME_ACCUM_DIFF(planning->naming, ended, began);
}

/* Start a block: the sizes of its base relations are known, and no join is planned. */
static Block *
make_block(PlannerInfo *root)
{
	MemoryContext before = MemoryContextSwitchTo(planning->context);
	Block	   *block = palloc0(sizeof(Block));
	Relids		members = relids_of_jointree(root->parse);
	Relids		removed = NULL;
	int			n_bits = 0;

	block->root = root;
	block->is_copy = is_copy_of_parent(root);
	block->table = subsets_create(planning->context, 64, NULL);
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *rel = root->simple_rel_array[i];

		if (rel != NULL && rel->reloptkind == RELOPT_BASEREL)
			members = bms_add_member(members, i);
		else if (bms_is_member(i, members))
			removed = bms_add_member(removed, i);
	}
	block->n_names = list_length(root->parse->rtable) + 1;
	block->names = make_names(root->parse->rtable, members);
	block->bits = palloc(sizeof(int) * block->n_names);
	for (int i = 0; i < block->n_names; i++)
		block->bits[i] = bms_is_member(i, members) && !bms_is_member(i, removed) ? n_bits++ : -1;
	if (planning->statement != NULL)
		number_block(block);
	if (planning->report & REPORT_BLOCKS && !block->is_copy)
		describe_block(block);
	if (planning->report & REPORT_BLOCKS)
	{
		int			rti = -1;

		while ((rti = bms_next_member(members, rti)) >= 0)
			if (!bms_is_member(rti, removed))
			{
				Subset	   *subset = add_subset(block, bms_make_singleton(rti));

				subset->seen = true;
				subset->own = root->simple_rel_array[rti]->rows;
			}
	}
	if (planning->pushed != NULL)
	{
		block->factors = palloc(sizeof(double) * root->simple_rel_array_size);
		for (int i = 0; i < root->simple_rel_array_size; i++)
			block->factors[i] = 1.0;
		for (int i = 0; i < planning->pushed->n_entries; i++)
			resolve_entry(block, i, removed);
		for (Subset *subset = block->first; subset != NULL; subset = subset->next)
			if (subset->entry >= 0 && bms_membership(subset->relids) == BMS_SINGLETON)
				push_base(block, subset);
		if (block->has_bases_pushed || block->has_joins_pushed)
			for (int i = 1; i < root->simple_rel_array_size; i++)
			{
				RelOptInfo *rel = root->simple_rel_array[i];

				if (rel != NULL && IS_SIMPLE_REL(rel))
					steer_index_costs(rel, base_factor(block, rel) != 1.0);
			}
	}
	block->next = planning->blocks;
	planning->blocks = block;
	MemoryContextSwitchTo(before);
	return block;
}

static Block *
find_block(PlannerInfo *root)
{
	if (planning->latest == NULL || planning->latest->root != root)
	{
		Block	   *block = planning->blocks;

		while (block != NULL && block->root != root)
			block = block->next;
		planning->latest = block;
	}
	return planning->latest;
}

/* ------------------------------------------------------------------------------------------
 * Base relations
 * ------------------------------------------------------------------------------------------
 */

/* The base relations among `relids`, which hold outer joins too from 16 on. A copy if `*mine`. */
static Relids
base_relids(PlannerInfo *root, Relids relids, bool *mine)
{
	*mine = false;
#if PG_VERSION_NUM >= 160000
	if (bms_overlap(relids, root->outer_join_rels))
	{
		*mine = true;
		return bms_difference(relids, root->outer_join_rels);
	}
#else
	(void) root;
#endif
	return relids;
}

/*
 * The rows of `rel` in one loop over the relations `outer`, from the rows pushed for their join;
 * 0 if nothing is pushed for it.
 */
static double
rows_per_loop(Block *block, RelOptInfo *rel, Relids outer)
{
	PlannerInfo *root = block->root;
	Relids		whole;
	Subset	   *join;
	Subset	   *alone;
	ListCell   *cell;
	bool		mine;

	if (!block->has_joins_pushed || rel->reloptkind != RELOPT_BASEREL)
		return 0;
	outer = base_relids(root, outer, &mine);
	whole = bms_union(outer, rel->relids);
	join = find_subset(block, whole);
	if (join == NULL || join->entry < 0)
		return 0;
	foreach(cell, root->join_info_list)
	{
		SpecialJoinInfo *special = lfirst(cell);

		/* The rows of a semi or anti join do not say how many inner rows are read. */
		if (special->jointype != JOIN_LEFT && bms_overlap(whole, special->syn_lefthand) &&
			bms_overlap(whole, special->syn_righthand))
			return 0;
	}
	if (bms_membership(outer) == BMS_SINGLETON)
		return join->target / root->simple_rel_array[bms_singleton_member(outer)]->rows;
	alone = find_subset(block, outer);
	return alone == NULL || alone->entry < 0 ? 0 : join->target / alone->target;
}

/*
 * Set the estimates of a base relation's parameterized paths from the rows pushed for it and for
 * its joins. Returns whether any estimate changed.
 */
static bool
push_parameterized(Block *block, RelOptInfo *rel, double factor)
{
	bool		changed = false;
	ListCell   *cell;

	foreach(cell, rel->ppilist)
	{
		ParamPathInfo *info = lfirst(cell);
		double		rows = rows_per_loop(block, rel, info->ppi_req_outer);

		if (rows == 0)
			rows = info->ppi_rows * factor;
		rows = Min(Max(rows, 1.0), rel->rows);
		/* 0 for an inheritance parent: its paths add up those of the children. */
		if (info->ppi_rows > 0 && info->ppi_rows != rows)
		{
			info->ppi_rows = rows;
			changed = true;
		}
	}
	return changed;
}

/*
 * Scale the estimates of a join's parameterized paths, from the number `from` on, by its factor.
 */
static void
scale_parameterized(RelOptInfo *rel, int from, double factor)
{
	for (int i = from; i < list_length(rel->ppilist); i++)
	{
		ParamPathInfo *info = list_nth(rel->ppilist, i);

		info->ppi_rows = Min(Max(info->ppi_rows * factor, 1.0), rel->rows);
	}
}

/* The ones among `paths` that only a foreign data wrapper or another module can make. */
static List *
foreign_paths(List *paths, double factor)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, paths)
	{
		Path	   *path = lfirst(cell);

		if (IsA(path, ForeignPath) || IsA(path, CustomPath))
		{
			path->rows = Max(path->rows * factor, 1.0);
			kept = lappend(kept, path);
		}
	}
	return kept;
}

static void
drop_paths(RelOptInfo *rel, double factor)
{
	rel->pathlist = foreign_paths(rel->pathlist, factor);
	rel->partial_pathlist = foreign_paths(rel->partial_pathlist, factor);
}

/* Make the paths of a plain table again, as set_plain_rel_pathlist() does (allpaths.c). */
static void
remake_table_paths(PlannerInfo *root, RelOptInfo *rel, double factor)
{
	Relids		required_outer = rel->lateral_relids;

	drop_paths(rel, factor);
#if PG_VERSION_NUM >= 180000
	/* WHERE CURRENT OF works only with a scan by tuple id. */
	if (create_tidscan_paths(root, rel))
		return;
#endif
	add_path(rel, create_seqscan_path(root, rel, required_outer, 0));
	if (rel->consider_parallel && required_outer == NULL)
	{
		int			workers = compute_parallel_worker(rel, rel->pages, -1,
													  max_parallel_workers_per_gather);

		if (workers > 0)
			add_partial_path(rel, create_seqscan_path(root, rel, NULL, workers));
	}
	create_index_paths(root, rel);
#if PG_VERSION_NUM < 180000
	create_tidscan_paths(root, rel);
#endif
}

/* Correct the rows of paths that this module cannot make again. */
static void
correct_rows(RelOptInfo *rel, double factor)
{
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (path->param_info == NULL)
			path->rows = rel->rows;
		else if (path->param_info->ppi_rows > 0)
			path->rows = path->param_info->ppi_rows;
	}
	if (factor != 1.0)
		foreach(cell, rel->partial_pathlist)
		{
			Path	   *path = lfirst(cell);

			path->rows = Max(path->rows * factor, 1.0);
		}
}

static void
steer_base(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	Block	   *block = find_block(root);
	bool		first = block == NULL;
	bool		changed;
	double		factor;

	if (first)
		planning->latest = block = make_block(root);
	if (!(block->has_bases_pushed || block->has_joins_pushed) || IS_DUMMY_REL(rel))
		return;
	factor = base_factor(block, rel);
	changed = push_parameterized(block, rel, factor);
	if (rte->rtekind == RTE_RELATION && !rte->inh && rte->tablesample == NULL &&
		rte->relkind != RELKIND_FOREIGN_TABLE)
	{
		/*
		 * The paths of later tables were made with the new estimates of the table and of the
		 * relations that parameterized paths loop over. Only the new estimates of the parameterized
		 * paths themselves came too late.
		 */
		if (first || changed)
			remake_table_paths(root, rel, factor);
	}
	else if (changed || factor != 1.0)
		correct_rows(rel, factor);
}

#if PG_VERSION_NUM < 140000
/*
 * Whether a root plans an UPDATE or DELETE as a SELECT, only to find the partitions of its table:
 * the plan is thrown away, and the query is planned for each partition (inheritance_planner() in
 * planner.c).
 */
static bool
finds_partitions(const PlannerInfo *root)
{
	ListCell   *cell;

	if (root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL)
		return false;
	foreach(cell, root->parse->rtable)
		if (((RangeTblEntry *) lfirst(cell))->requiredPerms & (ACL_UPDATE | ACL_DELETE))
			return true;
	return false;
}
#endif

static void
rel_pathlist_hook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (prev_rel_pathlist != NULL)
		prev_rel_pathlist(root, rel, rti, rte);
#if PG_VERSION_NUM < 140000
	if (planning != NULL && finds_partitions(root))
		return;
#endif
	if (planning != NULL)
		steer_base(root, rel, rte);
}

/* ------------------------------------------------------------------------------------------
 * Joins
 * ------------------------------------------------------------------------------------------
 */

static Subset *
find_join(Block *block, Relids relids)
{
	bool		mine;
	Relids		base = base_relids(block->root, relids, &mine);
	Subset	   *subset = find_subset(block, base);

	if (mine)
		bms_free(base);
	return subset;
}

/*
 * The subset of a join relation; NULL if there is nothing to change.
 *
 * Under GEQO the planner considers the same join many times, each time as a new RelOptInfo.
 */
static Subset *
subset_of_join(Block *block, RelOptInfo *joinrel)
{
	Subset	   *subset;

	if (IS_OTHER_REL(joinrel))
	{
		Subset	   *parent = block->has_joins_pushed ?
			find_join(block, joinrel->top_parent_relids) : NULL;

		if (parent == NULL || parent->entry < 0)
			return NULL;
		subset = find_join(block, joinrel->relids);
		if (subset == NULL)
		{
			bool		mine;

			subset = add_subset(block, base_relids(block->root, joinrel->relids, &mine));
			subset->is_partition = true;
			subset->entry = parent->entry;
		}
		if (joinrel->rows != subset->target)
			subset->target = Max(joinrel->rows * parent->factor, 1.0);
		return subset;
	}
	subset = find_join(block, joinrel->relids);
	if (subset == NULL && (planning->report & REPORT_BLOCKS))
	{
		bool		mine;

		subset = add_subset(block, base_relids(block->root, joinrel->relids, &mine));
	}
	if (subset != NULL && !subset->seen)
	{
		subset->seen = true;
		subset->own = joinrel->rows;
	}
	return subset;
}

/* Drop the paths whose ParamPathInfo has the number `from` or a later one in `ppilist`. */
static List *
without_new_parameters(List *paths, List *ppilist, int from)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, paths)
	{
		Path	   *path = lfirst(cell);
		bool		is_new = false;

		for (int i = from; path->param_info != NULL && i < list_length(ppilist); i++)
			if (path->param_info == list_nth(ppilist, i))
				is_new = true;
		if (!is_new)
			kept = lappend(kept, path);
	}
	return kept;
}

static void
steer_join(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
		   JoinType jointype, JoinPathExtraData *extra)
{
	Block	   *block = find_block(root);
	Subset	   *subset = block == NULL ? NULL : subset_of_join(block, joinrel);

	if (subset == NULL || subset->entry < 0)
		return;
	/* Applied, also if the planner's own estimate is the same. */
	if (!subset->is_partition)
		planning->applied[subset->entry] = true;
	if (joinrel->rows != subset->target)
	{
		subset->factor = subset->target / joinrel->rows;
		subset->n_scaled = 0;
		joinrel->rows = subset->target;
		drop_paths(joinrel, subset->factor);
	}
	else if (subset->n_scaled < list_length(joinrel->ppilist))
		joinrel->pathlist = without_new_parameters(joinrel->pathlist, joinrel->ppilist,
												   subset->n_scaled);
	else
		return;
	scale_parameterized(joinrel, subset->n_scaled, subset->factor);
	subset->n_scaled = list_length(joinrel->ppilist);
	planning->in_rebuild = true;
	add_paths_to_joinrel(root, joinrel, outerrel, innerrel, jointype, extra->sjinfo,
						 extra->restrictlist);
	planning->in_rebuild = false;
}

static void
join_pathlist_hook(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
				   RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra)
{
	if (prev_join_pathlist != NULL)
		prev_join_pathlist(root, joinrel, outerrel, innerrel, jointype, extra);
#if PG_VERSION_NUM >= 190000
	/* Eager aggregation: a relation of groups has the same relids, and other rows. */
	if (IS_GROUPED_REL(joinrel))
		return;
#endif
	if (planning != NULL && !planning->in_rebuild)
		steer_join(root, joinrel, outerrel, innerrel, jointype, extra);
}

/* ------------------------------------------------------------------------------------------
 * Messages
 * ------------------------------------------------------------------------------------------
 */

static void
begin_message(StringInfo out)
{
	initStringInfo(out);
	appendStringInfo(out, MESSAGE_HEAD "%s {", nonce);
}

static void
add_key(StringInfo out, const char *key)
{
	if (out->data[out->len - 1] != '{')
		appendStringInfoChar(out, ',');
	appendStringInfo(out, "\"%s\":", key);
}

static void
add_rows(StringInfo out, double rows)
{
	if (rows < 1e15 && rows == floor(rows))
		appendStringInfo(out, "%.0f", rows);
	else
		appendStringInfo(out, "%.17g", rows);
}

static void
send_message(StringInfo out)
{
	appendStringInfoChar(out, '}');
	ereport(INFO, (errmsg_internal("%s", out->data), errhidestmt(true), errhidecontext(true)));
	pfree(out->data);
}

static void
add_outcome(StringInfo out)
{
	const char *comma = "";

	add_key(out, "applied");
	appendStringInfoChar(out, '[');
	for (int i = 0; i < planning->pushed->n_entries; i++)
		if (planning->applied[i])
		{
			appendStringInfo(out, "%s%d", comma, i);
			comma = ",";
		}
	appendStringInfoChar(out, ']');
	add_key(out, "ignored");
	appendStringInfoChar(out, '[');
	comma = "";
	for (int i = 0; i < planning->pushed->n_entries; i++)
		if (!planning->applied[i])
		{
			appendStringInfo(out, "%s[%d,", comma, i);
			escape_json(out, planning->reasons[i]);
			appendStringInfoChar(out, ']');
			comma = ",";
		}
	appendStringInfoChar(out, ']');
}

/* A set of relations as in pilot_blocks.c: bit 0 is the block's first relation. */
static uint64
mask_of_relids(const Block *block, Relids relids)
{
	uint64		mask = 0;
	int			rti = -1;

	while ((rti = bms_next_member(relids, rti)) >= 0)
		if (rti < block->n_names && block->bits[rti] >= 0 && block->bits[rti] < 64)
			mask |= UINT64CONST(1) << block->bits[rti];
	return mask;
}

static void
add_number(StringInfo out, const Block *block)
{
	appendStringInfo(out, block->nth > 1 ? "\"%d'%d\"" : "\"%d\"", block->query, block->nth);
}

static void
add_sets(StringInfo out, const Block *block)
{
	const char *comma = "";

	for (Subset *subset = block->first; subset != NULL; subset = subset->next)
		if (subset->seen && !subset->is_partition)
		{
			appendStringInfo(out, "%s[" UINT64_FORMAT ",", comma,
							 mask_of_relids(block, subset->relids));
			add_rows(out, subset->own);
			appendStringInfoChar(out, ']');
			comma = ",";
		}
}

static void
add_blocks(StringInfo out)
{
	List	   *blocks = NIL;
	ListCell   *cell;

	for (Block *block = planning->blocks; block != NULL; block = block->next)
		if (!block->is_copy)
			blocks = lcons(block, blocks);
	add_key(out, "blocks");
	appendStringInfoChar(out, '[');
	foreach(cell, blocks)
	{
		Block	   *block = lfirst(cell);

		appendStringInfoString(out, foreach_current_index(cell) > 0 ? ",{" : "{");
		add_key(out, "number");
		add_number(out, block);
		appendStringInfo(out, ",%s}", block->description);
	}
	appendStringInfoChar(out, ']');
	add_key(out, "sets");
	appendStringInfoChar(out, '{');
	foreach(cell, blocks)
	{
		if (foreach_current_index(cell) > 0)
			appendStringInfoChar(out, ',');
		add_number(out, lfirst(cell));
		appendStringInfoString(out, ":[");
		add_sets(out, lfirst(cell));
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
	add_key(out, "naming_ms");
	appendStringInfo(out, "%.6f", INSTR_TIME_GET_MILLISEC(planning->naming));
}

/* ---- The relations of a plan ---- */

/*
 * By entry of the last plan's range table: the block and name of its relation, as JSON, or NULL.
 * Entries are recognised by their names, which the planner does not copy.
 */
static struct
{
	MemoryContext context;
	int			n_entries;
	char	  **aliases;		/* to know the plan again, which may be copied before it runs */
	char	  **relations;
	Bitmapset  *lookups;		/* entries that depend on the outer side of a nested loop */
}			last_relations;

static char *
relation_of_entry(const Alias *name)
{
	for (Block *block = planning->blocks; block != NULL; block = block->next)
	{
		PlannerInfo *root = block->root;

		for (int rti = 1; rti < root->simple_rel_array_size; rti++)
		{
			RelOptInfo *rel = root->simple_rel_array[rti];
			int			parent = rti;
			StringInfoData text;

			if (rel == NULL || root->simple_rte_array[rti]->eref != name)
				continue;
			if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL &&
				!bms_get_singleton_member(rel->top_parent_relids, &parent))
				continue;
			if (parent >= block->n_names || block->names[parent] == NULL)
				continue;
			initStringInfo(&text);
			appendStringInfoChar(&text, '[');
			add_number(&text, block);
			appendStringInfoChar(&text, ',');
			escape_json(&text, block->names[parent]);
			appendStringInfoChar(&text, ']');
			return text.data;
		}
	}
	return NULL;
}

typedef struct PlanWalk
{
	Bitmapset  *loop_values;	/* parameters that nested loops set */
	bool		finds_lookups;	/* in the second walk */
} PlanWalk;

static void walk_plan(Plan *plan, PlanWalk *walk);

static void
walk_plans(List *plans, PlanWalk *walk)
{
	ListCell   *cell;

	foreach(cell, plans)
		walk_plan(lfirst(cell), walk);
}

/* Find the parameters of nested loops, or the scans that use them. */
static void
walk_plan(Plan *plan, PlanWalk *walk)
{
	if (plan == NULL)
		return;
	if (!walk->finds_lookups && IsA(plan, NestLoop))
	{
		ListCell   *cell;

		foreach(cell, ((NestLoop *) plan)->nestParams)
			walk->loop_values = bms_add_member(walk->loop_values,
											   ((NestLoopParam *) lfirst(cell))->paramno);
	}
	if (walk->finds_lookups && nodeTag(plan) >= T_SeqScan && nodeTag(plan) <= T_CustomScan &&
		((Scan *) plan)->scanrelid > 0 && bms_overlap(plan->extParam, walk->loop_values))
		last_relations.lookups = bms_add_member(last_relations.lookups,
												(int) ((Scan *) plan)->scanrelid - 1);
	walk_plan(plan->lefttree, walk);
	walk_plan(plan->righttree, walk);
	if (IsA(plan, Append))
		walk_plans(((Append *) plan)->appendplans, walk);
	else if (IsA(plan, MergeAppend))
		walk_plans(((MergeAppend *) plan)->mergeplans, walk);
	else if (IsA(plan, SubqueryScan))
		walk_plan(((SubqueryScan *) plan)->subplan, walk);
	else if (IsA(plan, CustomScan))
		walk_plans(((CustomScan *) plan)->custom_plans, walk);
#if PG_VERSION_NUM < 140000
	else if (IsA(plan, ModifyTable))
		walk_plans(((ModifyTable *) plan)->plans, walk);
#endif
}

static void
find_lookups(PlannedStmt *plan)
{
	PlanWalk	walk = {NULL, false};

	last_relations.lookups = NULL;
	for (int pass = 0; pass < 2; pass++)
	{
		walk.finds_lookups = pass == 1;
		walk_plan(plan->planTree, &walk);
		walk_plans(plan->subplans, &walk);
	}
}

static void
keep_relations(PlannedStmt *plan)
{
	MemoryContext before;
	ListCell   *cell;

	if (last_relations.context == NULL)
		last_relations.context = AllocSetContextCreate(TopMemoryContext, "pilot_planner relations",
													   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(last_relations.context);
	before = MemoryContextSwitchTo(last_relations.context);
	last_relations.n_entries = list_length(plan->rtable);
	last_relations.aliases = palloc0(sizeof(char *) * last_relations.n_entries);
	last_relations.relations = palloc0(sizeof(char *) * last_relations.n_entries);
	foreach(cell, plan->rtable)
	{
		const Alias *name = ((RangeTblEntry *) lfirst(cell))->eref;

		last_relations.aliases[foreach_current_index(cell)] = pstrdup(name->aliasname);
		last_relations.relations[foreach_current_index(cell)] = relation_of_entry(name);
	}
	find_lookups(plan);
	MemoryContextSwitchTo(before);
}

static bool
is_last_planned(const PlannedStmt *plan)
{
	ListCell   *cell;

	if (list_length(plan->rtable) != last_relations.n_entries)
		return false;
	foreach(cell, plan->rtable)
		if (strcmp(((RangeTblEntry *) lfirst(cell))->eref->aliasname,
				   last_relations.aliases[foreach_current_index(cell)]) != 0)
			return false;
	return true;
}

/* Append the relations of a plan by their aliases in it. */
static void
add_relations(StringInfo out, List *aliases)
{
	const char *comma = "";
	ListCell   *cell;

	appendStringInfoString(out, ",\"Relations\":{");
	foreach(cell, aliases)
	{
		int			entry = foreach_current_index(cell);

		if (lfirst(cell) == NULL || entry >= last_relations.n_entries ||
			last_relations.relations[entry] == NULL)
			continue;
		appendStringInfoString(out, comma);
		escape_json(out, lfirst(cell));
		appendStringInfo(out, ":%s", last_relations.relations[entry]);
		comma = ",";
	}
	appendStringInfoString(out, "},\"Lookups\":[");
	comma = "";
	foreach(cell, aliases)
		if (lfirst(cell) != NULL &&
			bms_is_member(foreach_current_index(cell), last_relations.lookups))
		{
			appendStringInfoString(out, comma);
			escape_json(out, lfirst(cell));
			comma = ",";
		}
	appendStringInfoString(out, "]}");
}

/* ------------------------------------------------------------------------------------------
 * Planning
 * ------------------------------------------------------------------------------------------
 */

static bool
is_outermost(void)
{
	return plan_depth == 0 && run_depth == 0 && !IsParallelWorker() &&
		nested_message != GetCurrentStatementStartTimestamp();
}

/* The state for a new planning, in a memory context of its own. */
static Planning *
begin_planning(Query *parse)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pilot_planner",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Planning   *state = palloc0(sizeof(Planning));
	bool		has_numbers = (report_now & REPORT_BLOCKS) != 0;

	state->context = context;
	state->report = report_now;
	if (pushed_now != NULL)
	{
		int			n = pushed_now->n_entries;
		Pushed	   *copy = palloc(pushed_now->size);

		memcpy(copy, pushed_now, pushed_now->size);
		state->pushed = copy;
		state->applied = palloc0(sizeof(bool) * n);
		state->weights = palloc0(sizeof(int) * n);
		state->reasons = palloc(sizeof(char *) * n);
		for (int i = 0; i < n; i++)
		{
			state->reasons[i] = "the statement has no query block that is planned";
			if (copy->entries[i].query > 0)
				has_numbers = true;
		}
	}
	/* The marks live as long as the statement. */
	if (has_numbers || (state->report & REPORT_PLAN) != 0)
	{
		MemoryContextSwitchTo(before);
		state->statement = pilot_mark_statement(parse, (state->report & REPORT_BLOCKS) != 0);
	}
	MemoryContextSwitchTo(before);
	return state;
}

static void
end_planning(PlannedStmt *result, double planning_ms)
{
	bool		answers = planning->pushed != NULL ||
		(planning->report & (REPORT_BLOCKS | REPORT_INDEXES));

	last_planned.message = GetCurrentStatementStartTimestamp();
	last_planned.location = result->stmt_location;
	last_planned.length = result->stmt_len;
	last_planned.planning_ms = planning_ms;
	last_planned.is_sent = answers;
	if (answers)
	{
		MemoryContext before = MemoryContextSwitchTo(planning->context);
		StringInfoData out;

		begin_message(&out);
		if (planning->pushed != NULL)
			add_outcome(&out);
		if (planning->report & REPORT_BLOCKS)
			add_blocks(&out);
		if (planning->report & REPORT_INDEXES)
		{
			add_key(&out, "indexes");
			pilot_add_indexes(&out);
		}
		if (planning->report & REPORT_TIME)
		{
			add_key(&out, "planning_ms");
			appendStringInfo(&out, "%.6f", planning_ms);
		}
		send_message(&out);
		MemoryContextSwitchTo(before);
	}
}

#if PG_VERSION_NUM >= 190000
#define PLANNER_PARAMETERS Query *parse, const char *query_string, int cursor_options, \
	ParamListInfo bound_params, ExplainState *explain
#define PLANNER_ARGUMENTS parse, query_string, cursor_options, bound_params, explain
#else
#define PLANNER_PARAMETERS Query *parse, const char *query_string, int cursor_options, \
	ParamListInfo bound_params
#define PLANNER_ARGUMENTS parse, query_string, cursor_options, bound_params
#endif

static PlannedStmt *
plan_by_previous(PLANNER_PARAMETERS)
{
	if (prev_planner != NULL)
		return prev_planner(PLANNER_ARGUMENTS);
	return standard_planner(PLANNER_ARGUMENTS);
}

static pg_noinline PlannedStmt *
plan_nested(PLANNER_PARAMETERS)
{
	Planning   *outer = planning;
	bool		saw = pilot_indexes_are_seen;
	PlannedStmt *volatile result = NULL;

	pilot_indexes_are_seen = pilot_is_explaining && is_outermost() &&
		pilot_explains(query_string, cursor_options);
	plan_depth++;
	planning = NULL;
	PG_TRY();
	{
		result = plan_by_previous(PLANNER_ARGUMENTS);
	}
	PG_FINALLY();
	{
		plan_depth--;
		planning = outer;
		pilot_indexes_are_seen = saw;
	}
	PG_END_TRY();
	return result;
}

static pg_noinline PlannedStmt *
plan_steered(Planning *state, PLANNER_PARAMETERS)
{
	PlannedStmt *volatile result = NULL;

	pilot_indexes_are_seen = pilot_explains(query_string, cursor_options);
	plan_depth++;
	planning = state;
	PG_TRY();
	{
		instr_time	began;
		instr_time	spent;

		INSTR_TIME_SET_CURRENT(began);
		result = plan_by_previous(PLANNER_ARGUMENTS);
		INSTR_TIME_SET_CURRENT(spent);
		INSTR_TIME_SUBTRACT(spent, began);
		INSTR_TIME_SUBTRACT(spent, planning->naming);
		if (planning->statement != NULL)
			pilot_clear_marks(result);
		if (planning->report & REPORT_PLAN)
			keep_relations(result);
		end_planning(result, INSTR_TIME_GET_MILLISEC(spent));
	}
	PG_FINALLY();
	{
		plan_depth--;
		planning = NULL;
		pilot_indexes_are_seen = false;
	}
	PG_END_TRY();
	MemoryContextDelete(state->context);
	return result;
}

static PlannedStmt *
planner_hook_function(PLANNER_PARAMETERS)
{
	if (active && is_outermost())
		return plan_steered(begin_planning(parse), PLANNER_ARGUMENTS);
	return plan_nested(PLANNER_ARGUMENTS);
}

/* ------------------------------------------------------------------------------------------
 * Execution
 * ------------------------------------------------------------------------------------------
 */

static Execution *
find_execution(const QueryDesc *query)
{
	Execution  *execution = executions;

	while (execution != NULL && execution->query != query)
		execution = execution->next;
	return execution;
}

/* Called when the memory of an execution is freed, at its end or after an error. */
static void
forget_execution(void *argument)
{
	Execution **at = &executions;

	while (*at != NULL && *at != argument)
		at = &(*at)->next;
	if (*at != NULL)
		*at = (*at)->next;
}

/* A plan made before the settings does not use them. */
static void
tell_plan_was_there(void)
{
	StringInfoData out;

	begin_message(&out);
	add_key(&out, "applied");
	appendStringInfoString(&out, "[]");
	add_key(&out, "ignored");
	appendStringInfoChar(&out, '[');
	for (int i = 0; i < pushed_now->n_entries; i++)
		appendStringInfo(&out, "%s[%d,\"the plan was made earlier, for a prepared statement\"]",
						 i > 0 ? "," : "", i);
	appendStringInfoChar(&out, ']');
	send_message(&out);
}

static void
start_by_previous(QueryDesc *query, int flags)
{
	if (prev_start != NULL)
		prev_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

static void add_plan(StringInfo out, const QueryDesc *query, int report, bool was_planned);

/* Send a plan that EXPLAIN shows, with its relations. */
static void
send_explained(const QueryDesc *query, int report, bool was_planned)
{
	StringInfoData out;

	begin_message(&out);
	add_plan(&out, query, report, was_planned);
	send_message(&out);
}

static void
start_reported(QueryDesc *query, int flags)
{
	int			report = report_now;
	const PlannedStmt *plan = query->plannedstmt;
	bool		was_planned = last_planned.message == GetCurrentStatementStartTimestamp() &&
		last_planned.location == plan->stmt_location && last_planned.length == plan->stmt_len;
	instr_time	began;
	instr_time	spent;
	Execution  *execution;

	if (!was_planned && pushed_now != NULL)
		tell_plan_was_there();
	if (!(report & REPORT_AT_END) || (flags & EXEC_FLAG_EXPLAIN_ONLY))
	{
		start_by_previous(query, flags);
		if ((report & REPORT_PLAN) && (flags & EXEC_FLAG_EXPLAIN_ONLY))
			send_explained(query, report, was_planned);
		return;
	}
	if (report & REPORT_TIMING)
		query->instrument_options |= INSTRUMENT_TIMER | INSTRUMENT_BUFFERS;
	else if (report & REPORT_ACTUAL)
		query->instrument_options |= INSTRUMENT_ROWS;
	INSTR_TIME_SET_CURRENT(began);
	start_by_previous(query, flags);
	INSTR_TIME_SET_CURRENT(spent);
	INSTR_TIME_SUBTRACT(spent, began);
	execution = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(Execution));
	execution->query = query;
	execution->report = report;
	execution->was_planned = was_planned;
	execution->sends_planning = was_planned && !last_planned.is_sent;
	execution->planning_ms = last_planned.planning_ms;
	execution->spent = spent;
	execution->next = executions;
	execution->callback.func = forget_execution;
	execution->callback.arg = execution;
	MemoryContextRegisterResetCallback(query->estate->es_query_cxt, &execution->callback);
	executions = execution;
}

static void
executor_start_hook(QueryDesc *query, int flags)
{
	if (active && is_outermost())
		start_reported(query, flags);
	else
		start_by_previous(query, flags);
}

#if PG_VERSION_NUM >= 180000
#define RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define RUN_ARGUMENTS query, direction, count
#else
#define RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define RUN_ARGUMENTS query, direction, count, once
#endif

/* Statements inside functions and triggers are not the client's. */
static pg_noinline void
run_nested(RUN_PARAMETERS)
{
	run_depth++;
	PG_TRY();
	{
		if (prev_run != NULL)
			prev_run(RUN_ARGUMENTS);
		else
			standard_ExecutorRun(RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		run_depth--;
	}
	PG_END_TRY();
}

static pg_noinline void
finish_nested(QueryDesc *query)
{
	run_depth++;
	PG_TRY();
	{
		if (prev_finish != NULL)
			prev_finish(query);
		else
			standard_ExecutorFinish(query);
	}
	PG_FINALLY();
	{
		run_depth--;
	}
	PG_END_TRY();
}

static void
executor_run_hook(RUN_PARAMETERS)
{
	Execution  *execution = executions == NULL ? NULL : find_execution(query);
	instr_time	began;
	instr_time	ended;

	if (execution == NULL)
	{
		run_nested(RUN_ARGUMENTS);
		return;
	}
	INSTR_TIME_SET_CURRENT(began);
	run_nested(RUN_ARGUMENTS);
	INSTR_TIME_SET_CURRENT(ended);
	INSTR_TIME_ACCUM_DIFF(execution->spent, ended, began);
}

static void
executor_finish_hook(QueryDesc *query)
{
	Execution  *execution = executions == NULL ? NULL : find_execution(query);
	instr_time	began;
	instr_time	ended;

	if (execution == NULL)
	{
		finish_nested(query);
		return;
	}
	INSTR_TIME_SET_CURRENT(began);
	finish_nested(query);
	INSTR_TIME_SET_CURRENT(ended);
	INSTR_TIME_ACCUM_DIFF(execution->spent, ended, began);
}

/* Append JSON without line ends and indents, which occur only between its tokens. */
static void
add_compact(StringInfo out, const char *json, int length)
{
	const char *end = json + length;
	const char *part = json;

	while (part < end)
	{
		const char *line_end = memchr(part, '\n', end - part);

		if (line_end == NULL)
			line_end = end;
		appendBinaryStringInfo(out, part, line_end - part);
		part = line_end;
		while (part < end && (*part == '\n' || *part == ' '))
			part++;
	}
}

static void
add_plan(StringInfo out, const QueryDesc *query, int report, bool was_planned)
{
	ExplainState *state = NewExplainState();

	state->analyze = (report & REPORT_ACTUAL) != 0 && query->instrument_options != 0;
	state->timing = (report & REPORT_TIMING) != 0;
	state->buffers = state->analyze && state->timing;
	state->costs = true;
	state->summary = false;
	state->format = EXPLAIN_FORMAT_JSON;
	ExplainBeginOutput(state);
	ExplainPrintPlan(state, (QueryDesc *) query);
	if (state->analyze && state->timing)
		ExplainPrintJITSummary(state, (QueryDesc *) query);
	ExplainEndOutput(state);
	/* A list of one member without braces: make it an object. */
	while (state->str->len > 0 && state->str->data[state->str->len - 1] != ']')
		state->str->len--;
	state->str->data[0] = '{';
	state->str->data[state->str->len - 1] = '}';
	add_key(out, "plan");
	add_compact(out, state->str->data, state->str->len);
	if (was_planned && is_last_planned(query->plannedstmt))
	{
		out->data[--out->len] = '\0';	/* the brace at its end */
		add_relations(out, state->rtable_names);
	}
	pfree(state->str->data);
}

static void
executor_end_hook(QueryDesc *query)
{
	Execution  *execution = executions == NULL ? NULL : find_execution(query);

	if (execution != NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(query->estate->es_query_cxt);
		StringInfoData out;

		begin_message(&out);
		if (execution->report & REPORT_TIME)
		{
			if (execution->sends_planning)
			{
				add_key(&out, "planning_ms");
				appendStringInfo(&out, "%.6f", execution->planning_ms);
			}
			add_key(&out, "execution_ms");
			appendStringInfo(&out, "%.6f", INSTR_TIME_GET_MILLISEC(execution->spent));
		}
		if (execution->report & REPORT_PLAN)
			add_plan(&out, query, execution->report, execution->was_planned);
		send_message(&out);
		MemoryContextSwitchTo(before);
	}
	if (prev_end != NULL)
		prev_end(query);
	else
		standard_ExecutorEnd(query);
}

/* ---- Utility statements: only those that contain a query run a statement of the client ---- */

#if PG_VERSION_NUM >= 140000
#define UTILITY_PARAMETERS PlannedStmt *statement, const char *text, bool read_only, \
	ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment, \
	DestReceiver *receiver, QueryCompletion *completion
#define UTILITY_ARGUMENTS statement, text, read_only, context, params, environment, receiver, \
	completion
#else
#define UTILITY_PARAMETERS PlannedStmt *statement, const char *text, \
	ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment, \
	DestReceiver *receiver, QueryCompletion *completion
#define UTILITY_ARGUMENTS statement, text, context, params, environment, receiver, completion
#endif

static void
utility_by_previous(UTILITY_PARAMETERS)
{
	if (prev_utility != NULL)
		prev_utility(UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(UTILITY_ARGUMENTS);
}

/* EXPLAIN of the client, with what-if indexes. */
static pg_noinline void
explain_with_indexes(UTILITY_PARAMETERS)
{
	if (!pilot_begin_explain((ExplainStmt *) statement->utilityStmt, text))
	{
		utility_by_previous(UTILITY_ARGUMENTS);
		return;
	}
	PG_TRY();
	{
		utility_by_previous(UTILITY_ARGUMENTS);
	}
	PG_FINALLY();
	{
		pilot_end_explain();
	}
	PG_END_TRY();
}

static void
utility_hook(UTILITY_PARAMETERS)
{
	bool		saw = pilot_indexes_are_seen;

	switch (nodeTag(statement->utilityStmt))
	{
		case T_ExplainStmt:
			if (pilot_indexes_are_set && is_outermost())
				explain_with_indexes(UTILITY_ARGUMENTS);
			else
				utility_by_previous(UTILITY_ARGUMENTS);
			return;
		case T_VariableSetStmt:
		case T_ExecuteStmt:
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_CopyStmt:
			utility_by_previous(UTILITY_ARGUMENTS);
			return;
		default:
			break;
	}
	run_depth++;
	pilot_indexes_are_seen = false;
	PG_TRY();
	{
		utility_by_previous(UTILITY_ARGUMENTS);
	}
	PG_FINALLY();
	{
		run_depth--;
		pilot_indexes_are_seen = saw;
	}
	PG_END_TRY();
}

/* ------------------------------------------------------------------------------------------ */

/* Whether a setting changes by a statement of the client, and not inside of one that runs. */
static bool
is_set_by_client(void)
{
	const PlannedStmt *statement;

	if (ActivePortal == NULL)
		return true;			/* the session begins */
	statement = linitial_node(PlannedStmt, ActivePortal->stmts);
	return list_length(ActivePortal->stmts) == 1 && statement->utilityStmt != NULL &&
		IsA(statement->utilityStmt, VariableSetStmt);
}

static bool hooks_are_installed = false;

/* Install the hooks, over those of libraries that were loaded since. */
static void
install_hooks(void)
{
	prev_planner = planner_hook;
	planner_hook = planner_hook_function;
	prev_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = rel_pathlist_hook;
	prev_join_pathlist = set_join_pathlist_hook;
	set_join_pathlist_hook = join_pathlist_hook;
	prev_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start_hook;
	prev_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run_hook;
	prev_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish_hook;
	prev_end = ExecutorEnd_hook;
	ExecutorEnd_hook = executor_end_hook;
	prev_utility = ProcessUtility_hook;
	ProcessUtility_hook = utility_hook;
	hooks_are_installed = true;
	if (!is_set_by_client())
		nested_message = GetCurrentStatementStartTimestamp();
}

/* Remove the hooks, unless one is in use or a library has put its own over them. */
static void
remove_hooks(void)
{
	if (plan_depth > 0 || run_depth > 0 || executions != NULL ||
		planner_hook != planner_hook_function ||
		set_rel_pathlist_hook != rel_pathlist_hook ||
		set_join_pathlist_hook != join_pathlist_hook ||
		ExecutorStart_hook != executor_start_hook || ExecutorRun_hook != executor_run_hook ||
		ExecutorFinish_hook != executor_finish_hook || ExecutorEnd_hook != executor_end_hook ||
		ProcessUtility_hook != utility_hook)
		return;
	planner_hook = prev_planner;
	set_rel_pathlist_hook = prev_rel_pathlist;
	set_join_pathlist_hook = prev_join_pathlist;
	ExecutorStart_hook = prev_start;
	ExecutorRun_hook = prev_run;
	ExecutorFinish_hook = prev_finish;
	ExecutorEnd_hook = prev_end;
	ProcessUtility_hook = prev_utility;
	hooks_are_installed = false;
}

/* While no setting is set there are no hooks: even such that do nothing cost 2 % of a point query. */
void
pilot_note_settings(void)
{
	active = pushed_now != NULL || report_now != 0;
	if (!active && !pilot_indexes_are_set)
	{
		if (hooks_are_installed)
			remove_hooks();
	}
	else if (!hooks_are_installed)
		install_hooks();
}

void
_PG_init(void)
{
	DefineCustomStringVariable("pilot_planner.rows",
							   "Row estimates that the planner uses instead of its own.",
							   "Entries as \"a\",\"b\"=100, separated by semicolons.",
							   &rows_setting, "", PGC_USERSET, 0,
							   check_rows, assign_rows, NULL);
	DefineCustomStringVariable("pilot_planner.report",
							   "What is sent back about each statement.",
							   "A list of blocks, plan, actual, timing, time, indexes.",
							   &report_setting, "", PGC_USERSET, 0,
							   check_report, assign_report, NULL);
	DefineCustomStringVariable("pilot_planner.nonce",
							   "What each message begins with.",
							   "Hexadecimal digits, which are not shown.",
							   &nonce_setting, "", PGC_USERSET, GUC_NO_SHOW_ALL,
							   check_nonce, assign_nonce, show_nonce);
	pilot_init_indexes();
#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved("pilot_planner");
#else
	EmitWarningsOnPlaceholders("pilot_planner");
#endif
}
