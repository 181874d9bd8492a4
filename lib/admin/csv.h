/* admin/csv.h: tables of text, as spreadsheets write them (RFC 4180).  Pure.
 *
 * Rows end with LF or CRLF, cells with a comma, or with a semicolon where the first row has one and no comma.  A
 * cell in quotes may have all of these in it, and quotes twice.  Octets stay as they are, but for a byte order
 * mark in front. */
#ifndef ADMIN_CSV_H
#define ADMIN_CSV_H
#include "base/arena.h"
#include "base/buf.h"

#define ADMIN_CSV_CELLS 200 /* of a row, at most */

struct admin_csv {
	struct slice rest;
	char comma;
	unsigned line; /* where the last row began, from 1 */
	unsigned next;
	struct arena memory; /* of the last row's cells that had quotes */
	struct slice cells[ADMIN_CSV_CELLS];
	size_t n;
};

/* `text` stays until the end. */
void admin_csv_init(struct admin_csv *c, struct slice text);
void admin_csv_fini(struct admin_csv *c);
/* 1: the next row, in c->cells until the next call; empty lines are passed over.  0: the end.  -EBADMSG with *why. */
int admin_csv_next(struct admin_csv *c, const char **why) MUSTCHECK;
/* Appends a cell, in quotes where it needs them; `first` of a row has no comma before it. */
void admin_csv_cell(struct buf *b, struct slice s, bool first);
#endif
