/* Rights: who may do what is asked for, and the rows that say so.
 *
 * Called by the writer's thread within its batches: for every request that names a login, in every slice
 * of a long one, so that what is taken away is gone from the next slice on.  A row that is no good gives
 * nothing, and takes all that it could.  What must stay true: the index of who may look at what (rows of
 * mailbox 0) changes in the same transaction as the rows that it is made of; a mailbox's rows go with it;
 * and who may not know that a folder is there gets the answer that he would get if it were not. */
#include <errno.h>

#include "base/log.h"
#include "store/acl.h"
#include "store/writer/writer-impl.h"

#define ROWS_MOST 2000 /* of an account: what its mailboxes give, together */

/* ---- judging ------------------------------------------------------------------------------- */

struct acl_of {
	struct writer *w;
	uint64_t mailbox;
};

static bool
acl_row(void *arg, struct slice identifier, uint32_t *rights)
{
	const struct acl_of *of = arg;
	uint8_t key[STORE_ACL_KEY];
	size_t n = store_acl_key(key, of->mailbox, identifier);
	return store_acl_row(writer_row_get(of->w, STORE_T_ACL, key, n), identifier, rights);
}

static bool
acl_next(void *arg, struct slice *identifier, uint32_t *rights)
{
	const struct acl_of *of = arg;
	struct writer *w = of->w;
	uint8_t key[STORE_ACL_KEY];
	MDB_val k = { store_acl_key(key, of->mailbox, *identifier), key }, v;
	size_t n = k.mv_size;
	MDB_cursor *c;
	int rc;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_ACL], &c)))
		return false;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0 && k.mv_size == n && memcmp(k.mv_data, key, n) == 0)
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	mdb_cursor_close(c);
	if (rc != 0 || k.mv_size <= 8 || k.mv_size > 8 + STORE_IDENTIFIER_MAX ||
	    memcmp(k.mv_data, key, 8) != 0)
		return false;
	*identifier = slice((const char *)k.mv_data + 8, k.mv_size - 8);
	*rights = store_acl_row_or(slice(v.mv_data, v.mv_size), *identifier);
	return true;
}

uint32_t
writer_box_rights(struct writer *w, const struct store_job *j, const struct wbox *b)
{
	struct acl_of of = { w, b->id };
	const struct store_rights_rows rows = { acl_row, acl_next, &of };
	const struct store_person who = store_request_person(&j->req);

	return store_rights_judge(slice_str(b->acct->name), &who, &rows);
}

/* What the request needs of this mailbox: one of these rights, or all of them. */
static uint32_t
acl_needs(const struct store_request *r, uint64_t mailbox, bool *one)
{
	uint32_t needs = 0;

	*one = false;
	switch ((int)r->verb) {
	case STORE_V_APPEND: return STORE_R_INSERT;
	case STORE_V_EXPUNGE:
		return STORE_R_EXPUNGE | (r->options & STORE_ANY ? STORE_R_DELETE : 0u);
	case STORE_V_RESERVE: return STORE_R_READ;
	case STORE_V_ACL: return STORE_R_ADMIN;
	case STORE_V_FLAGS: *one = true; return STORE_R_FLAGS;
	case STORE_V_REPLACE: /* RFC 8508 3.4 */
		if (mailbox == r->mailbox)
			needs |= STORE_R_DELETE | STORE_R_EXPUNGE;
		if (mailbox == r->mailbox2)
			needs |= STORE_R_INSERT;
		return needs;
	case STORE_V_COPY:
	case STORE_V_MOVE:
		if (mailbox == r->mailbox)
			needs |= STORE_R_READ;
		if (mailbox == r->mailbox && r->verb == STORE_V_MOVE) /* RFC 6851 4.4 */
			needs |= STORE_R_DELETE | STORE_R_EXPUNGE;
		if (mailbox == r->mailbox2)
			needs |= STORE_R_INSERT;
		return needs;
	default: return STORE_R_ALL; /* nobody but the owner */
	}
}

void
writer_reply_forbid(struct store_job *j, const struct wacct *a, uint32_t rights)
{
	log_event(LOG_WARN, "store_forbidden", "sid=%s actor=%s account=%s verb=%s",
	    log_value(j->req.trace), log_value(j->req.actor), log_str(a->name),
	    store_verb_name(j->req.verb));
	writer_reply_fail(j, STORE_FORBIDDEN,
	    rights ? verdict(OUT_STORE_NO_RIGHT) : verdict(OUT_STORE_NOT_YOURS));
}

bool
writer_reply_unless_may(struct writer *w, struct store_job *j, struct wbox *b)
{
	uint32_t rights = writer_box_rights(w, j, b), needs;
	bool one;

	b->may_flags = store_rights_flags(rights);
	b->may_keywords = rights & STORE_R_WRITE;
	b->seen_apart = writer_seen_apart_for(w, j, b);
	if (rights == STORE_R_ALL)
		return false;
	needs = acl_needs(&j->req, b->id, &one);
	if (one ? rights & needs : (rights & needs) == needs)
		return false;
	writer_reply_forbid(j, b->acct, rights);
	return true;
}

/* The folder of this name or, `above`, the nearest one above it that is there. */
static int
acl_named(struct writer *w, struct wacct *a, struct slice name, bool above, struct wbox **b)
{
	int rc = -ENOENT;

	*b = NULL;
	if (!above)
		return writer_box_named(w, a, name, b);
	for (size_t k; rc == -ENOENT && (k = slice_rfind(name, STORE_SEPARATOR)) < name.n;) {
		name.n = k;
		rc = writer_box_named(w, a, name, b);
	}
	return rc;
}

bool
writer_reply_unless_owner(struct store_job *j, const struct wacct *a)
{
	bool other = j->req.actor.n && !slice_eq(j->req.actor, slice_str(a->name));

	if (other)
		writer_reply_forbid(j, a, 0);
	return other;
}

bool
writer_reply_unless_named(struct writer *w, struct store_job *j, struct wacct *a, const char *name,
    bool above, uint32_t needs)
{
	uint32_t rights = 0;
	struct wbox *b;
	int rc;

	if (!j->req.actor.n || slice_eq(j->req.actor, slice_str(a->name)))
		return false;
	rc = acl_named(w, a, slice_str(name), above, &b);
	if (rc == 0)
		rights = writer_box_rights(w, j, b);
	if ((rights & needs) == needs)
		return false;
	/* The same for what is there and what is not, to one who may not look. */
	writer_reply_forbid(j, a, rights & STORE_R_LOOKUP ? rights : 0);
	return true;
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* How many rows an account's mailboxes have, those of the index apart: the 64 of one mailbox come again with
 * every folder that is made below it, and no quota counts them.  Looked for once, and kept from then on;
 * what a batch has changed that fails is forgotten with the account. */
static uint32_t
acl_rows(struct writer *w, struct wacct *a)
{
	uint8_t from[8], box[8];
	MDB_cursor *names, *rows;
	MDB_val k = { 8, from }, v, at, row;

	if (a->acl_counted || w->error ||
	    (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &names)))
		return a->acl_rows;
	if ((w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_ACL], &rows))) {
		mdb_cursor_close(names);
		return 0;
	}
	a->acl_rows = 0;
	store_be64(from, a->d.id);
	for (int rc = mdb_cursor_get(names, &k, &v, MDB_SET_RANGE);
	     rc == 0 && k.mv_size > 8 && memcmp(k.mv_data, from, 8) == 0;
	     rc = mdb_cursor_get(names, &k, &v, MDB_NEXT)) {
		struct store_disk_name name;

		if (store_value_read(slice(v.mv_data, v.mv_size), sizeof(name), &name,
			sizeof(name)) < 0)
			continue;
		store_be64(box, name.mailbox);
		at = (MDB_val){ 8, box };
		for (int found = mdb_cursor_get(rows, &at, &row, MDB_SET_RANGE);
		     found == 0 && at.mv_size > 8 && memcmp(at.mv_data, box, 8) == 0;
		     found = mdb_cursor_get(rows, &at, &row, MDB_NEXT))
			a->acl_rows++;
	}
	mdb_cursor_close(rows);
	mdb_cursor_close(names);
	a->acl_counted = true;
	return a->acl_rows;
}

/* rights 0: the rows go. */
static void
acl_put(struct writer *w, const struct wbox *b, struct slice identifier, uint32_t rights)
{
	struct store_disk_acl d = { .version = STORE_VERSION, .rights = rights };
	uint8_t key[STORE_ACL_KEY];
	size_t n = store_acl_key(key, b->id, identifier);

	if (b->acct->acl_counted) {
		b->acct->acl_rows += rights != 0;
		if (b->acct->acl_rows && writer_row_get(w, STORE_T_ACL, key, n).p)
			b->acct->acl_rows--;
	}
	if (rights)
		writer_row_put(w, STORE_T_ACL, key, n, &d, sizeof(d), 0);
	else
		writer_row_del(w, STORE_T_ACL, key, n);
	n = store_share_key(key, identifier, b->acct->d.id, b->id);
	if (store_share_indexed(identifier, rights))
		writer_row_put(w, STORE_T_ACL, key, n, &d, sizeof(d), 0);
	else
		writer_row_del(w, STORE_T_ACL, key, n);
}

/* What a mailbox gives, copied: the map changes under who goes through it.  n of these, then the
 * identifiers. */
struct acl_entry {
	uint32_t rights;
	uint16_t at, n;
};
struct acl_list {
	struct acl_entry e[STORE_ACL_MOST];
	size_t n;
	struct buf names;
};

static struct slice
acl_name(const struct acl_list *l, size_t i)
{
	return slice(l->names.p + l->e[i].at, l->e[i].n);
}

static void
acl_read(struct writer *w, uint64_t mailbox, struct acl_list *l)
{
	struct slice who;
	uint32_t rights;
	MDB_cursor *c;
	uint8_t key[8];
	MDB_val k = { 8, key }, v;

	l->n = 0;
	buf_clear(&l->names);
	store_be64(key, mailbox);
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_ACL], &c)))
		return;
	for (int rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	     rc == 0 && l->n < STORE_ACL_MOST && k.mv_size > 8 &&
	     k.mv_size <= 8 + STORE_IDENTIFIER_MAX && memcmp(k.mv_data, key, 8) == 0;
	     rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		who = slice((const char *)k.mv_data + 8, k.mv_size - 8);
		if (!store_acl_row(slice(v.mv_data, v.mv_size), who, &rights))
			rights = 0;
		l->e[l->n++] =
		    (struct acl_entry){ rights, (uint16_t)l->names.n, (uint16_t)(k.mv_size - 8) };
		buf_add(&l->names, (const char *)k.mv_data + 8, k.mv_size - 8);
	}
	mdb_cursor_close(c);
}

bool
writer_reply_if_acl_many(struct writer *w, struct store_job *j, struct wacct *a, const char *name,
    bool itself)
{
	struct acl_list l = { .n = 0 };
	size_t folders = itself, known = 0;
	struct wbox *above;

	if (acl_named(w, a, slice_str(name), true, &above) == 0) {
		acl_read(w, above->id, &l);
		buf_fini(&l.names);
		known = strlen(above->name) + 1;
	}
	if (l.n == 0)
		return false;
	for (const char *s = strchr(name + known, STORE_SEPARATOR); s;
	     s = strchr(s + 1, STORE_SEPARATOR))
		folders++;
	if (folders == 0 || acl_rows(w, a) + folders * l.n <= ROWS_MOST)
		return false;
	writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_SHARES_MANY));
	return true;
}

void
writer_acl_inherit(struct writer *w, struct wbox *b)
{
	struct acl_list l = { .n = 0 };
	struct wbox *above;

	if (acl_named(w, b->acct, slice_str(b->name), true, &above) < 0)
		return;
	acl_read(w, above->id, &l);
	for (size_t i = 0; i < l.n; i++)
		if (l.e[i].rights)
			acl_put(w, b, acl_name(&l, i), l.e[i].rights);
	buf_fini(&l.names);
}

void
writer_acl_forget(struct writer *w, const struct wbox *b)
{
	struct acl_list l = { .n = 0 };

	acl_read(w, b->id, &l);
	for (size_t i = 0; i < l.n; i++)
		acl_put(w, b, acl_name(&l, i), 0);
	buf_fini(&l.names);
}

bool
writer_acl_leave(struct writer *w, struct wbox *b, struct slice from, struct slice to)
{
	static const char *const signs[] = { "", "-" };
	struct acl_of of = { .w = w, .mailbox = b->id };
	struct buf was = { 0 }, is = { 0 };
	bool any = false;

	/* The row of that name is somebody else's. */
	if (!store_identifier_login(from))
		return false;
	if (!store_identifier_login(to))
		to = slice(NULL, 0);
	for (size_t i = 0; i < NELEM(signs); i++) {
		uint32_t rights, before = 0;

		buf_clear(&was);
		buf_printf(&was, "%s" SFMT, signs[i], SARG(from));
		buf_clear(&is);
		buf_printf(&is, "%s" SFMT, signs[i], SARG(to));
		if (was.n > STORE_IDENTIFIER_MAX || is.n > STORE_IDENTIFIER_MAX ||
		    !acl_row(&of, buf_get(&was), &rights))
			continue;
		any = true;
		acl_put(w, b, buf_get(&was), 0);
		(void)!acl_row(&of, buf_get(&is), &before);
		if (to.n)
			acl_put(w, b, buf_get(&is), rights | before);
	}
	buf_fini(&was);
	buf_fini(&is);
	return any;
}

/* ---- SETACL -------------------------------------------------------------------------------- */

/* False: the reply is set.  An administrator (nobody's login) may what a person may not. */
static bool
acl_may_name(struct writer *w, struct store_job *j, const struct wbox *b, struct slice identifier,
    uint32_t before, uint32_t rights)
{
	struct slice who =
	    slice_starts(identifier, S("-")) ? slice_from(identifier, 1) : identifier;
	struct acl_list l = { .n = 0 };
	bool known = false;

	if (slice_eq(who, slice_str(b->acct->name))) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_OWNER));
		return false;
	}
	if (rights & ~before && j->req.actor.n && w->config->no_anyone && who.p == identifier.p &&
	    store_identifier_anyone(who)) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_ANYONE));
		return false;
	}
	acl_read(w, b->id, &l);
	for (size_t i = 0; i < l.n; i++)
		known |= slice_eq(acl_name(&l, i), identifier);
	buf_fini(&l.names);
	if (!known && rights && l.n >= STORE_ACL_MOST) {
		writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_ACL_MANY));
		return false;
	}
	if (!known && rights && acl_rows(w, b->acct) >= ROWS_MOST) {
		writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_SHARES_MANY));
		return false;
	}
	return true;
}

void
writer_run_acl(struct writer *w, struct store_job *j)
{
	char canonical[STORE_IDENTIFIER_MAX + 1];
	struct slice identifier;
	uint32_t before = 0, rights = j->req.count & STORE_R_ALL;
	struct acl_of of = { .w = w };
	struct wbox *b;
	int rc = writer_box_find(w, j->req.mailbox, &b);

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return;
	}
	if (writer_reply_unless_may(w, j, b))
		return;
	if (store_identifier_check(j->req.name, canonical) < 0) {
		writer_reply_fail(j, STORE_CANNOT, verdict(OUT_STORE_IDENTIFIER));
		return;
	}
	identifier = slice_str(canonical);
	of.mailbox = b->id;
	(void)!acl_row(&of, identifier, &before);
	if (j->req.how == STORE_ADD)
		rights |= before;
	else if (j->req.how == STORE_REMOVE)
		rights = before & ~rights;
	if (!acl_may_name(w, j, b, identifier, before, rights))
		return;
	if (rights != before) {
		acl_put(w, b, identifier, rights);
		writer_event_add(w, STORE_EV_LIST, b->acct->d.id, b->id, ++b->acct->d.modseq);
		writer_account_dirty(w, b->acct);
	}
	writer_reply_ok(j);
	j->reply.mailbox = b->id;
	j->reply.account = b->acct->d.id;
}
