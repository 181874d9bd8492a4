/* Accounts in the writer's memory.
 *
 * A record is read once, changed in memory by any number of jobs of a batch, and put once when
 * the batch ends.  Called by the writer's thread.  A record that is there but damaged is -EBADMSG:
 * the job is answered TEMP, and no account is made over it.  Usage must stay the sum over the account's mailboxes; recounting makes it so. */
#include <errno.h>
#include <stddef.h>
#include "base/crc.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

/* ---- accounts ------------------------------------------------------------------------------ */

struct wacct *
writer_account_remember(struct writer *w, struct slice name, const struct store_disk_account *d)
{
	struct wacct *a = mem_new(sizeof(*a));

	a->d = *d;
	a->name = mem_strn(name.p, name.n);
	map_key_set(a->key, d->id);
	map_put(&w->accounts, slice_str(a->name), a);
	map_put(&w->accounts_by_id, map_key(a->key), a);
	return a;
}

int
writer_account_find(struct writer *w, struct slice name, struct wacct **a)
{
	struct store_disk_account d;
	struct store_news_list news;
	struct slice v;

	*a = map_get(&w->accounts, name);
	if (*a)
		return 0;
	v = writer_row_get(w, STORE_T_ACCOUNT, name.p, name.n);
	if (!v.p)
		return w->error ? -EIO : -ENOENT;
	if (!store_account_crc_ok(v) || store_account_parse(v, &d, &news) < 0 ||
	    news.n > STORE_NEWS)
		return writer_damage_note(w, STORE_T_ACCOUNT, name.p, name.n,
		    "its record is damaged");
	*a = writer_account_remember(w, name, &d);
	for (size_t i = 0; i < news.n; i++)
		(*a)->news[(*a)->nnews++] = store_news_at(&news, i);
	return 0;
}

/* Ids lead to names through the records of the account's mailboxes: the first that is good. */
int
writer_account_by_id(struct writer *w, uint64_t id, struct wacct **a)
{
	uint8_t key[8], k8[8];
	int rc, found = -ENOENT;
	MDB_cursor *c;
	MDB_val k, d;

	map_key_set(k8, id);
	*a = map_get(&w->accounts_by_id, map_key(k8));
	if (*a)
		return 0;
	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_NAME], &c)))
		return -EIO;
	store_be64(key, id);
	k = (MDB_val){ sizeof(key), key };
	for (rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && k.mv_size > 8 && memcmp(k.mv_data, key, 8) == 0 && !*a;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct slice value = slice(d.mv_data, d.mv_size);
		struct store_disk_name row;
		struct wbox *b;

		found = -EBADMSG;
		if (store_value_read(value, sizeof(row), &row, sizeof(row)) == 0 &&
		    writer_box_find(w, row.mailbox, &b) == 0 && b->acct->d.id == id)
			*a = b->acct;
	}
	mdb_cursor_close(c);
	return *a ? 0 : found;
}

void
writer_account_put(struct writer *w, const struct wacct *a)
{
	struct {
		struct store_disk_account d;
		struct store_news news[STORE_NEWS];
	} PACKED row = { .d = a->d }; /* the rest is 0 */
	size_t n = sizeof(row.d) + a->nnews * sizeof(row.news[0]);

	row.d.head = sizeof(row.d);
	row.d.news = sizeof(row.news[0]);
	row.d.nnews = a->nnews;
	memcpy(row.news, a->news, a->nnews * sizeof(row.news[0]));
	row.d.crc = 0;
	row.d.crc = crc32c(0, &row, n);
	writer_row_put_roomy(w, STORE_T_ACCOUNT, slice_str(a->name), slice((char *)&row, n),
	    sizeof(row.d) + store_row_room(a->nnews) * sizeof(row.news[0]));
}

void
writer_account_dirty(struct writer *w, struct wacct *a)
{
	if (a->dirty)
		return;
	a->dirty = true;
	a->next_dirty = w->dirty_accounts;
	w->dirty_accounts = a;
}

struct wacct *
writer_account_new(struct writer *w, struct slice name)
{
	struct store_disk_account d = { .version = STORE_VERSION,
		.created_at = w->now,
		.threads_at = (uint32_t)w->now };
	struct wacct *a;

	d.id = NEW_ID(w, account);
	d.modseq = 1;
	a = writer_account_remember(w, name, &d);
	writer_account_dirty(w, a);
	return a;
}

/* UIDVALIDITY never comes twice in an account: the clock, but always ascending. */
uint32_t
writer_next_uidvalidity(struct writer *w, struct wacct *a)
{
	uint32_t v = (uint32_t)w->now;

	if (v <= a->d.uidvalidity)
		v = a->d.uidvalidity + 1;
	a->d.uidvalidity = v;
	writer_account_dirty(w, a);
	return v;
}

/* ---- what is noted of it ----------------------------------------------------------------------- */

/* The account of the request; NULL: the reply is set. */
static struct wacct *
account_noted(struct writer *w, struct store_job *j)
{
	struct wacct *a;
	int rc = writer_account_by_id(w, j->req.account, &a);

	if (rc < 0) {
		writer_reply_no_box(j, rc);
		return NULL;
	}
	if (writer_reply_unless_owner(j, a))
		return NULL;
	writer_reply_ok(j);
	return a;
}

/* The caller has looked as well; of many who come at once one is written. */
void
writer_run_login(struct writer *w, struct store_job *j)
{
	struct wacct *a = account_noted(w, j);
	uint32_t now = (uint32_t)w->now;

	if (a && j->req.since) { /* it was elsewhere, and is only told */
		if (j->req.since > now || j->req.since <= a->d.logins[j->req.use])
			return;
		a->d.logins[j->req.use] = (uint32_t)j->req.since;
		writer_account_dirty(w, a);
		return;
	}
	if (a && a->d.coming_at) { /* nobody has said so, but it is in use */
		a->d.coming_at = 0;
		writer_account_dirty(w, a);
	}
	if (!a ||
	    (now >= a->d.logins[j->req.use] && now - a->d.logins[j->req.use] < STORE_LOGIN_EVERY))
		return;
	a->d.logins[j->req.use] = now;
	writer_account_dirty(w, a);
}

void
writer_run_orphan(struct writer *w, struct store_job *j)
{
	struct wacct *a = account_noted(w, j);

	if (!a || !a->d.orphan_since == !j->req.yes)
		return;
	a->d.orphan_since = j->req.yes ? (uint32_t)w->now : 0;
	writer_account_dirty(w, a);
}

/* ---- accounts that are gone -------------------------------------------------------------------- */

void
writer_accounts_settled(struct writer *w)
{
	for (size_t at = 0; at < w->gone_accounts.n; at += sizeof(struct wacct *)) {
		struct wacct *a;

		memcpy(&a, w->gone_accounts.p + at, sizeof(struct wacct *));
		mem_free(&a->name);
		mem_free(&a);
	}
	buf_clear(&w->gone_accounts);
}
