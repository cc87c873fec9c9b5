/*
 * pilot_indexes.c
 *	  Shows the planner indexes that are not there, and hides indexes that are.
 *
 * pilot_planner.indexes
 *		Statements 'CREATE INDEX ...; CREATE UNIQUE INDEX ...'. Of each the planner sees a B-tree, as
 *		large as the server would build it (pilot_index_size.c). An index of a partitioned table is
 *		one of each partition. Nothing is built, and no table is locked beyond the locks of planning.
 *
 * pilot_planner.hidden_indexes
 *		'by_score, shop."By day", 16412': names or numbers (oid) of existing indexes that the planner
 *		does not see. A hidden index of a partitioned table hides those of its partitions.
 *
 * Both take effect in EXPLAIN without ANALYZE as the client sends it, and nowhere else: a plan with
 * a what-if index is never run. So EXPLAIN EXECUTE plans again and does not keep the plan. EXPLAIN
 * of a cursor with SCROLL does not see them, since the planner looks into the indexes of its plan.
 *
 * The statements are parsed by the server's parser, and their tables, columns and operator classes
 * are looked up when the setting is set, and again whenever a statement is explained. Functions in
 * expressions are evaluated only while planning, with the rights of the client. So the settings
 * are taken from the session alone, not from a database's or role's configuration. The client is
 * told when they change (ParameterStatus), also by RESET ALL and ROLLBACK.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/amapi.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "commands/explain.h"
#include "commands/prepare.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#if PG_VERSION_NUM >= 190000
#include "optimizer/pathnode.h"
#else
#include "optimizer/plancat.h"
#endif
#include "optimizer/prep.h"
#include "parser/parse_target.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "pilot_indexes.h"

#define INDEXES "pilot_planner.indexes"

bool		pilot_indexes_are_set = false;
bool		pilot_indexes_are_seen = false;
bool		pilot_is_explaining = false;

static char *indexes_setting = NULL;
static char *hidden_setting = NULL;

/* The statements of pilot_planner.indexes, parsed when they are first needed. */
static List *parsed = NIL;
static MemoryContext parsed_context = NULL;

/*
 * The what-if indexes of the tables that were planned, kept from one EXPLAIN to the next until the
 * setting, a table, its statistics or what its expressions mean may have changed.
 */
static List *made = NIL;
static MemoryContext made_context = NULL;
static bool made_is_stale = true;
static char *made_search_path = NULL;

/* The EXPLAIN of the client that runs now. */
typedef struct Explained
{
	MemoryContext context;
	const char *text;			/* of the query whose plans see the indexes */
	List	   *statements;
	Oid		   *tables;			/* by statement; InvalidOid for none */
	List	   *hidden;			/* oids */
	List	   *indexes;		/* of WhatIfIndex, of the tables that were planned */
	const char *prepared_name;	/* of EXPLAIN EXECUTE */
	CachedPlanSource *prepared;
	CachedPlanSource before;	/* a copy, for the costs of its plans */
} Explained;

static Explained *explained = NULL;

static explain_get_index_name_hook_type prev_index_name = NULL;
#if PG_VERSION_NUM >= 190000
static build_simple_rel_hook_type prev_simple_rel = NULL;
#else
static get_relation_info_hook_type prev_relation_info = NULL;
#endif

/* ------------------------------------------------------------------------------------------
 * Errors in a statement of the setting
 * ------------------------------------------------------------------------------------------
 */

/* A place in pilot_planner.indexes; `number` counts from 1, 0 is the whole text. */
typedef struct Place
{
	const char *text;
	int			number;
	ErrorContextCallback callback;
} Place;

static void
tell_place(void *argument)
{
	const Place *place = argument;
	int			position = geterrposition();

	/* The position is one in the setting, not in the client's statement. */
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(place->text);
	}
	if (place->number > 0)
		errcontext("what-if index %d of " INDEXES, place->number);
	else
		errcontext("the value of " INDEXES);
}

static void
enter_place(Place *place, const char *text, int number)
{
	place->text = text;
	place->number = number;
	place->callback.callback = tell_place;
	place->callback.arg = place;
	place->callback.previous = error_context_stack;
	error_context_stack = &place->callback;
}

static void
leave_place(const Place *place)
{
	error_context_stack = place->callback.previous;
}

/* ------------------------------------------------------------------------------------------
 * From a statement to an index
 * ------------------------------------------------------------------------------------------
 */

/* The statements in a text, all of them CREATE INDEX. */
static List *
parse_statements(const char *text)
{
	List	   *statements = NIL;
	ListCell   *cell;
	Place		place;

	enter_place(&place, text, 0);
#if PG_VERSION_NUM >= 140000
	foreach(cell, raw_parser(text, RAW_PARSE_DEFAULT))
#else
	foreach(cell, raw_parser(text))
#endif
	{
		IndexStmt  *statement = (IndexStmt *) lfirst_node(RawStmt, cell)->stmt;

		place.number = foreach_current_index(cell) + 1;
		if (!IsA(statement, IndexStmt))
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("it is not a CREATE INDEX statement")));
		if (strcmp(statement->accessMethod, "btree") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("what-if indexes are B-trees, and this one is of the kind \"%s\"",
							statement->accessMethod)));
		statements = lappend(statements, statement);
	}
	leave_place(&place);
	return statements;
}

/* Simplify an expression as the server does with those of a real index. */
static List *
simplify(List *expressions, bool is_predicate)
{
	Node	   *simple = eval_const_expressions(NULL, (Node *) expressions);

	if (is_predicate)
		simple = (Node *) make_ands_implicit(canonicalize_qual((Expr *) simple, false));
	fix_opfuncids(simple);
	return (List *) simple;
}

static void
require_immutable(Node *expression, const char *what)
{
	/* Planning inlines functions first, as in CREATE INDEX. */
	if (contain_mutable_functions((Node *) expression_planner(copyObjectImpl(expression))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("functions in index %s must be marked IMMUTABLE", what)));
}

static void
refuse_column(const char *kind)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("index creation on %s is not supported", kind)));
}

/* Find the column that `element` names. */
static void
look_up_column(WhatIfIndex *index, int i, Relation table, const IndexElem *element,
			   Oid *type, Oid *collation)
{
	AttrNumber	number = get_attnum(RelationGetRelid(table), element->name);
	Form_pg_attribute attribute;

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist", element->name)));
	if (number < 0)
		refuse_column("system columns");
	attribute = TupleDescAttr(RelationGetDescr(table), number - 1);
#if PG_VERSION_NUM >= 180000
	if (attribute->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		refuse_column("virtual generated columns");
#endif
	index->columns[i] = number;
	*type = attribute->atttypid;
	*collation = attribute->attcollation;
}

/* Find how a key is compared and stored; `i` is its place. */
static void
look_up_key(WhatIfIndex *index, int i, const IndexElem *element, Oid type, Oid collation)
{
	Oid			class;
	HeapTuple	tuple;
	Oid			stored;

	if (element->collation != NIL)
		collation = get_collation_oid(element->collation, false);
	if (type_is_collatable(type) ? !OidIsValid(collation) : OidIsValid(collation))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the collation of column %d does not fit the type %s", i + 1,
						format_type_be(type))));
	class = ResolveOpClass(element->opclass, type, "btree", BTREE_AM_OID);
	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(class));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", class);
	stored = ((Form_pg_opclass) GETSTRUCT(tuple))->opckeytype;
	ReleaseSysCache(tuple);
	index->types[i] = OidIsValid(stored) && stored != ANYELEMENTOID ? stored : type;
	index->collations[i] = collation;
	index->families[i] = get_opclass_family(class);
	index->input_types[i] = get_opclass_input_type(class);
	index->descending[i] = element->ordering == SORTBY_DESC;
	index->nulls_first[i] = element->nulls_ordering == SORTBY_NULLS_FIRST ||
		(element->nulls_ordering == SORTBY_NULLS_DEFAULT && index->descending[i]);
}

static void
read_options(WhatIfIndex *index, const IndexStmt *statement)
{
	const IndexAmRoutine *routine = GetIndexAmRoutineByAmId(BTREE_AM_OID, false);
	Datum		given = transformRelOptions((Datum) 0, statement->options, NULL, NULL, false, false);
	const BTOptions *options = (BTOptions *) index_reloptions(routine->amoptions, given, true);

	index->fill_factor = options == NULL ? BTREE_DEFAULT_FILLFACTOR : options->fillfactor;
	index->deduplicates = options == NULL || options->deduplicate_items;
}

/* A unique index of a partitioned table must have all columns of the partition key. */
static void
require_partition_key(const WhatIfIndex *index, Relation table)
{
	PartitionKey key = RelationGetPartitionKey(table);

	for (int i = 0; i < key->partnatts; i++)
	{
		bool		found = false;

		for (int k = 0; k < index->n_keys; k++)
			found = found || (key->partattrs[i] != 0 && key->partattrs[i] == index->columns[k]);
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a unique index of a partitioned table must include all columns of "
							"its partition key")));
	}
}

static void
require_indexable(Relation table)
{
	char		kind = table->rd_rel->relkind;

	if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot create index on relation \"%s\"",
						RelationGetRelationName(table))));
	if (IsCatalogRelation(table))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" is a system catalog", RelationGetRelationName(table))));
}

/* Expressions and conditions may use ordinary columns only, as in CREATE INDEX. */
static void
require_columns(Node *expressions, Relation table)
{
	Bitmapset  *numbers = NULL;
	int			i = -1;

	pull_varattnos(expressions, 1, &numbers);
	while ((i = bms_next_member(numbers, i)) >= 0)
	{
		AttrNumber	number = i + FirstLowInvalidHeapAttributeNumber;

		if (number < 0)
			refuse_column("system columns");
#if PG_VERSION_NUM >= 180000
		if (number > 0 && TupleDescAttr(RelationGetDescr(table), number - 1)->attgenerated ==
			ATTRIBUTE_GENERATED_VIRTUAL)
			refuse_column("virtual generated columns");
#else
		(void) table;
#endif
	}
}

/*
 * The index of a statement on `table`, which is the table that it names or a partition of it.
 * Functions are evaluated only with `may_evaluate`. The caller holds a lock on the table.
 */
static WhatIfIndex *
make_index(const IndexStmt *raw, Relation table, const char *text, bool may_evaluate)
{
	WhatIfIndex *index = palloc0(sizeof(WhatIfIndex));
	IndexStmt  *statement = transformIndexStmt(RelationGetRelid(table), copyObjectImpl(raw), text);
	ListCell   *cell;
	int			i = 0;

	index->relid = RelationGetRelid(table);
	index->n_keys = list_length(statement->indexParams);
	index->n_columns = index->n_keys + list_length(statement->indexIncludingParams);
	if (index->n_columns > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
	index->unique = statement->unique;
#if PG_VERSION_NUM >= 150000
	index->nulls_not_distinct = statement->nulls_not_distinct;
#endif
	index->is_partitioned = table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	foreach(cell, statement->indexParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, cell);
		Oid			type;
		Oid			collation;

		if (element->name != NULL)
			look_up_column(index, i, table, element, &type, &collation);
		else
		{
			Node	   *expression = element->expr;

			type = exprType(expression);
			collation = exprCollation(expression);
			while (IsA(expression, CollateExpr))
				expression = (Node *) ((CollateExpr *) expression)->arg;
			if (IsA(expression, Var) && ((Var *) expression)->varattno > 0)
				index->columns[i] = ((Var *) expression)->varattno;
			else
			{
				if (may_evaluate)
					require_immutable(expression, "expression");
				index->expressions = lappend(index->expressions, expression);
			}
		}
		look_up_key(index, i++, element, type, collation);
	}
	foreach(cell, statement->indexIncludingParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, cell);
		Oid			collation;

		if (element->name == NULL || element->collation != NIL || element->opclass != NIL ||
			element->ordering != SORTBY_DEFAULT ||
			element->nulls_ordering != SORTBY_NULLS_DEFAULT)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("an included column is a column alone, without an expression, a "
							"collation, an operator class or an order")));
		look_up_column(index, i, table, element, &index->types[i], &collation);
		i++;
	}
	read_options(index, statement);
	if (index->unique && index->is_partitioned)
		require_partition_key(index, table);
	require_columns((Node *) index->expressions, table);
	require_columns(statement->whereClause, table);
	if (may_evaluate && statement->whereClause != NULL)
	{
		require_immutable(statement->whereClause, "predicate");
		index->predicate = simplify((List *) statement->whereClause, true);
	}
	if (may_evaluate)
		index->expressions = simplify(index->expressions, false);
	return index;
}

/* ------------------------------------------------------------------------------------------
 * Settings
 * ------------------------------------------------------------------------------------------
 */

static bool
is_blank(const char *text)
{
	return text == NULL || text[strspn(text, " \t\r\n;")] == '\0';
}

/* Whether a value is the session's own, and may be checked against the catalogs. */
static bool
may_check(GucSource source)
{
	return source >= PGC_S_INTERACTIVE && source != PGC_S_TEST && IsTransactionState() &&
		!IsParallelWorker();
}

static bool
is_of_session(GucSource source)
{
	if (source == PGC_S_DEFAULT || source == PGC_S_CLIENT || source == PGC_S_OVERRIDE ||
		source == PGC_S_INTERACTIVE || source == PGC_S_SESSION)
		return true;
	GUC_check_errdetail("A session sets it for itself, with SET.");
	return false;
}

/* Check a statement against the catalogs, unless somebody changes its table just now. */
static bool
check_statement(const IndexStmt *statement, const char *text)
{
	Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
	Relation	table;

	if (!OidIsValid(relid))
	{
		GUC_check_errmsg("relation \"%s\" does not exist", statement->relation->relname);
		return false;
	}
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return true;
	table = try_relation_open(relid, NoLock);
	if (table != NULL)
	{
		require_indexable(table);
		make_index(statement, table, text, false);
		relation_close(table, NoLock);
	}
	UnlockRelationOid(relid, AccessShareLock);
	return true;
}

static bool
check_indexes(char **value, void **extra, GucSource source)
{
	MemoryContext context;
	MemoryContext before;
	ListCell   *cell;
	bool		is_right = true;

	(void) extra;
	if (is_blank(*value))
		return true;
	if (!is_of_session(source))
		return false;
	if (!may_check(source))
		return true;
	context = AllocSetContextCreate(CurrentMemoryContext, INDEXES, ALLOCSET_DEFAULT_SIZES);
	before = MemoryContextSwitchTo(context);
	foreach(cell, parse_statements(*value))
	{
		Place		place;

		enter_place(&place, *value, foreach_current_index(cell) + 1);
		is_right = is_right && check_statement(lfirst_node(IndexStmt, cell), *value);
		leave_place(&place);
	}
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	return is_right;
}

static void install_hooks(void);

static void
note_settings(const char *indexes, const char *hidden)
{
	pilot_indexes_are_set = !is_blank(indexes) || !is_blank(hidden);
	if (pilot_indexes_are_set)
		install_hooks();
	pilot_note_settings();
}

static void
assign_indexes(const char *value, void *extra)
{
	(void) extra;
	/* What the value before has left is freed when the new statements are needed. */
	parsed = NIL;
	made_is_stale = true;
	note_settings(value, hidden_setting);
}

/* The end of the list's item that begins at `at`: a comma outside of quotes, or the text's end. */
static const char *
end_of_item(const char *at)
{
	bool		quoted = false;

	for (; *at != '\0' && (quoted || *at != ','); at++)
		if (*at == '"')
			quoted = !quoted;
	return at;
}

/* The index that an item names, or InvalidOid; `*number_given` is whether it is a number. */
static Oid
find_hidden(const char *item, Size length, bool *number_given)
{
	char	   *name = pnstrdup(item, length);
	List	   *names;

	while (length > 0 && isspace((unsigned char) name[length - 1]))
		name[--length] = '\0';
	while (isspace((unsigned char) *name))
		name++;
	*number_given = *name != '\0' && strspn(name, "0123456789") == strlen(name);
	if (*number_given)
		return (Oid) strtoul(name, NULL, 10);
#if PG_VERSION_NUM >= 160000
	names = stringToQualifiedNameList(name, NULL);
#else
	names = stringToQualifiedNameList(name);
#endif
	return RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
}

/* The oids in pilot_planner.hidden_indexes; with `problem`, what the first wrong one is. */
static List *
find_all_hidden(const char *text, char **problem)
{
	List	   *found = NIL;

	while (!is_blank(text))
	{
		const char *end = end_of_item(text);
		bool		number_given;
		Oid			oid = find_hidden(text, end - text, &number_given);
		char		kind = OidIsValid(oid) ? get_rel_relkind(oid) : '\0';

		if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
			found = lappend_oid(found, oid);
		else if (problem != NULL && *problem == NULL)
			*problem = pnstrdup(text, end - text);
		text = *end == '\0' ? end : end + 1;
	}
	return found;
}

static bool
check_hidden(char **value, void **extra, GucSource source)
{
	char	   *problem = NULL;

	(void) extra;
	if (is_blank(*value))
		return true;
	if (!is_of_session(source))
		return false;
	if (!may_check(source))
		return true;
	list_free(find_all_hidden(*value, &problem));
	if (problem != NULL)
		GUC_check_errdetail("There is no index %s.", problem);
	return problem == NULL;
}

static void
assign_hidden(const char *value, void *extra)
{
	(void) extra;
	note_settings(indexes_setting, value);
}

/* The statements of pilot_planner.indexes, in memory that lasts until the setting changes. */
static List *
parsed_statements(void)
{
	if (parsed == NIL && !is_blank(indexes_setting))
	{
		MemoryContext context;
		MemoryContext before;
		List	   *statements;

		if (parsed_context != NULL)
			MemoryContextDelete(parsed_context);
		parsed_context = NULL;
		context = AllocSetContextCreate(CurrentMemoryContext, INDEXES, ALLOCSET_DEFAULT_SIZES);
		before = MemoryContextSwitchTo(context);
		statements = parse_statements(indexes_setting);
		MemoryContextSwitchTo(before);
		MemoryContextSetParent(context, CacheMemoryContext);
		parsed_context = context;
		parsed = statements;
	}
	return parsed;
}

/* ------------------------------------------------------------------------------------------
 * The client's EXPLAIN
 * ------------------------------------------------------------------------------------------
 */

/* Whether EXPLAIN runs its statement. */
static bool
runs_statement(const ExplainStmt *statement)
{
	bool		analyze = false;
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}

/* The EXECUTE that is explained, also as part of CREATE TABLE AS; NULL for none. */
static const ExecuteStmt *
executed(const ExplainStmt *statement)
{
	const Query *query = castNode(Query, statement->query);
	const Node *utility = query->commandType == CMD_UTILITY ? query->utilityStmt : NULL;

	if (utility != NULL && IsA(utility, CreateTableAsStmt))
	{
		query = castNode(Query, ((const CreateTableAsStmt *) utility)->query);
		utility = query->commandType == CMD_UTILITY ? query->utilityStmt : NULL;
	}
	return utility != NULL && IsA(utility, ExecuteStmt) ? (const ExecuteStmt *) utility : NULL;
}

static void
relation_changed(Datum argument, Oid relid)
{
	(void) argument;
	(void) relid;
	made_is_stale = true;
}

static void
#if PG_VERSION_NUM >= 190000
catalog_changed(Datum argument, SysCacheIdentifier cache, uint32 hash)
#else
catalog_changed(Datum argument, int cache, uint32 hash)
#endif
{
	(void) argument;
	(void) cache;
	(void) hash;
	made_is_stale = true;
}

/* Forget the indexes that were made if they may be others now. */
static void
forget_stale(void)
{
	const int	caches[] = {STATRELATTINH, PROCOID, CLAOID, TYPEOID, STATEXTOID};
	static bool is_registered = false;

	if (!is_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		for (Size i = 0; i < lengthof(caches); i++)
			CacheRegisterSyscacheCallback(caches[i], catalog_changed, (Datum) 0);
		is_registered = true;
	}
	if (!made_is_stale && strcmp(made_search_path, namespace_search_path) == 0)
		return;
	made = NIL;
	made_is_stale = true;
	if (made_context == NULL)
		made_context = AllocSetContextCreate(CacheMemoryContext, "pilot_planner what-if indexes",
											 ALLOCSET_DEFAULT_SIZES);
	else
		MemoryContextReset(made_context);
	made_search_path = MemoryContextStrdup(made_context, namespace_search_path);
	made_is_stale = false;
}

/* Drop the generic plan of the prepared statement that is explained. */
static void
drop_plan(CachedPlanSource *source)
{
	if (source->gplan != NULL)
		source->gplan->is_valid = false;
}

/*
 * Begin an EXPLAIN of the client; false if its plans see no what-if indexes. pilot_end_explain must
 * follow however the EXPLAIN ends.
 */
bool
pilot_begin_explain(const ExplainStmt *statement, const char *text)
{
	MemoryContext context;
	MemoryContext before;
	const ExecuteStmt *execute;
	Explained  *new;
	ListCell   *cell;

	if (explained != NULL || runs_statement(statement))
		return false;
	forget_stale();
	context = AllocSetContextCreate(CurrentMemoryContext, "pilot_planner what-if indexes",
									ALLOCSET_SMALL_SIZES);
	before = MemoryContextSwitchTo(context);
	new = palloc0(sizeof(Explained));
	new->context = context;
	new->text = text;
	new->statements = parsed_statements();
	new->tables = palloc0(sizeof(Oid) * (list_length(new->statements) + 1));
	foreach(cell, new->statements)
		new->tables[foreach_current_index(cell)] =
			RangeVarGetRelid(lfirst_node(IndexStmt, cell)->relation, NoLock, true);
	new->hidden = find_all_hidden(hidden_setting, NULL);
	execute = executed(statement);
	if (execute != NULL)
	{
		PreparedStatement *prepared = FetchPreparedStatement(execute->name, false);

		if (prepared != NULL)
		{
			new->prepared_name = pstrdup(execute->name);
			new->prepared = prepared->plansource;
			new->before = *prepared->plansource;
			new->text = prepared->plansource->query_string;
			drop_plan(new->prepared);
		}
	}
	MemoryContextSwitchTo(before);
	explained = new;
	pilot_is_explaining = true;
	return true;
}

/* End it: the plan of a prepared statement is not kept, nor its costs. */
void
pilot_end_explain(void)
{
	Explained  *ended = explained;

	explained = NULL;
	pilot_is_explaining = false;
	if (ended->prepared != NULL)
	{
		PreparedStatement *prepared = FetchPreparedStatement(ended->prepared_name, false);

		/* A function among the parameters may have dropped it. */
		if (prepared != NULL && prepared->plansource == ended->prepared &&
			prepared->plansource->query_string == ended->text)
		{
			drop_plan(ended->prepared);
			ended->prepared->generic_cost = ended->before.generic_cost;
			ended->prepared->total_custom_cost = ended->before.total_custom_cost;
			ended->prepared->num_custom_plans = ended->before.num_custom_plans;
#if PG_VERSION_NUM >= 140000
			ended->prepared->num_generic_plans = ended->before.num_generic_plans;
#endif
		}
	}
	MemoryContextDelete(ended->context);
}

/* Whether a query that is planned now is the one that the client explains. */
bool
pilot_explains(const char *query_string, int cursor_options)
{
	/* By the place of its text: functions that run meanwhile have texts of their own. */
	return pilot_is_explaining && query_string == explained->text &&
		!(cursor_options & CURSOR_OPT_SCROLL);
}

/* Append the what-if indexes that the planner saw: [[number, bytes, height, rows, name], ...]. */
void
pilot_add_indexes(StringInfo out)
{
	const char *comma = "";
	ListCell   *cell;

	appendStringInfoChar(out, '[');
	if (explained != NULL)
		foreach(cell, explained->indexes)
		{
			const WhatIfIndex *index = lfirst(cell);

			if (index->is_partitioned)
				continue;
			appendStringInfo(out, "%s[%d," UINT64_FORMAT ",%d,%.0f,", comma, index->number,
							 (uint64) index->pages * BLCKSZ, index->height, index->rows);
			escape_json(out, index->name);
			appendStringInfoChar(out, ']');
			comma = ",";
		}
	appendStringInfoChar(out, ']');
}

/* ------------------------------------------------------------------------------------------
 * The planner's list of indexes
 * ------------------------------------------------------------------------------------------
 */

/* A number that no relation has. */
static Oid
unused_oid(void)
{
	Oid			oid = made == NIL ? PG_UINT32_MAX : ((WhatIfIndex *) llast(made))->oid - 1;

	while (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(oid)))
		oid--;
	return oid;
}

/* The index's own name; without one the name that the server would give it, in angle brackets. */
static const char *
name_index(const IndexStmt *statement, Relation table, Oid named)
{
	StringInfoData columns;
	ListCell   *cell;
	char	   *name;
	int			nth = 0;

	if (statement->idxname != NULL && RelationGetRelid(table) == named)
		return pstrdup(statement->idxname);
	initStringInfo(&columns);
	foreach(cell, statement->indexParams)
	{
		const IndexElem *element = lfirst_node(IndexElem, cell);

		appendStringInfo(&columns, "%s%s", columns.len > 0 ? "_" : "",
						 element->name != NULL ? element->name : FigureIndexColname(element->expr));
	}
	foreach(cell, statement->indexIncludingParams)
		appendStringInfo(&columns, "_%s", lfirst_node(IndexElem, cell)->name);
	for (;;)
	{
		char		label[16] = "idx";

		if (nth > 0)
			snprintf(label, sizeof(label), "idx%d", nth);
		name = psprintf("<%s>",
						makeObjectName(RelationGetRelationName(table), columns.data, label));
		foreach(cell, made)
			if (strcmp(((WhatIfIndex *) lfirst(cell))->name, name) == 0)
				break;
		if (cell == NULL)
			return name;
		nth++;
	}
}

/* The columns of an index as a target list. */
static List *
columns_of_index(const IndexOptInfo *info, Relation table)
{
	List	   *columns = NIL;
	ListCell   *next = list_head(info->indexprs);

	for (int i = 0; i < info->ncolumns; i++)
	{
		Expr	   *column;

		if (info->indexkeys[i] != 0)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table),
														info->indexkeys[i] - 1);

			column = (Expr *) makeVar(info->rel->relid, info->indexkeys[i], attribute->atttypid,
									  attribute->atttypmod, attribute->attcollation, 0);
		}
		else
		{
			column = lfirst(next);
			next = lnext(info->indexprs, next);
		}
		columns = lappend(columns, makeTargetEntry(column, i + 1, NULL, false));
	}
	return columns;
}

static void *
copy_of(const void *from, Size size)
{
	return memcpy(palloc(size), from, size);
}

/* What the planner knows of a B-tree (get_relation_info), for a what-if one. */
static IndexOptInfo *
describe_index(PlannerInfo *root, RelOptInfo *rel, Relation table, WhatIfIndex *index)
{
	const IndexAmRoutine *routine = GetIndexAmRoutineByAmId(BTREE_AM_OID, false);
	IndexOptInfo *info = makeNode(IndexOptInfo);
	int			n = index->n_keys;

	info->indexoid = index->oid;
	info->reltablespace = InvalidOid;
	info->rel = rel;
	info->ncolumns = index->n_columns;
	info->nkeycolumns = n;
	info->indexkeys = palloc(sizeof(int) * index->n_columns);
	info->canreturn = palloc(sizeof(bool) * index->n_columns);
	for (int i = 0; i < index->n_columns; i++)
	{
		info->indexkeys[i] = index->columns[i];
		info->canreturn[i] = true;
	}
	info->indexcollations = copy_of(index->collations, sizeof(Oid) * n);
	info->opfamily = copy_of(index->families, sizeof(Oid) * n);
	info->opcintype = copy_of(index->input_types, sizeof(Oid) * n);
	info->opclassoptions = palloc0(sizeof(bytea *) * n);
	info->relam = BTREE_AM_OID;
	info->indexprs = copyObjectImpl(index->expressions);
	info->indpred = copyObjectImpl(index->predicate);
	if (rel->relid != 1)
	{
		ChangeVarNodes((Node *) info->indexprs, 1, rel->relid, 0);
		ChangeVarNodes((Node *) info->indpred, 1, rel->relid, 0);
	}
	info->indextlist = columns_of_index(info, table);
	info->unique = index->unique;
#if PG_VERSION_NUM >= 180000
	info->nullsnotdistinct = index->nulls_not_distinct;
#endif
	info->immediate = true;
	info->hypothetical = true;
	info->tree_height = -1;
	if (index->is_partitioned)
		return info;
	info->sortopfamily = info->opfamily;
	info->reverse_sort = copy_of(index->descending, sizeof(bool) * n);
	info->nulls_first = copy_of(index->nulls_first, sizeof(bool) * n);
	info->amcanorderbyop = routine->amcanorderbyop;
	info->amoptionalkey = routine->amoptionalkey;
	info->amsearcharray = routine->amsearcharray;
	info->amsearchnulls = routine->amsearchnulls;
	info->amcanparallel = routine->amcanparallel;
	info->amhasgettuple = routine->amgettuple != NULL;
	info->amhasgetbitmap = routine->amgetbitmap != NULL;
	info->amcanmarkpos = routine->ammarkpos != NULL && routine->amrestrpos != NULL;
	info->amcostestimate = routine->amcostestimate;
	if (!index->is_sized)
		pilot_estimate_size(root, rel, table, index, info->indexprs, info->indpred);
	info->pages = index->pages;
	info->tree_height = index->height;
	info->tuples = info->indpred == NIL ? rel->tuples : Min(index->rows, rel->tuples);
	return info;
}

/* Whether a partition has a real index like this one, which CREATE INDEX would take instead. */
static bool
has_same_index(const RelOptInfo *rel, const IndexOptInfo *wanted)
{
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		const IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);
		int			n = index->nkeycolumns;

		if (!index->hypothetical && index->relam == wanted->relam &&
			index->unique == wanted->unique && index->ncolumns == wanted->ncolumns &&
			n == wanted->nkeycolumns &&
			memcmp(index->indexkeys, wanted->indexkeys, sizeof(int) * index->ncolumns) == 0 &&
			memcmp(index->opfamily, wanted->opfamily, sizeof(Oid) * n) == 0 &&
			memcmp(index->opcintype, wanted->opcintype, sizeof(Oid) * n) == 0 &&
			memcmp(index->indexcollations, wanted->indexcollations, sizeof(Oid) * n) == 0 &&
			equal(index->indexprs, wanted->indexprs) && equal(index->indpred, wanted->indpred))
			return true;
	}
	return false;
}

/* Make the what-if index of a statement on a relation. */
static WhatIfIndex *
make_numbered(int number, Relation table)
{
	const IndexStmt *statement = list_nth_node(IndexStmt, explained->statements, number);
	MemoryContext before = MemoryContextSwitchTo(made_context);
	WhatIfIndex *index;
	Place		place;

	enter_place(&place, indexes_setting, number + 1);
	require_indexable(table);
	index = make_index(statement, table, indexes_setting, true);
	index->number = number;
	index->oid = unused_oid();
	index->name = name_index(statement, table, explained->tables[number]);
	made = lappend(made, index);
	leave_place(&place);
	MemoryContextSwitchTo(before);
	return index;
}

/* The what-if index of a statement on a relation, as large as the relation is now. */
static WhatIfIndex *
index_of(int number, Relation table, const RelOptInfo *rel)
{
	WhatIfIndex *index = NULL;
	MemoryContext before;
	ListCell   *cell;

	foreach(cell, made)
	{
		index = lfirst(cell);
		if (index->number == number && index->relid == RelationGetRelid(table))
			break;
	}
	if (cell == NULL)
		index = make_numbered(number, table);
	if (index->table_pages != rel->pages || index->table_rows != rel->tuples)
	{
		index->is_sized = false;
		index->table_pages = rel->pages;
		index->table_rows = rel->tuples;
	}
	before = MemoryContextSwitchTo(explained->context);
	explained->indexes = list_append_unique_ptr(explained->indexes, index);
	MemoryContextSwitchTo(before);
	return index;
}

/* Take the hidden indexes from the planner's list. */
static void
hide_indexes(RelOptInfo *rel)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);
		bool		is_hidden = list_member_oid(explained->hidden, index->indexoid);

		if (!is_hidden && get_rel_relispartition(index->indexoid))
		{
			ListCell   *above;

			foreach(above, get_partition_ancestors(index->indexoid))
				if (list_member_oid(explained->hidden, lfirst_oid(above)))
					is_hidden = true;
		}
		if (!is_hidden)
			kept = lappend(kept, index);
	}
	rel->indexlist = kept;
}

/* Whether the planner is to see the index of a statement in a relation. */
static bool
concerns(int number, Oid relid, List *above, char kind)
{
	Oid			named = explained->tables[number];
	bool		is_only = !list_nth_node(IndexStmt, explained->statements, number)->relation->inh;

	if (!OidIsValid(named))
		return false;
	if (named == relid)
		return !is_only || kind != RELKIND_PARTITIONED_TABLE;
	return !is_only && list_member_oid(above, named);
}

static void
change_indexes(PlannerInfo *root, Oid relid, bool is_parent, RelOptInfo *rel)
{
	List	   *above = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
	char		kind = get_rel_relkind(relid);

	if (explained->hidden != NIL)
		hide_indexes(rel);
	/* The planner looks at no index of these. */
	if (kind == RELKIND_FOREIGN_TABLE ||
#if PG_VERSION_NUM < 160000
		kind == RELKIND_PARTITIONED_TABLE ||
#endif
		(is_parent && kind != RELKIND_PARTITIONED_TABLE))
		return;
	for (int i = 0; i < list_length(explained->statements); i++)
	{
		Relation	table;
		WhatIfIndex *index;
		IndexOptInfo *info;

		if (!concerns(i, relid, above, kind))
			continue;
		table = table_open(relid, NoLock);	/* the planner has locked it */
		index = index_of(i, table, rel);
		info = describe_index(root, rel, table, index);
		/* The newest index comes first, as in get_relation_info. */
		if (explained->tables[i] == relid || !has_same_index(rel, info))
			rel->indexlist = lcons(info, rel->indexlist);
		table_close(table, NoLock);
	}
}

#if PG_VERSION_NUM >= 190000
static void
simple_rel_hook(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	if (prev_simple_rel != NULL)
		prev_simple_rel(root, rel, rte);
	if (pilot_indexes_are_seen && rte->rtekind == RTE_RELATION)
		change_indexes(root, rte->relid, rte->inh, rel);
}
#else
static void
relation_info_hook(PlannerInfo *root, Oid relid, bool is_parent, RelOptInfo *rel)
{
	if (prev_relation_info != NULL)
		prev_relation_info(root, relid, is_parent, rel);
	if (pilot_indexes_are_seen)
		change_indexes(root, relid, is_parent, rel);
}
#endif

/* The name of a what-if index in EXPLAIN's output. */
static const char *
index_name_hook(Oid oid)
{
	ListCell   *cell;

	if (explained != NULL)
		foreach(cell, explained->indexes)
		{
			const WhatIfIndex *index = lfirst(cell);

			if (index->oid == oid)
				return index->name;
		}
	return prev_index_name != NULL ? prev_index_name(oid) : NULL;
}

/* Install the hooks when they are first needed, so that other sessions do not call them. */
static void
install_hooks(void)
{
	static bool are_installed = false;

	if (are_installed)
		return;
	are_installed = true;
	prev_index_name = explain_get_index_name_hook;
	explain_get_index_name_hook = index_name_hook;
#if PG_VERSION_NUM >= 190000
	prev_simple_rel = build_simple_rel_hook;
	build_simple_rel_hook = simple_rel_hook;
#else
	prev_relation_info = get_relation_info_hook;
	get_relation_info_hook = relation_info_hook;
#endif
}

void
pilot_init_indexes(void)
{
	DefineCustomStringVariable(INDEXES,
							   "Indexes that the planner sees in EXPLAIN without ANALYZE.",
							   "Statements CREATE INDEX, separated by semicolons.",
							   &indexes_setting, "", PGC_USERSET, GUC_REPORT,
							   check_indexes, assign_indexes, NULL);
	DefineCustomStringVariable("pilot_planner.hidden_indexes",
							   "Indexes that the planner does not see in EXPLAIN without ANALYZE.",
							   "A list of names or oids.",
							   &hidden_setting, "", PGC_USERSET, GUC_REPORT,
							   check_hidden, assign_hidden, NULL);
}
