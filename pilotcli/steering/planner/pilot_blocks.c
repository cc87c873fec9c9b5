/*
 * pilot_blocks.c
 *	  Describes a query block as the planner sees it: relations, joins and conditions, as SQL.
 *
 * From this the query of every sub-plan can be written. The block is described when the planner
 * has simplified it and has not planned its joins yet: sub-queries are pulled up, constants are
 * folded, outer joins are reduced, useless joins are removed, and conditions stand where the
 * planner will test them. The server's own code writes the SQL (ruleutils.c).
 *
 * The description is a JSON object. Sets of relations are bit masks: bit 0 is the first relation.
 *
 *		relations	[{"name": "p", "text": "parts p", "uses": 0, "with": ["w"]}]; "uses" are the
 *					relations that a lateral one needs
 *		tree		a relation's number, {"kind": "inner", "parts": [...], "clauses": [...]}, or
 *					{"kind": "left", "left": ..., "right": ..., "clauses": [...]}; the other kinds
 *					are full, semi and anti; "nulls": true marks a left join of which only the rows
 *					without a partner are kept
 *		specials	[{"kind": "left", "min_left": 1, "min_right": 2, "left": 1, "right": 2}], the
 *					planner's limits on the join order
 *		with		[{"name": "w", "text": "w AS MATERIALIZED (...)", "recursive": false,
 *					"with": []}], the WITH queries that are used, each after those it uses
 *		joins_nullable	whether the planner combines equalities of values that an outer join may make
 *					null, as from PostgreSQL 16 on
 *
 * A clause has "text" and "rels". An equality that the planner may combine with others has
 * "equal": [left, rels, right, rels, how the values are compared, sides that the planner does not
 * find in a class (1 is the left one, 2 the right one)]. "derived" are conditions on single
 * relations that the planner took from an OR: [{"rels": 1, "text": ...}]. What cannot be
 * written has "problem", the reason, instead of "text".
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "pilot_blocks.h"

#define MOST_RELATIONS 62
#define MARK "pilot "

#if PG_VERSION_NUM >= 140000
#define VARNOS(root, node) pull_varnos(root, node)
#else
#define VARNOS(root, node) pull_varnos(node)
#endif

/* ------------------------------------------------------------------------------------------
 * The statement before planning
 * ------------------------------------------------------------------------------------------
 */

/*
 * The planner replaces a sub-query in an expression by a plan. Its text is that of the statement
 * before planning, in which each query has a number: its place in a walk. The number stands in the
 * field queryId of queries below the outermost, which the server uses for the outermost alone. The
 * entries of range tables are numbered, too, in the field enrname, which only transition tables
 * use: so they are recognised after sub-queries have been pulled up.
 */
struct Statement
{
	int			n_queries;
	int			n_entries;
	Query	  **queries;		/* by number, from 1; NULL unless texts are kept */
	int		   *around;			/* by number; the number of the query around it */
	int			current;		/* while walking */
};

static bool
mark_walker(Node *node, void *context)
{
	Statement  *statement = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = (RangeTblEntry *) node;

		statement->n_entries++;
		if (entry->rtekind != RTE_NAMEDTUPLESTORE)
			entry->enrname = psprintf(MARK "%d", statement->n_entries);
		return false;			/* the walk goes on into its sub-query */
	}
	if (IsA(node, Query))
	{
		statement->n_queries++;
		if (statement->n_queries > 1)
			((Query *) node)->queryId = statement->n_queries;
		return query_tree_walker((Query *) node, mark_walker, context, QTW_EXAMINE_RTES_BEFORE);
	}
	return expression_tree_walker(node, mark_walker, context);
}

static bool
keep_walker(Node *node, void *context)
{
	Statement  *statement = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		int			outer = statement->current;
		int			number = outer == 0 ? 1 : (int) ((Query *) node)->queryId;
		bool		found;

		statement->queries[number] = (Query *) node;
		statement->around[number] = outer;
		statement->current = number;
		found = query_tree_walker((Query *) node, keep_walker, context, 0);
		statement->current = outer;
		return found;
	}
	return expression_tree_walker(node, keep_walker, context);
}

/* Number the queries of a statement, and keep a copy if their texts are needed. */
Statement *
pilot_mark_statement(Query *parse, bool keeps_text)
{
	Statement  *statement = palloc0(sizeof(Statement));

	mark_walker((Node *) parse, statement);
	if (keeps_text)
	{
		statement->queries = palloc0(sizeof(Query *) * (statement->n_queries + 1));
		statement->around = palloc0(sizeof(int) * (statement->n_queries + 1));
		keep_walker((Node *) copyObjectImpl(parse), statement);
	}
	return statement;
}

/* Remove what pilot_mark_statement() wrote from a plan, which may be kept. */
void
pilot_clear_marks(PlannedStmt *plan)
{
	ListCell   *cell;

	foreach(cell, plan->rtable)
	{
		RangeTblEntry *entry = lfirst(cell);

		if (entry->rtekind != RTE_NAMEDTUPLESTORE)
			entry->enrname = NULL;
	}
}

/* The number of the query that a root plans; 0 if it is not from the statement's text. */
int
pilot_query_number(const PlannerInfo *root)
{
	if (root->parent_root == NULL)
		return 1;
	if (root->parse->queryId > 0 && root->parse->queryId < PG_INT32_MAX)
		return (int) root->parse->queryId;
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * One block
 * ------------------------------------------------------------------------------------------
 */

typedef struct Description
{
	PlannerInfo *root;
	char	  **names;			/* by range table index; NULL for what is not planned */
	const Statement *statement;
	int			n_entries;		/* in the range table */
	int		   *numbers;		/* by range table index; bit of the relation, -1 for none */
	List	   *entries;		/* a range table with these names, for ruleutils.c */
	List	   *context;		/* of ruleutils.c */
	List	   *with;			/* CommonTableExpr: those used, each after those it uses */
	List	   *with_levels;	/* by CommonTableExpr: the lists of WITH queries that it sees */
	StringInfo	with_text;
	/* Of the text that is being written: */
	const char *problem;
	List	   *used_with;		/* names */
	List	   *columns;		/* parameters that are the columns of a sub-query */
} Description;

static void
set_problem(Description *block, const char *problem)
{
	if (block->problem == NULL)
		block->problem = problem;
}

static bool
is_planned(const Description *block, int rti)
{
	return rti > 0 && rti <= block->n_entries && block->numbers[rti] >= 0;
}

static uint64
mask_of(const Description *block, Relids relids)
{
	uint64		mask = 0;
	int			rti = -1;

	while ((rti = bms_next_member(relids, rti)) >= 0)
		if (is_planned(block, rti))
			mask |= UINT64CONST(1) << block->numbers[rti];
	return mask;
}

/* ---- Expressions as the statement has them: sub-queries instead of their plans ---- */

typedef struct Outer
{
	Description *block;
	Query	   *around;			/* the original query around the sub-query */
	int			depth;			/* levels between the two */
} Outer;

static Node *restore(Node *node, Description *block);
static void look_at(Query *query, List *levels, int reach, Description *block);

/* A column of the query `around`, as a column of the block; NULL if it is none. */
static Node *
column_of_block(const Var *var, Query *around, Description *block)
{
	RangeTblEntry *entry = rt_fetch(var->varno, around->rtable);

	for (int rti = 1; rti <= block->n_entries; rti++)
	{
		RangeTblEntry *own = rt_fetch(rti, block->root->parse->rtable);

		if (is_planned(block, rti) && entry->enrname != NULL && own->enrname != NULL &&
			strcmp(entry->enrname, own->enrname) == 0)
			return (Node *) makeVar(rti, var->varattno, var->vartype, var->vartypmod,
									var->varcollid, 0);
	}
	if (var->varattno > 0)
	{
		Node	   *column = NULL;
		Query	   *query = around;

		if (entry->rtekind == RTE_JOIN)
			column = list_nth(entry->joinaliasvars, var->varattno - 1);
		else if (entry->rtekind == RTE_SUBQUERY && entry->subquery != NULL)
		{
			TargetEntry *target = get_tle_by_resno(entry->subquery->targetList, var->varattno);

			query = entry->subquery;
			column = target == NULL ? NULL : (Node *) target->expr;
		}
#if PG_VERSION_NUM >= 180000
		else if (entry->rtekind == RTE_GROUP)
			column = list_nth(entry->groupexprs, var->varattno - 1);
#endif
		if (column != NULL && IsA(column, Var) && ((Var *) column)->varlevelsup == 0)
			return column_of_block((Var *) column, query, block);
	}
	return NULL;
}

static Node *
outer_mutator(Node *node, void *context)
{
	Outer	   *outer = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup >= outer->depth)
	{
		Var		   *var = (Var *) node;
		Node	   *column = (int) var->varlevelsup > outer->depth ? NULL :
			column_of_block(var, outer->around, outer->block);

		if (column == NULL)
		{
			set_problem(outer->block, "a sub-query in it uses a value of a query around it");
			return node;
		}
		((Var *) column)->varlevelsup = outer->depth;
		return column;
	}
	if (IsA(node, Query))
	{
		Query	   *query;

		outer->depth++;
		query = query_tree_mutator((Query *) node, outer_mutator, context, 0);
		outer->depth--;
		return (Node *) query;
	}
	return expression_tree_mutator(node, outer_mutator, context);
}

/* The sub-query whose plan is `plan`. */
static Node *
sublink_of(const SubPlan *plan, Description *block)
{
	const Statement *statement = block->statement;
	PlannerInfo *planned = list_nth(block->root->glob->subroots, plan->plan_id - 1);
	int			number = planned == NULL ? 0 : pilot_query_number(planned);
	SubLink    *link = makeNode(SubLink);
	Outer		outer;
	Query	   *query;
	List	   *levels = NIL;
	List	   *columns = block->columns;

	if (number <= 1 || number > statement->n_queries || statement->queries[number] == NULL ||
		planned->parent_root == NULL)
	{
		set_problem(block, "a sub-query in it is not from the text of the query");
		return (Node *) makeNullConst(INT4OID, -1, InvalidOid);
	}
	outer.block = block;
	outer.around = statement->queries[statement->around[number]];
	outer.depth = 1;
	link->subLinkType = plan->subLinkType;
	block->columns = list_concat_copy(columns, plan->paramIds);
	link->testexpr = restore(plan->testexpr, block);
	block->columns = columns;
	query = query_tree_mutator(statement->queries[number], outer_mutator, &outer, 0);
	for (int around = statement->around[number]; around > 0; around = statement->around[around])
		levels = lappend(levels, statement->queries[around]->cteList);
	look_at(query, levels, 0, block);
	link->subselect = (Node *) query;
	link->location = -1;
	return (Node *) link;
}

/* The sub-query whose result is the parameter `param`; NULL if it is none. */
static Node *
sublink_of_parameter(const Param *param, Description *block)
{
	for (PlannerInfo *root = block->root; root != NULL; root = root->parent_root)
	{
		ListCell   *cell;

		foreach(cell, root->init_plans)
		{
			SubPlan    *plan = lfirst(cell);

			if (plan->subLinkType != CTE_SUBLINK && list_length(plan->setParam) == 1 &&
				linitial_int(plan->setParam) == param->paramid && plan->testexpr == NULL)
				return sublink_of(plan, block);
		}
	}
	return NULL;
}

static Node *
collated(Node *expression, Oid collation)
{
	CollateExpr *collate = makeNode(CollateExpr);

	collate->arg = (Expr *) expression;
	collate->collOid = collation;
	collate->location = -1;
	return (Node *) collate;
}

static Node *
restore_mutator(Node *node, void *context)
{
	Description *block = context;

	if (node == NULL)
		return NULL;
	switch (nodeTag(node))
	{
		case T_Var:
			{
				Var		   *var = (Var *) copyObjectImpl(node);

				if (!is_planned(block, var->varno))
					set_problem(block, "it uses a column of a relation that is not planned");
				var->varnosyn = 0;
				var->varattnosyn = 0;
#if PG_VERSION_NUM >= 160000
				var->varnullingrels = NULL;
#endif
				return (Node *) var;
			}
		case T_RelabelType:
			{
				RelabelType *relabel = (RelabelType *) node;
				Oid			collation = relabel->resultcollid;

				/* The planner has made a COLLATE that, which would be written as a cast. */
				if (!OidIsValid(collation) || collation == exprCollation((Node *) relabel->arg))
					break;
				relabel = (RelabelType *) expression_tree_mutator(node, restore_mutator, context);
				relabel->resultcollid = exprCollation((Node *) relabel->arg);
				return collated(relabel->resulttype == exprType((Node *) relabel->arg) ?
								(Node *) relabel->arg : (Node *) relabel, collation);
			}
		case T_PlaceHolderVar:
			{
				PlaceHolderVar *holder = (PlaceHolderVar *) node;
				Node	   *inside = (Node *) holder->phexpr;
				bool		nulled = true;

				/* Its value is null where an outer join finds no partner. */
#if PG_VERSION_NUM >= 160000
				nulled = holder->phnullingrels != NULL;
#endif
				if (nulled && (contain_nonstrict_functions(inside) ||
							   bms_is_empty(VARNOS(block->root, inside))))
					set_problem(block, "it uses a value that an outer join makes null");
				return restore_mutator(inside, context);
			}
		case T_Const:
			if (((Const *) node)->consttype == RECORDOID ||
				((Const *) node)->consttype == RECORDARRAYOID)
				set_problem(block, "it has a row whose type has no name");
			return node;
		case T_SubPlan:
			return sublink_of((SubPlan *) node, block);
		case T_AlternativeSubPlan:
			return restore_mutator(linitial(((AlternativeSubPlan *) node)->subplans), context);
		case T_Param:
			{
				Param	   *param = (Param *) node;
				Node	   *link = NULL;

				if (param->paramkind == PARAM_EXEC &&
					list_member_int(block->columns, param->paramid))
				{
					Param	   *column = (Param *) copyObjectImpl(param);

					column->paramkind = PARAM_SUBLINK; /* as before planning */
					return (Node *) column;
				}
				if (param->paramkind == PARAM_EXEC)
					link = sublink_of_parameter(param, block);
				if (link == NULL)
					set_problem(block, param->paramkind == PARAM_EXTERN ?
								"it uses a parameter without a value" :
								"it uses a value of the query around it");
				return link == NULL ? node : link;
			}
		default:
			break;
	}
	return expression_tree_mutator(node, restore_mutator, context);
}

/* An expression of the planner as an expression of SQL. */
static Node *
restore(Node *node, Description *block)
{
	return restore_mutator(node, block);
}

/* ---- Access, and WITH queries ---- */

typedef struct Look
{
	Description *block;
	List	   *levels;			/* lists of WITH queries, the innermost level first */
	List	   *permissions;	/* of the query in which entries are (16 and later) */
	int			depth;			/* of the query that is looked at; 0 is the block */
	int			reach;			/* the outermost level of columns that it may use */
} Look;

static void use_with(Description *block, const char *name, List *levels, int level);

/* A view reads its tables as its owner does; a key reads them as the session's role. */
static void
check_access(const RangeTblEntry *entry, List *permissions, Description *block)
{
	Oid			reader = InvalidOid;

	if (entry->rtekind != RTE_RELATION)
		return;
#if PG_VERSION_NUM >= 160000
	if (entry->perminfoindex > 0 && (int) entry->perminfoindex <= list_length(permissions))
		reader = getRTEPermissionInfo(permissions, (RangeTblEntry *) entry)->checkAsUser;
#else
	(void) permissions;
	reader = entry->checkAsUser;
#endif
	if (!OidIsValid(reader) || reader == GetUserId())
		return;
	if (pg_class_aclcheck(entry->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		set_problem(block, psprintf("the role may read %s only through a view",
									get_rel_name(entry->relid)));
	else if (entry->securityQuals != NIL)
		set_problem(block, psprintf("a view reads %s with the row security of its owner",
									get_rel_name(entry->relid)));
}

static bool
look_walker(Node *node, void *context)
{
	Look	   *look = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup > look->depth - look->reach)
		set_problem(look->block, "a sub-query in it uses a value of a query around it");
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = (RangeTblEntry *) node;

		check_access(entry, look->permissions, look->block);
		if (entry->rtekind == RTE_CTE && (int) entry->ctelevelsup >= look->depth)
			use_with(look->block, entry->ctename, look->levels,
					 (int) entry->ctelevelsup - look->depth);
		if (entry->rtekind == RTE_NAMEDTUPLESTORE)
			set_problem(look->block, "it reads a transition table");
		if (entry->rtekind == RTE_SUBQUERY && entry->security_barrier)
			set_problem(look->block, "it reads a view with a security barrier");
		return false;
	}
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		List	   *permissions = look->permissions;
		bool		found;

		if (query->commandType != CMD_SELECT)
			set_problem(look->block, "a WITH query in it changes data");
		look->depth++;
#if PG_VERSION_NUM >= 160000
		look->permissions = query->rteperminfos;
#endif
		found = query_tree_walker(query, look_walker, context, QTW_EXAMINE_RTES_BEFORE);
		look->permissions = permissions;
		look->depth--;
		return found;
	}
	return expression_tree_walker(node, look_walker, context);
}

/*
 * Note what a query in the block reads. `levels`: the WITH queries around it, the innermost level
 * first; `reach`: 0 if it may use columns of the block, 1 if it may use its own only.
 */
static void
look_at(Query *query, List *levels, int reach, Description *block)
{
	Look		look = {block, levels, NIL, 0, reach};

	look_walker((Node *) query, &look);
}

/* The lists of WITH queries that the block's range table sees, the innermost level first. */
static List *
levels_of(PlannerInfo *root)
{
	List	   *levels = NIL;

	for (; root != NULL; root = root->parent_root)
		levels = lappend(levels, root->parse->cteList);
	return levels;
}

static bool
parameter_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, parameter_walker, context, 0);
	return expression_tree_walker(node, parameter_walker, context);
}

/* ruleutils.c looks for a plan that sets a parameter of the planner's, and there is none. */
static char *
deparse(Node *node, List *context, bool shows_casts)
{
	if (parameter_walker(node, NULL))
		ereport(ERROR, (errmsg_internal("it uses a parameter of the planner")));
	return deparse_expression(node, context, true, shows_casts);
}

static char *
sql_of_query(Query *query, List *context)
{
	SubLink    *link = makeNode(SubLink);

	link->subLinkType = EXPR_SUBLINK;
	link->subselect = (Node *) query;
	link->location = -1;
	return deparse((Node *) link, context, false);
}

/* A query `SELECT 1` with these WITH queries, entries and FROM. */
static Query *
query_around(List *with, List *entries, int rti)
{
	Query	   *query = makeNode(Query);
	Const	   *one = makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false,
								true);
	List	   *from = NIL;

	if (rti > 0)
	{
		RangeTblRef *reference = makeNode(RangeTblRef);

		reference->rtindex = rti;
		from = list_make1(reference);
	}
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->cteList = with;
	query->rtable = entries;
	query->jointree = makeFromExpr(from, NULL);
	query->targetList = list_make1(makeTargetEntry((Expr *) one, 1, NULL, false));
	return query;
}

static List *
add_name(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return names;
	return lappend(names, pstrdup(name));
}

/* Append the names of the WITH queries that the text uses. */
static void
add_used_with(StringInfo out, List *names)
{
	ListCell   *cell;

	appendStringInfoString(out, ",\"with\":[");
	foreach(cell, names)
	{
		if (foreach_current_index(cell) > 0)
			appendStringInfoChar(out, ',');
		escape_json(out, lfirst(cell));
	}
	appendStringInfoChar(out, ']');
}

#if PG_VERSION_NUM >= 140000
/* Give the sub-queries that the rewriter made the names of their columns, which 19 leaves out. */
static bool
name_columns_walker(Node *node, void *context)
{
	RangeTblEntry *entry = (RangeTblEntry *) node;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (entry->rtekind == RTE_SUBQUERY && entry->alias == NULL)
			entry->alias = copyObjectImpl(entry->eref);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, name_columns_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, name_columns_walker, context);
}
#endif

/* Note that the WITH query `name` of the level `level` is used. */
static void
use_with(Description *block, const char *name, List *levels, int level)
{
	CommonTableExpr *found = NULL;
	ListCell   *cell;
	List	   *mine;
	const char *problem = block->problem;
	List	   *used = block->used_with;
	char	   *text;
	static const char head[] = "(WITH ";
	static const char recursive_head[] = "(WITH RECURSIVE ";
	static const char tail[] = " SELECT 1)";

	if (level < list_length(levels))
		foreach(cell, (List *) list_nth(levels, level))
			if (strcmp(((CommonTableExpr *) lfirst(cell))->ctename, name) == 0)
				found = lfirst(cell);
	if (found == NULL)
	{
		set_problem(block, psprintf("the WITH query %s is not known", name));
		return;
	}
	used = add_name(used, name);
	block->used_with = used;
	foreach(cell, block->with)
	{
		CommonTableExpr *known = lfirst(cell);

		if (known == found)
			return;
		if (strcmp(known->ctename, name) == 0)
		{
			if (!equal(known->ctequery, found->ctequery))
				set_problem(block, psprintf("it uses two WITH queries called %s", name));
			return;
		}
	}
	/* Before it is looked at, since a recursive query uses itself. */
	block->with = lappend(block->with, found);
	for (mine = NIL; level < list_length(levels); level++)
		mine = lappend(mine, list_nth(levels, level));
	block->problem = NULL;
	block->used_with = NIL;
	look_at((Query *) found->ctequery, mine, 1, block);
	found = copyObjectImpl(found);
#if PG_VERSION_NUM >= 140000
	/* The rewriter has written these out in the query, not always as SQL can say it. */
	if (found->search_clause != NULL && found->search_clause->search_breadth_first)
		set_problem(block, "it is searched breadth first");
	if (found->search_clause != NULL || found->cycle_clause != NULL)
		name_columns_walker(found->ctequery, NULL);
	found->search_clause = NULL;
	found->cycle_clause = NULL;
#endif
	if (!found->cterecursive)
		found->ctematerialized = CTEMaterializeAlways;
	if (block->with_text->data[block->with_text->len - 1] != '[')
		appendStringInfoChar(block->with_text, ',');
	appendStringInfoString(block->with_text, "{\"name\":");
	escape_json(block->with_text, name);
	if (block->problem != NULL)
	{
		appendStringInfoString(block->with_text, ",\"problem\":");
		escape_json(block->with_text, block->problem);
	}
	else
	{
		int			skip;
		Query	   *query = query_around(list_make1(found), NIL, 0);

		query->hasRecursive = found->cterecursive;
		text = sql_of_query(query, NIL);
		skip = (found->cterecursive ? sizeof(recursive_head) : sizeof(head)) - 1;
		text[strlen(text) - (sizeof(tail) - 1)] = '\0';
		appendStringInfoString(block->with_text, ",\"text\":");
		escape_json(block->with_text, text + skip);
	}
	appendStringInfo(block->with_text, ",\"recursive\":%s",
					 found->cterecursive ? "true" : "false");
	add_used_with(block->with_text, block->used_with);
	appendStringInfoChar(block->with_text, '}');
	block->problem = problem;
	block->used_with = used;
}

/* ---- Canonical spelling ---- */

/*
 * The names of these relations. ruleutils.c renames a relation of a sub-query that has the name of
 * one around it: a key must not depend on relations that it does not have.
 */
static List *
context_of(const Description *block, Relids relids)
{
	PlannedStmt *plan = makeNode(PlannedStmt);
	List	   *names = NIL;

	for (int rti = 1; rti <= block->n_entries; rti++)
		names = lappend(names, pstrdup(bms_is_member(rti, relids) && is_planned(block, rti) ?
									   block->names[rti] : "*"));
	plan->rtable = block->entries;
	return deparse_context_for_plan_tree(plan, names);
}

/* `shows_casts`: whether implicit casts are written, as in an operand. */
static char *
sql_of(Node *node, const Description *block, bool shows_casts)
{
	List	   *context = block->context;

	if (checkExprHasSubLink(node))
		context = context_of(block, VARNOS(block->root, node));
	return deparse(node, context, shows_casts);
}

typedef struct Sorted
{
	char	   *text;
	Node	   *node;
	Datum		value;
} Sorted;

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(((const Sorted *) a)->text, ((const Sorted *) b)->text);
}

/* The parts of AND or OR in the order of their texts. */
static List *
sorted_by_text(List *nodes, const Description *block)
{
	int			n = list_length(nodes);
	Sorted	   *parts = palloc(sizeof(Sorted) * n);
	List	   *result = NIL;

	for (int i = 0; i < n; i++)
	{
		parts[i].node = list_nth(nodes, i);
		parts[i].text = sql_of(parts[i].node, block, false);
	}
	qsort(parts, n, sizeof(Sorted), compare_texts);
	for (int i = 0; i < n; i++)
		if (i == 0 || strcmp(parts[i].text, parts[i - 1].text) != 0)
			result = lappend(result, parts[i].node);
	return result;
}

/* The array of `x = ANY (array)` in the order of its values' texts. */
static Node *
sorted_array(Const *array)
{
	Oid			element = get_element_type(array->consttype);
	ArrayType  *values;
	int16		length;
	bool		by_value;
	char		align;
	Oid			output;
	bool		is_varlena;
	Datum	   *data;
	bool	   *nulls;
	Datum	   *ordered;
	Sorted	   *parts;
	int			n;
	int			kept = 0;

	if (array->constisnull || !OidIsValid(element))
		return (Node *) array;
	values = DatumGetArrayTypeP(array->constvalue);
	if (ARR_NDIM(values) != 1 || array_contains_nulls(values))
		return (Node *) array;
	get_typlenbyvalalign(element, &length, &by_value, &align);
	getTypeOutputInfo(element, &output, &is_varlena);
	deconstruct_array(values, element, length, by_value, align, &data, &nulls, &n);
	parts = palloc(sizeof(Sorted) * n);
	ordered = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
	{
		parts[i].value = data[i];
		parts[i].text = OidOutputFunctionCall(output, data[i]);
	}
	qsort(parts, n, sizeof(Sorted), compare_texts);
	for (int i = 0; i < n; i++)
		if (i == 0 || strcmp(parts[i].text, parts[i - 1].text) != 0)
			ordered[kept++] = parts[i].value;
	array = (Const *) copyObjectImpl(array);
	array->constvalue = PointerGetDatum(construct_array(ordered, kept, element, length, by_value,
														align));
	return (Node *) array;
}

/*
 * A condition in canonical spelling: comparisons with the constant on the right, and otherwise with
 * the smaller text on the left; AND, OR and lists of values sorted.
 */
static Node *
canonical(Node *node, const Description *block)
{
	if (IsA(node, BoolExpr))
	{
		BoolExpr   *whole = (BoolExpr *) node;
		List	   *parts = NIL;
		ListCell   *cell;

		foreach(cell, whole->args)
			parts = lappend(parts, canonical(lfirst(cell), block));
		if (whole->boolop != NOT_EXPR)
			parts = sorted_by_text(parts, block);
		if (list_length(parts) == 1 && whole->boolop != NOT_EXPR)
			return linitial(parts);
		return (Node *) makeBoolExpr(whole->boolop, parts, -1);
	}
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr	   *comparison = (OpExpr *) node;
		Node	   *left = linitial(comparison->args);
		Node	   *right = lsecond(comparison->args);
		bool		left_varies = !bms_is_empty(VARNOS(block->root, left));
		bool		right_varies = !bms_is_empty(VARNOS(block->root, right));
		Oid			commuted = comparison->opresulttype == BOOLOID ?
			get_commutator(comparison->opno) : InvalidOid;

		if (OidIsValid(commuted) && right_varies &&
			(!left_varies ||
			 strcmp(sql_of(left, block, true), sql_of(right, block, true)) > 0))
			return (Node *) make_opclause(commuted, comparison->opresulttype,
										  comparison->opretset, (Expr *) right, (Expr *) left,
										  comparison->opcollid, comparison->inputcollid);
	}
	if (IsA(node, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *list = (ScalarArrayOpExpr *) node;

		if (IsA(lsecond(list->args), Const))
		{
			list = (ScalarArrayOpExpr *) copyObjectImpl(list);
			lsecond(list->args) = sorted_array(lsecond(list->args));
			return (Node *) list;
		}
	}
	return node;
}

/* ---- Clauses ---- */

static void
begin_text(Description *block)
{
	block->problem = NULL;
	block->used_with = NIL;
}

static void
add_text(StringInfo out, const char *text, const Description *block)
{
	if (block->problem != NULL)
	{
		appendStringInfoString(out, ",\"problem\":");
		escape_json(out, block->problem);
		return;
	}
	appendStringInfoString(out, ",\"text\":");
	escape_json(out, text);
	if (block->used_with != NIL)
		add_used_with(out, block->used_with);
}

/* A condition without the parentheses around it. */
static char *
sql_of_condition(Node *node, const Description *block)
{
	char	   *text = sql_of(node, block, false);
	Size		length = strlen(text);

	if ((IsA(node, OpExpr) || IsA(node, ScalarArrayOpExpr) || IsA(node, NullTest) ||
		 IsA(node, BooleanTest) || IsA(node, DistinctExpr)) && text[0] == '(')
	{
		text[length - 1] = '\0';
		return text + 1;
	}
	return text;
}

#if PG_VERSION_NUM >= 180000
static Node *
without_relabels(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

static bool
has_member(const EquivalenceClass *known, Node *side)
{
	ListCell   *cell;

	foreach(cell, known->ec_members)
		if (equal(without_relabels((Node *) ((EquivalenceMember *) lfirst(cell))->em_expr),
				  without_relabels(side)))
			return true;
	return false;
}

static bool
share_column(const EquivalenceClass *one, const EquivalenceClass *other)
{
	ListCell   *cell;

	foreach(cell, one->ec_members)
	{
		const EquivalenceMember *member = lfirst(cell);

		if (!member->em_is_const && has_member(other, (Node *) member->em_expr))
			return true;
	}
	return false;
}

/*
 * The number of the class of equal expressions that an equality belongs to, if another class has
 * one of these expressions, too; otherwise 0. When the planner removes a self-join, it puts the
 * columns that stay into the place of those that go, but does not combine the classes.
 */
static int
number_of_class(const OpExpr *equality, const Description *block)
{
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, block->root->eq_classes)
	{
		const EquivalenceClass *known = lfirst(cell);

		if (!has_member(known, linitial(equality->args)) ||
			!has_member(known, lsecond(equality->args)))
			continue;
		foreach(other, block->root->eq_classes)
			if (lfirst(other) != known && share_column(known, lfirst(other)))
				return foreach_current_index(cell) + 1;
	}
	return 0;
}
#endif

/* Whether an expression cannot be written; the block's problem stays as it is. */
static bool
is_unwritable(Node *node, Description *block)
{
	const char *problem = block->problem;
	bool		found;

	block->problem = NULL;
	(void) restore((Node *) copyObjectImpl(node), block);
	found = block->problem != NULL;
	block->problem = problem;
	return found;
}

/*
 * What decides whether the planner combines two equalities: how values compare. A side that cannot
 * be written has no text: what equals it equals a value that only the planner knows. A side has a
 * COLLATE where its own collation is another one, since it may be compared with any member. The
 * planner itself does not find such a side among the members; these sides are in the last number.
 */
static void
add_equality(StringInfo out, OpExpr *equality, Description *block)
{
	Node	   *sides[2] = {linitial(equality->args), lsecond(equality->args)};
	int			changed = 0;
	ListCell   *cell;

	appendStringInfoString(out, ",\"equal\":[");
	for (int i = 0; i < 2; i++)
	{
		Relids		relids = VARNOS(block->root, sides[i]);

		if (!bms_is_empty(relids) && OidIsValid(equality->inputcollid) &&
			exprCollation(sides[i]) != equality->inputcollid)
		{
			sides[i] = collated(sides[i], equality->inputcollid);
			changed |= 1 << i;
		}
		escape_json(out, block->problem != NULL && is_unwritable(sides[i], block) ? "" :
					sql_of(sides[i], block, true));
		appendStringInfo(out, "," UINT64_FORMAT ",", mask_of(block, relids));
	}
	appendStringInfo(out, "\"%u", equality->inputcollid);
	foreach(cell, get_mergejoin_opfamilies(equality->opno))
		appendStringInfo(out, " %u", lfirst_oid(cell));
#if PG_VERSION_NUM >= 180000
	{
		int			number = number_of_class(equality, block);

		if (number > 0)
			appendStringInfo(out, " class %d", number);
	}
#endif
	appendStringInfo(out, "\",%d]", changed);
}

static bool
is_equality(Node *node)
{
	OpExpr	   *operation = (OpExpr *) node;

	return IsA(node, OpExpr) && list_length(operation->args) == 2 &&
		op_mergejoinable(operation->opno, exprType(linitial(operation->args))) &&
		!contain_volatile_functions(node);
}

/*
 * The part of an OR that is a condition on one relation, as extract_or_clause() makes it
 * (orclauses.c); NULL for none.
 */
static Expr *
extracted(PlannerInfo *root, Expr *either, int rti)
{
	List	   *arms = NIL;
	ListCell   *cell;

	foreach(cell, ((BoolExpr *) either)->args)
	{
		Node	   *arm = lfirst(cell);
		List	   *parts = is_andclause(arm) ? ((BoolExpr *) arm)->args : list_make1(arm);
		List	   *kept = NIL;
		ListCell   *part;

		foreach(part, parts)
		{
			Node	   *node = lfirst(part);
			int			member;

			if (is_orclause(node))
			{
				Expr	   *inner = extracted(root, (Expr *) node, rti);

				if (inner != NULL)
					kept = lappend(kept, inner);
			}
			else if (bms_get_singleton_member(VARNOS(root, node), &member) && member == rti &&
					 !contain_volatile_functions(node))
				kept = lappend(kept, node);
		}
		if (kept == NIL)
			return NULL;
		if (list_length(kept) == 1 && is_orclause(linitial(kept)))
			arms = list_concat(arms, ((BoolExpr *) linitial(kept))->args);
		else
			arms = lappend(arms, make_ands_explicit(kept));
	}
	return make_orclause(arms);
}

/* Whether the planner tests this condition on the relation: it may have found it useless. */
static bool
is_tested(PlannerInfo *root, int rti, Expr *condition)
{
	RelOptInfo *rel = root->simple_rel_array[rti];
	ListCell   *cell;

	if (rel->subroot != NULL)
		return true;			/* it may be tested inside the sub-query */
	foreach(cell, rel->baserestrictinfo)
		if (equal(((RestrictInfo *) lfirst(cell))->clause, condition))
			return true;
	return false;
}

static void
add_derived(StringInfo out, Node *either, Relids relids, Description *block)
{
	int			rti = -1;
	const char *comma = "";

	appendStringInfoString(out, ",\"derived\":[");
	while ((rti = bms_next_member(relids, rti)) >= 0)
	{
		Expr	   *condition = is_planned(block, rti) ?
			extracted(block->root, (Expr *) either, rti) : NULL;

		if (condition != NULL && is_tested(block->root, rti, condition))
		{
			Node	   *node;

			begin_text(block);
			node = canonical(restore((Node *) condition, block), block);
			appendStringInfo(out, "%s{\"rels\":" UINT64_FORMAT, comma,
							 UINT64CONST(1) << block->numbers[rti]);
			add_text(out, block->problem == NULL ? sql_of_condition(node, block) : "", block);
			appendStringInfoChar(out, '}');
			comma = ",";
		}
	}
	appendStringInfoChar(out, ']');
}

static void
add_clause(StringInfo out, Node *clause, Description *block)
{
	Node	   *node;
	Relids		relids;
	const char *text = "";

	begin_text(block);
	node = restore(clause, block);
	relids = VARNOS(block->root, node);
	appendStringInfo(out, "{\"rels\":" UINT64_FORMAT, mask_of(block, relids));
	if (block->problem == NULL)
	{
		node = canonical(node, block);
		text = sql_of_condition(node, block);
	}
	add_text(out, text, block);
	if (is_equality(node))
		add_equality(out, (OpExpr *) node, block);
	if (is_orclause(clause) && bms_membership(relids) == BMS_MULTIPLE)
		add_derived(out, clause, relids, block);
	appendStringInfoChar(out, '}');
}

static void
add_clauses(StringInfo out, Node *quals, Description *block)
{
	ListCell   *cell;

	appendStringInfoString(out, ",\"clauses\":[");
	foreach(cell, (List *) quals)
	{
		if (foreach_current_index(cell) > 0)
			appendStringInfoChar(out, ',');
		add_clause(out, lfirst(cell), block);
	}
	appendStringInfoChar(out, ']');
}

/* ---- The tree of joins ---- */

static void add_tree(StringInfo out, Node *tree, Description *block);

static Relids
planned_relids(Node *tree, const Description *block)
{
	Relids		relids = NULL;
	ListCell   *cell;

	if (IsA(tree, RangeTblRef))
	{
		if (is_planned(block, ((RangeTblRef *) tree)->rtindex))
			relids = bms_make_singleton(((RangeTblRef *) tree)->rtindex);
	}
	else if (IsA(tree, FromExpr))
		foreach(cell, ((FromExpr *) tree)->fromlist)
			relids = bms_join(relids, planned_relids(lfirst(cell), block));
	else
		relids = bms_join(planned_relids(((JoinExpr *) tree)->larg, block),
						  planned_relids(((JoinExpr *) tree)->rarg, block));
	return relids;
}

/* The conditions in a part of the tree without relations: a self-join that the planner removed. */
static List *
conditions_in(Node *tree)
{
	List	   *found = NIL;
	ListCell   *cell;

	if (IsA(tree, FromExpr))
	{
		found = list_copy((List *) ((FromExpr *) tree)->quals);
		foreach(cell, ((FromExpr *) tree)->fromlist)
			found = list_concat(found, conditions_in(lfirst(cell)));
	}
	else if (IsA(tree, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) tree;

		found = list_copy((List *) join->quals);
		found = list_concat(found, conditions_in(join->larg));
		found = list_concat(found, conditions_in(join->rarg));
	}
	return found;
}

/* Whether a semi join still is one: the planner makes those that find one partner inner joins. */
static bool
is_special(JoinExpr *join, const Description *block)
{
	uint64		left = mask_of(block, planned_relids(join->larg, block));
	uint64		right = mask_of(block, planned_relids(join->rarg, block));
	ListCell   *cell;

	foreach(cell, block->root->join_info_list)
	{
		SpecialJoinInfo *special = lfirst(cell);

		if (special->jointype == join->jointype &&
			mask_of(block, special->syn_lefthand) == left &&
			mask_of(block, special->syn_righthand) == right)
			return true;
	}
	return false;
}

/*
 * Whether an anti join is a LEFT JOIN of the text. That of a NOT EXISTS has no entry in the range
 * table or, in later minor releases of 17, one without columns.
 */
static bool
is_reduced_left_join(const JoinExpr *join, const Description *block)
{
	return join->jointype == JOIN_ANTI && join->rtindex != 0 &&
		rt_fetch(join->rtindex, block->root->parse->rtable)->eref->colnames != NIL;
}

/* Whether the conditions test that `column` is null; NULL stands for any column of `relids`. */
static bool
has_null_test(List *conditions, Relids relids, const Var *column)
{
	ListCell   *cell;

	foreach(cell, conditions)
	{
		NullTest   *test = lfirst(cell);
		Var		   *tested = IsA(test, NullTest) ? (Var *) test->arg : NULL;

		if (tested != NULL && test->nulltesttype == IS_NULL && IsA(tested, Var) &&
			bms_is_member(tested->varno, relids) &&
			(column == NULL ||
			 (tested->varno == column->varno && tested->varattno == column->varattno)))
			return true;
	}
	return false;
}

static Node *
null_test(Var *column)
{
	NullTest   *test = makeNode(NullTest);

	test->nulltesttype = IS_NULL;
	test->arg = (Expr *) column;
	test->location = -1;
	return (Node *) test;
}

/*
 * The tests in a part of the original query `query` that a column of `relids` is null, without
 * those that are in `found` already.
 */
static List *
null_tests_in(Node *node, Query *query, Relids relids, List *found, Description *block)
{
	List	   *parts = NIL;
	ListCell   *cell;

	if (node == NULL)
		return found;
	if (IsA(node, FromExpr))
		parts = lappend(list_copy(((FromExpr *) node)->fromlist), ((FromExpr *) node)->quals);
	else if (IsA(node, JoinExpr))
		parts = list_make3(((JoinExpr *) node)->larg, ((JoinExpr *) node)->rarg,
						   ((JoinExpr *) node)->quals);
	else if (is_andclause(node))
		parts = ((BoolExpr *) node)->args;
	else if (IsA(node, NullTest) && ((NullTest *) node)->nulltesttype == IS_NULL)
	{
		Var		   *tested = (Var *) ((NullTest *) node)->arg;
		Var		   *column = IsA(tested, Var) && tested->varlevelsup == 0 ?
			(Var *) column_of_block(tested, query, block) : NULL;

		if (column != NULL && bms_is_member(column->varno, relids) &&
			!has_null_test(found, relids, column))
			found = lappend(found, null_test(column));
	}
	foreach(cell, parts)
		found = null_tests_in(lfirst(cell), query, relids, found, block);
	return found;
}

/* A column of `relids` that is not null where the condition is true; NULL for none. */
static Var *
column_not_null(Node *condition, Relids relids)
{
	ListCell   *cell;

	if (IsA(condition, OpExpr) && op_strict(((OpExpr *) condition)->opno))
		foreach(cell, ((OpExpr *) condition)->args)
		{
			Var		   *column = lfirst(cell);

			if (IsA(column, Var) && bms_is_member(column->varno, relids))
				return column;
		}
	return NULL;
}

/*
 * Add to the conditions above a part of the tree the tests that make its left joins anti joins:
 * later minor releases of 17, and 19, remove `b.id IS NULL` above a left join of b.
 */
static List *
with_null_tests(List *conditions, Node *tree, Description *block)
{
	JoinExpr   *join = (JoinExpr *) tree;
	Relids		relids;

	if (!IsA(tree, JoinExpr) || join->jointype == JOIN_INNER || join->jointype == JOIN_FULL ||
		(join->jointype == JOIN_SEMI && !is_special(join, block)))
		return conditions;
	relids = planned_relids(join->rarg, block);
	if (relids != NULL && is_reduced_left_join(join, block))
	{
		List	   *known = list_concat(conditions_in(tree), conditions);
		int			n_known = list_length(known);
		ListCell   *cell;

		for (int number = 1; number <= block->statement->n_queries; number++)
			if (block->statement->queries[number] != NULL)
				known = null_tests_in((Node *) block->statement->queries[number]->jointree,
									  block->statement->queries[number], relids, known, block);
		conditions = list_concat(conditions, list_copy_tail(known, n_known));
		/* The text may test it elsewhere, as above a WITH query. */
		foreach(cell, (List *) join->quals)
		{
			Var		   *column = has_null_test(conditions, relids, NULL) ? NULL :
				column_not_null(lfirst(cell), relids);

			if (column != NULL)
				conditions = lappend(conditions, null_test(column));
		}
	}
	return with_null_tests(conditions, join->larg, block);
}

/* Append the parts of an inner join that have relations, and all conditions. */
static void
add_inner(StringInfo out, List *parts, Node *quals, Description *block)
{
	List	   *conditions = list_copy((List *) quals);
	const char *comma = "";
	ListCell   *cell;

	appendStringInfoString(out, "\"kind\":\"inner\",\"parts\":[");
	foreach(cell, parts)
		if (planned_relids(lfirst(cell), block) != NULL)
		{
			appendStringInfoString(out, comma);
			add_tree(out, lfirst(cell), block);
			conditions = with_null_tests(conditions, lfirst(cell), block);
			comma = ",";
		}
		else
			conditions = list_concat(conditions, conditions_in(lfirst(cell)));
	appendStringInfoChar(out, ']');
	add_clauses(out, (Node *) conditions, block);
}

static void
add_tree(StringInfo out, Node *tree, Description *block)
{
	JoinExpr   *join = (JoinExpr *) tree;
	const char *kind = NULL;
	bool		is_reduced = false;

	if (IsA(tree, RangeTblRef))
	{
		appendStringInfo(out, "%d", block->numbers[((RangeTblRef *) tree)->rtindex]);
		return;
	}
	if (IsA(tree, JoinExpr))
	{
		is_reduced = is_reduced_left_join(join, block);
		if (join->jointype == JOIN_LEFT || is_reduced)
			kind = "left";
		else if (join->jointype == JOIN_FULL)
			kind = "full";
		else if (join->jointype == JOIN_ANTI)
			kind = "anti";
		else if (join->jointype == JOIN_SEMI && is_special(join, block))
			kind = "semi";
	}
	if (kind != NULL && planned_relids(join->rarg, block) == NULL)
	{
		add_tree(out, join->larg, block);	/* an outer join that the planner removed */
		return;
	}
	appendStringInfoChar(out, '{');
	if (IsA(tree, FromExpr))
		add_inner(out, ((FromExpr *) tree)->fromlist, ((FromExpr *) tree)->quals, block);
	else if (kind == NULL)
		add_inner(out, list_make2(join->larg, join->rarg), join->quals, block);
	else
	{
		appendStringInfo(out, "\"kind\":\"%s\",\"left\":", kind);
		add_tree(out, join->larg, block);
		appendStringInfoString(out, ",\"right\":");
		add_tree(out, join->rarg, block);
		if (is_reduced)
			appendStringInfoString(out, ",\"nulls\":true");
		add_clauses(out, (Node *) with_null_tests(list_copy((List *) join->quals), join->rarg,
												   block), block);
	}
	appendStringInfoChar(out, '}');
}

static void
add_specials(StringInfo out, const Description *block)
{
	ListCell   *cell;

	foreach(cell, block->root->join_info_list)
	{
		SpecialJoinInfo *special = lfirst(cell);
		const char *kind = special->jointype == JOIN_LEFT ? "left" :
			special->jointype == JOIN_FULL ? "full" :
			special->jointype == JOIN_SEMI ? "semi" : "anti";

		if (foreach_current_index(cell) > 0)
			appendStringInfoChar(out, ',');
		appendStringInfo(out, "{\"kind\":\"%s\",\"min_left\":" UINT64_FORMAT
						 ",\"min_right\":" UINT64_FORMAT ",\"left\":" UINT64_FORMAT
						 ",\"right\":" UINT64_FORMAT "}", kind,
						 mask_of(block, special->min_lefthand),
						 mask_of(block, special->min_righthand),
						 mask_of(block, special->syn_lefthand),
						 mask_of(block, special->syn_righthand));
	}
}

/* ---- Relations ---- */

static RangeTblEntry *
unnamed_entry(void)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);

	entry->rtekind = RTE_RESULT;
	entry->eref = makeAlias("*", NIL);
	entry->inFromCl = true;
	return entry;
}

/* The block's range table with the names of the sub-plans, for ruleutils.c. */
static void
make_entries(Description *block)
{
	Relids		all = NULL;

	for (int rti = 1; rti <= block->n_entries; rti++)
	{
		RangeTblEntry *entry = rt_fetch(rti, block->root->parse->rtable);
		RangeTblEntry *own = unnamed_entry();
		const char *name = block->names[rti];

		if (is_planned(block, rti))
		{
			all = bms_add_member(all, rti);
			memcpy(own, entry, sizeof(RangeTblEntry));
			own->eref = makeAlias(name, entry->eref->colnames);
			own->alias = makeAlias(name, NIL);
			if (entry->rtekind == RTE_RELATION)
				own->inh = entry->inh || !has_subclass(entry->relid);
			else if (entry->alias != NULL && entry->alias->colnames != NIL)
				own->alias->colnames = entry->eref->colnames;
			own->inFromCl = true;
		}
		block->entries = lappend(block->entries, own);
	}
	block->context = context_of(block, all);
}

/* A relation and those that it uses, so that no other names are known where it is written. */
static List *
entries_of(int rti, const Description *block)
{
	Relids		used = block->root->simple_rel_array[rti]->direct_lateral_relids;
	List	   *entries = NIL;

	for (int other = 1; other <= block->n_entries; other++)
		entries = lappend(entries, other == rti || bms_is_member(other, used) ?
						  list_nth(block->entries, other - 1) : unnamed_entry());
	return entries;
}

/* The item of FROM for a relation. */
static char *
sql_of_relation(int rti, Description *block)
{
	static const char head[] = "(SELECT 1 FROM ";
	RangeTblEntry *entry = list_nth(block->entries, rti - 1);
	List	   *levels = levels_of(block->root);
	ListCell   *cell;
	char	   *text;

	check_access(rt_fetch(rti, block->root->parse->rtable),
#if PG_VERSION_NUM >= 160000
				 block->root->parse->rteperminfos,
#else
				 NIL,
#endif
				 block);
	if (strlen(block->names[rti]) >= NAMEDATALEN)
		set_problem(block, "its alias is too long for a number that tells it from another one");
	if (entry->rtekind == RTE_CTE)
	{
		if (entry->self_reference)
			set_problem(block, "it is the recursive part of a WITH query");
		else
			use_with(block, entry->ctename, levels, entry->ctelevelsup);
	}
	else if (entry->rtekind == RTE_SUBQUERY)
	{
		if (entry->security_barrier)
			set_problem(block, "it is a view with a security barrier");
		if (entry->inh && entry->subquery->setOperations == NULL)
			set_problem(block, "it is the whole UNION ALL");
		look_at(entry->subquery, levels, 0, block);
	}
	else if (entry->rtekind == RTE_RELATION && entry->tablesample != NULL)
	{
		entry->tablesample = (TableSampleClause *) restore((Node *) entry->tablesample, block);
		entry->lateral = false; /* LATERAL comes from a sub-query that became a part of the block */
		if (!bms_is_empty(block->root->simple_rel_array[rti]->direct_lateral_relids))
			set_problem(block, "its sample depends on another relation");
	}
	else if (entry->rtekind == RTE_RESULT)
		set_problem(block, "it is a row without a table");
	else if (entry->rtekind == RTE_NAMEDTUPLESTORE)
		set_problem(block, "it is a transition table");
	else if (entry->rtekind == RTE_FUNCTION || entry->rtekind == RTE_VALUES ||
			 entry->rtekind == RTE_TABLEFUNC)
	{
		/* Planned expressions: their sub-queries and parameters are written back. */
		entry->functions = (List *) restore((Node *) entry->functions, block);
		entry->values_lists = (List *) restore((Node *) entry->values_lists, block);
		entry->tablefunc = (TableFunc *) restore((Node *) entry->tablefunc, block);
	}
	if (block->problem != NULL)
		return "";
	if (entry->rtekind == RTE_RELATION && entry->tablesample == NULL)
	{
		const char *name = get_rel_name(entry->relid);
		bool		is_hidden = !RelationIsVisible(entry->relid);

		foreach(cell, levels)
		{
			ListCell   *with;

			foreach(with, (List *) lfirst(cell))
				if (strcmp(((CommonTableExpr *) lfirst(with))->ctename, name) == 0)
					is_hidden = true;
		}
		text = quote_qualified_identifier(is_hidden ?
										  get_namespace_name(get_rel_namespace(entry->relid)) :
										  NULL, name);
		return psprintf("%s%s%s%s", entry->inh ? "" : "ONLY ", text,
						strcmp(name, block->names[rti]) == 0 ? "" : " ",
						strcmp(name, block->names[rti]) == 0 ? "" :
						quote_identifier(block->names[rti]));
	}
	text = sql_of_query(query_around(NIL, entries_of(rti, block), rti), NIL);
	text[strlen(text) - 1] = '\0';
	return text + sizeof(head) - 1;
}

static void
add_relations(StringInfo out, Description *block)
{
	const char *comma = "";

	for (int rti = 1; rti <= block->n_entries; rti++)
		if (is_planned(block, rti))
		{
			char	   *text;
			RelOptInfo *rel = block->root->simple_rel_array[rti];

			begin_text(block);
			text = sql_of_relation(rti, block);
			appendStringInfo(out, "%s{\"name\":", comma);
			escape_json(out, block->names[rti]);
			appendStringInfo(out, ",\"uses\":" UINT64_FORMAT,
							 mask_of(block, rel->lateral_relids));
			add_text(out, text, block);
			appendStringInfoChar(out, '}');
			comma = ",";
		}
}

/* ------------------------------------------------------------------------------------------ */

static void
describe(StringInfo out, Description *block)
{
	int			count = 0;
	StringInfoData with;

	block->n_entries = list_length(block->root->parse->rtable);
	block->numbers = palloc(sizeof(int) * (block->n_entries + 1));
	for (int rti = 0; rti <= block->n_entries; rti++)
	{
		RelOptInfo *rel = rti < block->root->simple_rel_array_size ?
			block->root->simple_rel_array[rti] : NULL;

		block->numbers[rti] = rel != NULL && rel->reloptkind == RELOPT_BASEREL ? count++ : -1;
	}
	if (count > MOST_RELATIONS)
		ereport(ERROR, (errmsg_internal("it has %d relations, more than %d", count,
										MOST_RELATIONS)));
	initStringInfo(&with);
	appendStringInfoChar(&with, '[');
	block->with_text = &with;
	make_entries(block);
	appendStringInfoString(out, "\"relations\":[");
	add_relations(out, block);
	appendStringInfoString(out, "],\"tree\":");
	add_tree(out, (Node *) block->root->parse->jointree, block);
	appendStringInfoString(out, ",\"specials\":[");
	add_specials(out, block);
	appendStringInfo(out, "],\"with\":%s],\"joins_nullable\":%s", with.data,
					 PG_VERSION_NUM >= 160000 ? "true" : "false");
}

static void
write_as(const char *setting, const char *value)
{
	set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Let values and names be written the same in every session, and so that another one reads the same
 * values. Lasts until the sub-transaction ends, whichever way.
 */
static void
write_alike(void)
{
	static const char *const settings[][2] = {
		{"IntervalStyle", "postgres"},
		{"extra_float_digits", "3"},
		{"bytea_output", "hex"},
		{"quote_all_identifiers", "off"},
		{"standard_conforming_strings", "on"},
	};
	long		offset;

	for (int i = 0; i < (int) lengthof(settings); i++)
		if (strcmp(GetConfigOption(settings[i][0], false, false), settings[i][1]) != 0)
			write_as(settings[i][0], settings[i][1]);
	if (DateStyle != USE_ISO_DATES)
		write_as("DateStyle", "ISO");
	/* UTC has other names, under which it is written the same: a server's default is one of them. */
	if (!pg_get_timezone_offset(session_timezone, &offset) || offset != 0)
		write_as("TimeZone", "UTC");
}

/*
 * The members of the block's JSON object. `names`: by range table index. What ruleutils.c cannot
 * write must not end the statement: it is a problem of the block.
 */
char *
pilot_describe_block(PlannerInfo *root, char **names, const Statement *statement)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Description block;
	StringInfoData out;

	memset(&block, 0, sizeof(block));
	block.root = root;
	block.names = names;
	block.statement = statement;
	initStringInfo(&out);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		write_alike();
		describe(&out, &block);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(error);
		resetStringInfo(&out);
		appendStringInfoString(&out, "\"problem\":");
		escape_json(&out, error->message);
	}
	PG_END_TRY();
	return out.data;
}
