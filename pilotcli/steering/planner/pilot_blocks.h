/*
 * pilot_blocks.h
 *	  What pilot_planner.c uses of pilot_blocks.c.
 */
#ifndef PILOT_BLOCKS_H
#define PILOT_BLOCKS_H

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/* A statement before planning; the planner changes its own copy. */
typedef struct Statement Statement;

extern Statement *pilot_mark_statement(Query *parse, bool keeps_text);
extern void pilot_clear_marks(PlannedStmt *plan);
extern int	pilot_query_number(const PlannerInfo *root);
extern char *pilot_describe_block(PlannerInfo *root, char **names, const Statement *statement);

#endif
