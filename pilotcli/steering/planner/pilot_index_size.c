/*
 * pilot_index_size.c
 *	  Estimates how large the server would build a B-tree.
 *
 * It follows the server's own build (nbtsort.c): tuples fill a leaf page up to its fill factor,
 * equal ones become posting lists of at most a tenth of a page (except in unique indexes and those
 * with included columns), and pivot tuples without the columns that are not needed fill the pages
 * above up to 70 %. From the statistics of the columns come:
 *
 * - the widths of the values: those of the most common values and of the histogram, else the
 *   average width. A tuple's size is a multiple of eight bytes, so the average alone is not enough.
 * - how often each value occurs: the most common values, nulls, and the other values as often as
 *   each other. Several columns are taken as independent, unless the database has statistics of
 *   them together (CREATE STATISTICS, ndistinct).
 *
 * An expression without statistics has as many different values as its columns have together.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/sysattr.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "statistics/statistics.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "pilot_indexes.h"

#define DEFAULT_DISTINCT 200	/* as in selfuncs.h */
#define PAGE_SPACE (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData)) - \
					2 * sizeof(ItemIdData)) /* its free space when it has only a high key */
#define LONGEST_LIST ((int) (MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData)))
#define MOST_SIZES (BLCKSZ / 3 / 8 + 2)
#define MOST_GROUPS 400
#define MOST_EXACT 150.0		/* beyond it, the spread of a group's size makes no difference */
#define WIDE_TUPLE 100.0

/* Values of a column that occur equally often. */
typedef struct ValueGroup
{
	double		share;			/* of the rows, of each value */
	double		values;			/* how many values */
	bool		has_null;		/* one of the columns is null, which takes room in a tuple */
} ValueGroup;

typedef struct Groups
{
	int			n;
	bool		occur;			/* each value occurs; else it may, as a combination of columns */
	double		even;			/* the share of values that occur evenly, not as by chance */
	ValueGroup		group[MOST_GROUPS];
} Groups;

/* Values as long as each other modulo eight: what matters for their alignment. */
typedef struct Length
{
	double		weight;
	double		sum;			/* of length times weight */
} Length;

typedef struct Column
{
	double		null_share;
	int			align[2];		/* of the two rows of lengths */
	Length		lengths[2][8];
	Groups		groups;			/* without nulls; their shares add up to 1 - null_share */
} Column;

/* Leaf tuples by size: `sizes[i]` are those of 8 * i bytes. */
typedef struct Sizes
{
	double		count[MOST_SIZES];
	double		cut[MOST_SIZES];	/* sum of what a high key made from one has less: its list */
} Sizes;

/* ------------------------------------------------------------------------------------------
 * Widths of values
 * ------------------------------------------------------------------------------------------
 */

static int
alignment(char typalign)
{
	switch (typalign)
	{
		case 'c':
			return 1;
		case 's':
			return (int) ALIGNOF_SHORT;
		case 'i':
			return (int) ALIGNOF_INT;
		default:
			return (int) ALIGNOF_DOUBLE;
	}
}

static void
add_length(Column *column, bool is_aligned, double length, double weight)
{
	Length	   *at = &column->lengths[is_aligned][(int) fmod(rint(length), 8.0)];

	at->weight += weight;
	at->sum += weight * length;
}

/* Add a value of variable length, of `length` bytes without its header. */
static void
add_varlena(Column *column, double length, double weight)
{
	bool		is_long = length + 1 > VARATT_SHORT_MAX;

	add_length(column, is_long, length + (is_long ? 4 : 1), weight);
}

static void
add_sample(Column *column, Datum value, int16 typlen, double weight)
{
	if (typlen == -1)
		add_varlena(column, (double) VARSIZE_ANY_EXHDR(DatumGetPointer(value)), weight);
	else						/* a name or a C string, stored as the latter */
		add_length(column, false, (double) strlen(DatumGetCString(value)) + 1, weight);
}

/*
 * Find the widths of a column's values, as stored in the index as a value of `type`. The width of
 * the statistics counts the header.
 */
static void
find_widths(Column *column, Oid type, int32 typmod, HeapTuple statistics)
{
	int16		typlen;
	bool		byval;
	char		align;
	double		width;

	get_typlenbyvalalign(type, &typlen, &byval, &align);
	column->align[0] = typlen > 0 ? alignment(align) : 1;
	column->align[1] = alignment(align);
	if (typlen > 0)
	{
		add_length(column, false, typlen, 1.0);
		return;
	}
	if (HeapTupleIsValid(statistics))
	{
		const int	kinds[] = {STATISTIC_KIND_MCV, STATISTIC_KIND_HISTOGRAM};
		double		left = 1.0 - ((Form_pg_statistic) GETSTRUCT(statistics))->stanullfrac;
		bool		found = false;

		for (Size i = 0; i < lengthof(kinds); i++)
		{
			AttStatsSlot slot;

			if (!get_attstatsslot(&slot, statistics, kinds[i], InvalidOid,
								  ATTSTATSSLOT_VALUES |
								  (kinds[i] == STATISTIC_KIND_MCV ? ATTSTATSSLOT_NUMBERS : 0)))
				continue;
			for (int k = 0; k < slot.nvalues && left > 0; k++)
			{
				double		weight = left / slot.nvalues;

				if (kinds[i] == STATISTIC_KIND_MCV)
					weight = slot.numbers[k];
				add_sample(column, slot.values[k], get_typlen(slot.valuetype) == -1 ? -1 : -2,
						   weight);
				found = true;
			}
			if (kinds[i] == STATISTIC_KIND_MCV)
				for (int k = 0; k < slot.nnumbers; k++)
					left -= slot.numbers[k];
			free_attstatsslot(&slot);
		}
		if (found)
			return;
		width = ((Form_pg_statistic) GETSTRUCT(statistics))->stawidth;
	}
	else
		width = get_typavgwidth(type, typmod);
	if (typlen == -1)
		add_varlena(column, Max(width - (width > VARATT_SHORT_MAX ? 4 : 1), 0), 1.0);
	else
		add_length(column, false, width, 1.0);
}

/* The share of a column's values that have each length, once their weights add up to 1. */
static void
normalize_lengths(Column *column)
{
	double		total = 0;

	for (int i = 0; i < 16; i++)
		total += column->lengths[i / 8][i % 8].weight;
	for (int i = 0; i < 16 && total > 0; i++)
	{
		column->lengths[i / 8][i % 8].weight /= total;
		column->lengths[i / 8][i % 8].sum /= total;
	}
}

/* Tuples whose data ends at the same place modulo eight. */
typedef struct Ends
{
	double		share[2][8];	/* without and with nulls */
	double		sum[2][8];		/* of share times end */
} Ends;

/* Add a column to tuples. */
static void
add_to_tuples(Ends *ends, const Column *column, double null_share)
{
	Ends		before = *ends;

	memset(ends, 0, sizeof(Ends));
	for (int i = 0; i < 16; i++)
	{
		bool		has_null = i / 8;
		int			rest = i % 8;
		double		share = before.share[has_null][rest];
		double		end;

		if (share <= 0)
			continue;
		end = before.sum[has_null][rest] / share;
		ends->share[true][rest] += share * null_share;
		ends->sum[true][rest] += share * null_share * end;
		for (int k = 0; k < 16; k++)
		{
			const Length *length = &column->lengths[k / 8][k % 8];
			int			align = column->align[k / 8];
			int			pad = (align - rest % align) % align;
			int			to = (rest + pad + k % 8) % 8;
			double		part = share * (1 - null_share) * length->weight;

			if (part <= 0)
				continue;
			ends->share[has_null][to] += part;
			ends->sum[has_null][to] += part * (end + pad + length->sum / length->weight);
		}
	}
}

/* The average size of the tuples without nulls, or of those with nulls; 0 if there are none. */
static double
average_of(const Ends *ends, bool has_null)
{
	int			head = has_null ? MAXALIGN(sizeof(IndexTupleData) +
										   sizeof(IndexAttributeBitMapData)) :
		MAXALIGN(sizeof(IndexTupleData));
	double		size = 0;
	double		share = 0;

	for (int rest = 0; rest < 8; rest++)
	{
		share += ends->share[has_null][rest];
		size += ends->share[has_null][rest] * (head + (8 - rest) % 8) + ends->sum[has_null][rest];
	}
	return share > 0 ? size / share : 0;
}

/* The average size of all tuples. */
static double
average_size(const Ends *ends)
{
	double		null_share = 0;

	for (int rest = 0; rest < 8; rest++)
		null_share += ends->share[true][rest];
	return average_of(ends, false) * (1 - null_share) + average_of(ends, true) * null_share;
}

/* ------------------------------------------------------------------------------------------
 * How often values occur
 * ------------------------------------------------------------------------------------------
 */

static void
add_group(Groups *groups, double share, double values, bool has_null)
{
	if (share > 0 && values > 0 && groups->n < MOST_GROUPS)
	{
		groups->group[groups->n].share = share;
		groups->group[groups->n].values = values;
		groups->group[groups->n++].has_null = has_null;
	}
}

/* Join groups whose values occur about as often as each other, so that few are left. */
static void
join_groups(Groups *groups)
{
	enum
	{
		PLACES = 128			/* two for each power of two */
	};
	double		values[2][PLACES] = {{0}};
	double		shares[2][PLACES] = {{0}};

	for (int i = 0; i < groups->n; i++)
	{
		const ValueGroup *group = &groups->group[i];
		int			exponent;
		double		part = frexp(group->share, &exponent);
		int			place = Max(Min(-2 * exponent + (part < 0.7071), PLACES - 1), 0);

		values[group->has_null][place] += group->values;
		shares[group->has_null][place] += group->values * group->share;
	}
	groups->n = 0;
	for (int has_null = 0; has_null < 2; has_null++)
		for (int i = 0; i < PLACES; i++)
			if (values[has_null][i] > 0)
				add_group(groups, shares[has_null][i] / values[has_null][i],
						  values[has_null][i], has_null);
}

/* Of which Poisson distribution without zero `mean` is the mean. */
static double
rate_of(double mean)
{
	double		rate = Min(2 * (mean - 1), mean);

	for (int i = 0; i < 20; i++)
		rate = mean * -expm1(-rate);
	return rate;
}

/* From the values that occur to those that might: where each occurs once or twice, few of them. */
static void
add_missing_values(Groups *groups, double rows)
{
	for (int i = 0; i < groups->n && groups->occur; i++)
	{
		ValueGroup *group = &groups->group[i];
		double		mean = group->share * rows;
		double		rate = mean > MOST_EXACT ? mean : Max(rate_of(Max(mean, 1)), 1e-6);

		group->values *= mean / rate;
		group->share *= rate / mean;
	}
	groups->occur = false;
}

/* Multiply groups by those of another, independent column, and its nulls. */
static void
multiply_groups(Groups *groups, const Groups *others, double null_share, double rows)
{
	Groups		with = *others;
	Groups	   *product = palloc0(sizeof(Groups));

	add_missing_values(&with, rows);
	add_missing_values(groups, rows);
	add_group(&with, null_share, 1, true);
	join_groups(&with);
	join_groups(groups);
	for (int i = 0; i < groups->n; i++)
	{
		for (int k = 0; k < with.n; k++)
			add_group(product, groups->group[i].share * with.group[k].share,
					  groups->group[i].values * with.group[k].values,
					  groups->group[i].has_null || with.group[k].has_null);
		if (product->n > MOST_GROUPS / 2)
			join_groups(product);
	}
	join_groups(product);
	/* Combinations are rarely even. */
	product->even = Min(groups->even, others->even);
	if (product->even < 1)
		product->even = Min(product->even, 0.25);
	*groups = *product;
	pfree(product);
}

/* How many different values or combinations there are in `rows` rows. */
static double
count_values(const Groups *groups, double rows)
{
	double		values = 0;

	for (int i = 0; i < groups->n; i++)
		values += groups->group[i].values *
			(groups->occur ? 1 : -expm1(-groups->group[i].share * rows));
	return Min(values, rows);
}

/*
 * How evenly values occur, if the most common one has the share `most`: for sure where it is as
 * common as the others to one row, and not at all where the statistics have seen all rows, or it is
 * far more common. Otherwise both is as likely.
 */
static double
evenness(double most, double average, double rows)
{
	if ((most - average) * rows <= 1.01)
		return 1;
	return rows <= 300.0 * default_statistics_target || most > 2 * average ? 0 : 0.5;
}

/* Find how often each value of a column occurs, from its statistics. */
static void
find_groups(Column *column, HeapTuple statistics, double rows)
{
	Form_pg_statistic form = (Form_pg_statistic) GETSTRUCT(statistics);
	double		distinct = form->stadistinct;
	double		left = 1.0 - form->stanullfrac;
	AttStatsSlot slot;

	column->null_share = form->stanullfrac;
	column->groups.even = 0.5;
	if (distinct < 0)
		distinct *= -rows;
	else if (distinct == 0)
		distinct = left > 0 ? DEFAULT_DISTINCT : 0;
	distinct = Min(distinct, rows * left);
	if (get_attstatsslot(&slot, statistics, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_NUMBERS))
	{
		if (slot.nnumbers > 0 && distinct > 0)
			column->groups.even = evenness(slot.numbers[0], left / distinct, rows);
		for (int i = 0; i < slot.nnumbers; i++)
		{
			add_group(&column->groups, slot.numbers[i], 1, false);
			left -= slot.numbers[i];
			distinct -= 1;
		}
		free_attstatsslot(&slot);
		join_groups(&column->groups);
	}
	/* A rest of the shares without values is inexactness of the statistics. */
	if (distinct >= 1 && left > 0)
		add_group(&column->groups, left / distinct, distinct, false);
	else if (left > 0 && (left > 0.01 || column->groups.n == 0))
		add_group(&column->groups, left, 1, false);
}

/* ------------------------------------------------------------------------------------------
 * Columns
 * ------------------------------------------------------------------------------------------
 */

/* Whether a real index keeps the values of a column unique. */
static bool
is_kept_unique(const RelOptInfo *rel, AttrNumber number)
{
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		const IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->unique && !index->hypothetical && index->nkeycolumns == 1 &&
			index->indexkeys[0] == number && index->indpred == NIL)
			return true;
	}
	return false;
}

static void
assume_groups(Column *column, Oid type, bool is_unique, double rows)
{
	double		distinct = type == BOOLOID ? 2 : DEFAULT_DISTINCT;

	if (is_unique)
		distinct = rows;
	distinct = Max(Min(distinct, rows), 1);
	column->groups.even = 0.5;
	add_group(&column->groups, 1 / distinct, distinct, false);
}

static void
find_column(Column *column, const RelOptInfo *rel, Oid relid, AttrNumber number, Oid type,
			int32 typmod, double rows)
{
	HeapTuple	statistics = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
											 Int16GetDatum(number), BoolGetDatum(false));

	column->groups.occur = true;
	find_widths(column, type, typmod, statistics);
	if (HeapTupleIsValid(statistics))
	{
		find_groups(column, statistics, rows);
		ReleaseSysCache(statistics);
	}
	else
		assume_groups(column, type, is_kept_unique(rel, number), rows);
	normalize_lengths(column);
}

/* An expression: from statistics of it, if there are any, else from those of its columns. */
static void
find_expression(Column *column, PlannerInfo *root, const RelOptInfo *rel, Oid relid,
				Node *expression, Oid type, double rows)
{
	VariableStatData data;
	List	   *variables;
	ListCell   *cell;

	column->groups.occur = true;
	examine_variable(root, expression, 0, &data);
	if (HeapTupleIsValid(data.statsTuple))
	{
		find_widths(column, type, exprTypmod(expression), data.statsTuple);
		find_groups(column, data.statsTuple, rows);
		ReleaseVariableStats(data);
		normalize_lengths(column);
		return;
	}
	ReleaseVariableStats(data);
	variables = pull_var_clause(expression, 0);
	foreach(cell, variables)
	{
		const Var  *variable = lfirst_node(Var, cell);
		Column	   *one;

		if (variable->varattno <= 0)
			continue;
		one = palloc0(sizeof(Column));
		find_column(one, rel, relid, variable->varattno, variable->vartype, variable->vartypmod,
					rows);
		if (column->groups.n > 0)
		{
			multiply_groups(&column->groups, &one->groups, one->null_share, rows);
			column->null_share = Max(column->null_share, one->null_share);
		}
		else
		{
			column->groups = one->groups;
			column->null_share = one->null_share;
			if (variable->vartype == type)
			{
				memcpy(column->align, one->align, sizeof(one->align));
				memcpy(column->lengths, one->lengths, sizeof(one->lengths));
			}
		}
		pfree(one);
	}
	if (column->groups.n == 0 || type == BOOLOID)
	{
		column->groups.n = 0;
		assume_groups(column, type, false, rows);
	}
	if (column->align[0] == 0)
	{
		find_widths(column, type, exprTypmod(expression), NULL);
		normalize_lengths(column);
	}
}

/* Whether a condition leaves one value of a key. */
static bool
is_one_value(Node *condition, Node *key, Oid family)
{
	List	   *sides;

	if (IsA(condition, BoolExpr) && ((BoolExpr *) condition)->boolop == NOT_EXPR)
		condition = linitial(((BoolExpr *) condition)->args);
	if (equal(condition, key))
		return true;			/* a column of truth values */
	if (!IsA(condition, OpExpr) || !OidIsValid(family) ||
		get_op_opfamily_strategy(((OpExpr *) condition)->opno, family) != BTEqualStrategyNumber)
		return false;
	sides = ((OpExpr *) condition)->args;
	return (equal(linitial(sides), key) && IsA(lsecond(sides), Const)) ||
		(equal(lsecond(sides), key) && IsA(linitial(sides), Const));
}

/*
 * Apply the predicate's conditions on a column alone to its values: with fewer of them, each is in
 * more of the rows that are left.
 */
static void
apply_predicate(Column *column, PlannerInfo *root, int relid, Node *key, Oid family,
				List *predicate, double rows)
{
	double		kept = 1;
	int			other_conditions = 0;
	ListCell   *cell;

	foreach(cell, predicate)
	{
		Node	   *condition = lfirst(cell);
		List	   *variables = pull_var_clause(condition, 0);

		if (IsA(condition, NullTest) && equal(((NullTest *) condition)->arg, key))
		{
			bool		is_null = ((NullTest *) condition)->nulltesttype == IS_NULL;

			for (int i = 0; i < column->groups.n && column->null_share < 1; i++)
				column->groups.group[i].share /= 1 - column->null_share;
			if (is_null)
				column->groups.n = 0;
			column->null_share = is_null ? 1 : 0;
		}
		else if (is_one_value(condition, key, family))
		{
			column->groups.n = 0;
			add_group(&column->groups, 1, 1, false);
			column->null_share = 0;
		}
		else if (list_length(variables) == 1 && equal(linitial(variables), key))
			kept *= clause_selectivity(root, condition, relid, JOIN_INNER, NULL);
		else
			other_conditions++;
	}
	if (kept > 0 && kept < 1 && column->null_share < 1)
	{
		/* No condition but IS NULL keeps nulls. */
		for (int i = 0; i < column->groups.n; i++)
		{
			ValueGroup	   *group = &column->groups.group[i];
			double		values = Max(group->values * kept, Min(group->values, 1.0));

			group->share *= group->values / values / (1 - column->null_share);
			group->values = values;
		}
		column->null_share = 0;
	}
	/* Conditions on other columns leave some values out. */
	if (other_conditions > 0)
		add_missing_values(&column->groups, rows);
}

/* The number of different values of several columns together, if there are statistics; else 0. */
static double
count_together(const RelOptInfo *rel, const WhatIfIndex *index)
{
	ListCell   *cell;

	for (int i = 0; i < index->n_keys; i++)
		if (index->columns[i] == 0)
			return 0;
	foreach(cell, rel->statlist)
	{
		const StatisticExtInfo *info = lfirst_node(StatisticExtInfo, cell);
		MVNDistinct *statistics;
#if PG_VERSION_NUM < 150000
		MVNDistinct *(*load) (Oid);
#endif

		if (info->kind != STATS_EXT_NDISTINCT)
			continue;
#if PG_VERSION_NUM >= 150000
		if (info->inherit)
			continue;
		statistics = statext_ndistinct_load(info->statOid, false);
#else
		/* Some packages of 14 come with headers of 15, which declare another parameter. */
		load = (void *) statext_ndistinct_load;
		statistics = load(info->statOid);
#endif
		for (uint32 i = 0; i < statistics->nitems; i++)
		{
			const MVNDistinctItem *item = &statistics->items[i];
			Bitmapset  *members = NULL;
			Bitmapset  *wanted = NULL;

#if PG_VERSION_NUM >= 140000
			for (int k = 0; k < item->nattributes; k++)
				if (item->attributes[k] > 0)
					members = bms_add_member(members, item->attributes[k]);
				else
					members = bms_add_member(members, 0);
#else
			members = bms_copy(item->attrs);
#endif
			for (int k = 0; k < index->n_keys; k++)
				wanted = bms_add_member(wanted, index->columns[k]);
			if (bms_equal(members, wanted))
				return item->ndistinct;
		}
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Tuples and pages
 * ------------------------------------------------------------------------------------------
 */

static void
add_tuples(Sizes *sizes, int size, int cut, double count)
{
	int			place = Min(size / 8, MOST_SIZES - 1);

	sizes->count[place] += count;
	sizes->cut[place] += count * cut;
}

/* Add `count` groups of `rows` equal rows, each of `size` bytes. */
static void
add_equal_rows(Sizes *sizes, int size, int rows, double count)
{
	int			most = (MAXALIGN_DOWN(LONGEST_LIST) - size) / (int) sizeof(ItemPointerData);
	int			rest;

	if (most < 2)
	{
		add_tuples(sizes, size, 0, count * rows);
		return;
	}
	rest = rows % most;
	if (rows >= most)
	{
		int			list = MAXALIGN(size + most * (int) sizeof(ItemPointerData));

		add_tuples(sizes, list, list - size, count * (rows / most));
	}
	if (rest == 1)
		add_tuples(sizes, size, 0, count);
	else if (rest > 1)
	{
		int			list = MAXALIGN(size + rest * (int) sizeof(ItemPointerData));

		add_tuples(sizes, list, list - size, count);
	}
}

/* Add the rows of values that occur `mean` times on average, as often as each other. */
static void
add_even_rows(Sizes *sizes, int size, double mean, double values)
{
	double		less = floor(Min(mean, INT_MAX / 2));
	double		more_part = Min(mean - less, 1.0);

	if (more_part < 1)
		add_equal_rows(sizes, size, (int) less, values * (1 - more_part));
	if (more_part > 0)
		add_equal_rows(sizes, size, (int) less + 1, values * more_part);
}

/* The same, where chance says how often each of them occurs. */
static void
add_random_rows(Sizes *sizes, int size, double mean, double values, bool occur)
{
	double		rate = occur ? rate_of(mean) : mean;
	double		chance = exp(-rate);

	if (occur)
		values /= -expm1(-rate);
	for (int rows = 1; rows < mean + 8 * sqrt(mean) + 10; rows++)
	{
		chance *= rate / rows;
		add_equal_rows(sizes, size, rows, values * chance);
	}
}

/*
 * Add the rows of a group of values. Where nothing says how evenly they occur, half of them are
 * taken to be even, so that the size is right to 9 % in both cases.
 */
static void
add_spread_rows(Sizes *sizes, int size, double mean, double values, const Groups *groups)
{
	double		even = groups->even;

	if (groups->occur)
		mean = Max(mean, 1);
	if (mean > MOST_EXACT || (groups->occur && fabs(mean - rint(mean)) < 0.001 * mean))
		add_even_rows(sizes, size, rint(mean), values);
	else
	{
		add_even_rows(sizes, size, Max(mean, 1), values * even * Min(mean, 1));
		add_random_rows(sizes, size, mean, values * (1 - even), groups->occur);
	}
}

/*
 * Add tuples of an average size as those of the two possible sizes around it; without `groups` no
 * tuples are joined.
 */
static void
add_rows(Sizes *sizes, double average, double mean, double values, const Groups *groups)
{
	int			low = (int) (average / 8 + 0.001) * 8;
	double		high_part = (average - low) / 8;

	for (int i = 0; i < 2; i++)
	{
		double		part = i == 0 ? 1 - high_part : high_part;

		if (part < 0.001)
			continue;
		if (groups != NULL)
			add_spread_rows(sizes, low + 8 * i, mean, values * part, groups);
		else
			add_tuples(sizes, low + 8 * i, 0, mean * values * part);
	}
}

/* The bytes that a leaf page holds on average, as a build fills it. */
static double
fill_by_trying(const Sizes *sizes, double total, int kept_free)
{
	double		upto[MOST_SIZES];
	double		sum = 0;
	double		bytes = 0;
	double		last = 0;
	double		last_cut = 0;
	double		kept = 0;
	int			pages = 0;
	int			on_page = 0;

	for (int i = 0; i < MOST_SIZES; i++)
		upto[i] = sum += sizes->count[i] / total;
	for (int i = 0; pages < 40 && i < 4000; i++)
	{
		/* The sizes in their shares, well mixed (a sequence of the golden ratio). */
		double		wanted = fmod((i + 0.5) * 0.6180339887498949, 1.0) * sum;
		int			place = 0;
		double		left = PAGE_SPACE - bytes;

		while (place < MOST_SIZES - 1 && upto[place] < wanted)
			place++;
		if (on_page > 0 &&
			(left < place * 8 + MAXALIGN(sizeof(ItemPointerData)) ||
			 (left + last_cut < kept_free && on_page > 1)))
		{
			/* The page is finished: its last tuple becomes the first one of the next page. */
			if (on_page > 1)
			{
				kept += bytes - last;
				bytes = last;
				on_page = 1;
				pages++;
			}
			else
			{
				kept += bytes;
				bytes = 0;
				on_page = 0;
				pages++;
			}
		}
		last = place * 8 + sizeof(ItemIdData);
		last_cut = sizes->count[place] > 0 ? sizes->cut[place] / sizes->count[place] : 0;
		bytes += last;
		on_page++;
	}
	return pages > 0 ? kept / pages : PAGE_SPACE - kept_free;
}

/* The number of leaf pages. */
static double
count_leaves(const Sizes *sizes, int fill_factor, double *tuples)
{
	int			kept_free = BLCKSZ * (100 - fill_factor) / 100;
	double		bytes = 0;
	double		spread = 0;
	double		total = 0;
	double		kept;
	int			kinds = 0;

	for (int i = 0; i < MOST_SIZES; i++)
		if (sizes->count[i] > 0)
		{
			double		size = i * 8 + sizeof(ItemIdData);
			double		cut = sizes->cut[i] / sizes->count[i];

			total += sizes->count[i];
			bytes += sizes->count[i] * size;
			spread += sizes->count[i] * (cut * cut - (size - cut) * (size - cut));
			kinds++;
		}
	*tuples = total;
	/* The last tuple finds room if those before it leave the rest free. */
	if (bytes - bytes / total <= PAGE_SPACE - kept_free)
		return 1;
	if (kinds == 1 || bytes / total > WIDE_TUPLE)
		kept = fill_by_trying(sizes, total, kept_free);
	else
		/*
		 * A page ends with the first tuple that goes beyond the fill factor, without its list. On
		 * average it falls short of the fill factor by half a tuple, weighted by size.
		 */
		kept = PAGE_SPACE - kept_free + spread / (2 * bytes);
	return ceil(bytes / kept);
}

/* ------------------------------------------------------------------------------------------ */

/* Find the index's columns. The caller frees them. */
static Column *
find_columns(PlannerInfo *root, const RelOptInfo *rel, Relation table, const WhatIfIndex *index,
			 List *expressions, List *predicate, double rows)
{
	Column	   *columns = palloc0(sizeof(Column) * index->n_columns);
	ListCell   *next = list_head(expressions);

	for (int i = 0; i < index->n_columns; i++)
	{
		if (index->columns[i] != 0)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table),
														index->columns[i] - 1);
			Node	   *key = (Node *) makeVar(rel->relid, index->columns[i], attribute->atttypid,
											   attribute->atttypmod, attribute->attcollation, 0);

			find_column(&columns[i], rel, index->relid, index->columns[i], index->types[i],
						attribute->atttypmod, rows);
			apply_predicate(&columns[i], root, rel->relid, key,
							i < index->n_keys ? index->families[i] : InvalidOid, predicate, rows);
		}
		else
		{
			find_expression(&columns[i], root, rel, index->relid, lfirst(next), index->types[i],
							rows);
			apply_predicate(&columns[i], root, rel->relid, lfirst(next), index->families[i],
							predicate, rows);
			next = lnext(expressions, next);
		}
	}
	return columns;
}

/* Whether equal entries become posting lists (_bt_allequalimage). */
static bool
joins_equal(const WhatIfIndex *index)
{
	if (index->unique || !index->deduplicates || index->n_columns > index->n_keys)
		return false;
	for (int i = 0; i < index->n_keys; i++)
	{
		Oid			function = get_opfamily_proc(index->families[i], index->input_types[i],
												 index->input_types[i], BTEQUALIMAGE_PROC);

		if (!OidIsValid(function) ||
			!DatumGetBool(OidFunctionCall1Coll(function, index->collations[i],
											   ObjectIdGetDatum(index->input_types[i]))))
			return false;
	}
	return true;
}

/* The number of rows in a table, also of one that was never analyzed. */
static double
count_rows(const RelOptInfo *rel, Relation table)
{
	double		blocks = RelationGetNumberOfBlocks(table);

	/* The planner takes a new table to be larger than it is. */
	return rel->pages > 0 ? rel->tuples * Min(blocks / rel->pages, 1.0) : 0;
}

/*
 * Whether a key is a column that is a key before it, or an expression of columns that are keys, too,
 * or in an expression of them alone before it: it adds no combinations.
 */
static bool
is_determined(const WhatIfIndex *index, int key, List *expressions, int relid)
{
	Bitmapset  *known = NULL;
	Bitmapset  *own = NULL;
	int			nth = 0;

	if (index->columns[key] != 0)
	{
		for (int i = 0; i < key; i++)
			if (index->columns[i] == index->columns[key])
				return true;
		return false;
	}
	for (int i = 0; i < index->n_keys; i++)
	{
		Bitmapset  *used = NULL;

		if (index->columns[i] != 0)
			known = bms_add_member(known, index->columns[i] -
								   FirstLowInvalidHeapAttributeNumber);
		else if (i <= key)
		{
			Node	   *expression = list_nth(expressions, nth++);

			pull_varattnos(expression, relid, &used);
			if (i == key)
				own = used;
			else if (bms_membership(used) == BMS_SINGLETON)
				known = bms_join(known, used);
		}
	}
	return bms_is_subset(own, known);
}

/* What the keys of an index come to. */
typedef struct Keys
{
	Groups		groups;			/* of the rows that are equal in all keys */
	bool		is_together;	/* from statistics of the columns together */
	double		size;			/* of a tuple of the keys alone */
	double		pivot;			/* its part of a pivot tuple's size, without the last key */
	double		differ;			/* the share of neighbours that differ before the last key */
} Keys;

static Keys *
combine_keys(const Column *columns, const WhatIfIndex *index, List *expressions, int relid,
			 double rows)
{
	Keys	   *keys = palloc0(sizeof(Keys));
	Ends		ends = {.share = {{1.0}}};

	for (int i = 0; i < index->n_keys; i++)
	{
		add_to_tuples(&ends, &columns[i], columns[i].null_share);
		keys->size = average_size(&ends);
		if (is_determined(index, i, expressions, relid))
			continue;
		if (keys->groups.n > 0)
			multiply_groups(&keys->groups, &columns[i].groups, columns[i].null_share, rows);
		else
		{
			keys->groups = columns[i].groups;
			add_group(&keys->groups, columns[i].null_share, 1, true);
		}
		/* A pivot tuple has the keys up to the first one in which its neighbours differ. */
		if (i < index->n_keys - 1)
		{
			double		differ = count_values(&keys->groups, rows) / rows;

			keys->pivot += keys->size * Max(differ - keys->differ, 0);
			keys->differ = Max(differ, keys->differ);
		}
	}
	if (keys->groups.n == 0)
		add_group(&keys->groups, 1, 1, false);
	return keys;
}

/* Fill the leaves; returns their number. */
static double
fill_leaves(const Column *columns, const WhatIfIndex *index, const Keys *keys, double rows,
			double *tuples)
{
	bool		is_list = joins_equal(index);
	Sizes	   *sizes = palloc0(sizeof(Sizes));
	Ends		ends = {.share = {{1.0}}};
	double		average;
	double		leaves;

	for (int i = 0; i < index->n_columns; i++)
		add_to_tuples(&ends, &columns[i], columns[i].null_share);
	average = average_size(&ends);
	if (!is_list)
		add_rows(sizes, average, 1, rows, NULL);
	else
		for (int i = 0; i < keys->groups.n; i++)
		{
			const ValueGroup *group = &keys->groups.group[i];
			double		size = average_of(&ends, group->has_null);

			/* Statistics of columns together do not know nulls. */
			if (size == 0 || keys->is_together)
				size = average;
			add_rows(sizes, size, group->share * rows, group->values, &keys->groups);
		}
	leaves = count_leaves(sizes, index->fill_factor, tuples);
	pfree(sizes);
	return leaves;
}

/* The pages above the leaves; `*height` is the number of their levels. */
static double
count_above(const Keys *keys, double rows, double leaves, double tuples, int *height)
{
	double		differ = Min(count_values(&keys->groups, rows) / Max(tuples, 1), 1.0);
	double		size = keys->pivot + keys->size * Max(differ - keys->differ, 0);
	double		per_page;
	double		pages = 0;

	/* Neighbours that are equal in all keys are told apart by the place of their row. */
	size += (keys->size + MAXALIGN(sizeof(ItemPointerData))) * (1 - Max(differ, keys->differ));
	size += sizeof(ItemIdData);
	/* The first tuple of a page has no keys. */
	per_page = floor((PAGE_SPACE - BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100 -
					  (double) (sizeof(IndexTupleData) + sizeof(ItemIdData))) / size) + 1;
	for (*height = 0; leaves > 1; pages += leaves)
	{
		leaves = ceil(leaves / Max(per_page, 2));
		(*height)++;
	}
	return pages;
}

/* Estimate pages, height and rows of an index. */
void
pilot_estimate_size(PlannerInfo *root, RelOptInfo *rel, Relation table, WhatIfIndex *index,
					List *expressions, List *predicate)
{
	double		all_rows = count_rows(rel, table);
	double		rows = all_rows;
	RelOptInfo *before = root->simple_rel_array[rel->relid];
	Column	   *columns;

	/* The planner's functions look the relation up there, where it may not be yet. */
	root->simple_rel_array[rel->relid] = rel;
	if (predicate != NIL)
		rows *= clauselist_selectivity(root, predicate, rel->relid, JOIN_INNER, NULL);
	columns = find_columns(root, rel, table, index, expressions, predicate, all_rows);
	root->simple_rel_array[rel->relid] = before;
	index->is_sized = true;
	index->rows = rint(rows);
	index->pages = 1;			/* the meta page */
	index->height = 0;
	if (index->rows >= 1)
	{
		Keys	   *keys = combine_keys(columns, index, expressions, rel->relid, rows);
		double		together = index->n_keys > 1 ? count_together(rel, index) : 0;
		double		tuples;
		double		leaves;
		double		pages;

		if (together > 0)
		{
			together = Max(Min(together * rows / all_rows, rows), 1);
			keys->groups.n = 0;
			keys->groups.occur = true;
			keys->is_together = true;
			add_group(&keys->groups, 1 / together, together, false);
		}
		leaves = fill_leaves(columns, index, keys, rows, &tuples);
		pages = 1 + leaves + count_above(keys, rows, leaves, tuples, &index->height);
		index->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
		pfree(keys);
	}
	pfree(columns);
}
