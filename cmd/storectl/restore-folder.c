/* storectl restore: folders, put back, with their rights and annotations.
 *
 * Called by restore.c for each frame, with the account open, or not at all when it is not wanted.  A folder that has
 * never had a message gets its former UIDVALIDITY and UIDs.  An exact run (storectl receive) also takes away what the
 * stream does not have: it is the only one that may, for a copy that nobody uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "restore.h"

/* What the folder has given out before is never given out again. */
static void
folder_end(struct restoring *r)
{
	const struct store_restoring what = { .mailbox = r->mailbox,
		.uidvalidity = r->uidvalidity,
		.last = r->uidnext - 1,
		.modseq = r->modseq };

	if (!r->mailbox || !r->keeps || r->rc ||
	    (r->uidnext <= r->now_next && r->now_validity == r->uidvalidity))
		return;
	store_restore_start(r->ask.client, &what, NULL, 0, &r->ask.op, asking_done, &r->ask);
	(void)restore_asked(r, r->folder);
}

void
restore_flush(struct restoring *r)
{
	int rc;

	if (!r->opened)
		return;
	restore_marks_flush(r);
	rc = put_flush(&r->put);
	if (rc && !r->rc) {
		restore_bad(r, "what was in hand is not sure");
		r->rc = rc;
	}
	folder_end(r);
	r->mailbox = 0;
}

/* No UIDVALIDITY twice in an account: one of the folders may get the name of the other. */
static bool
folder_validity_taken(struct restoring *r)
{
	struct store_folder f = { .account = r->id };
	struct store_mailbox m;

	while (store_next_folder(r->view, &f))
		if (f.mailbox != r->mailbox && store_get_mailbox(r->view, f.mailbox, &m) == 0 &&
		    m.uidvalidity == r->uidvalidity && !(f.attrs & STORE_NOSELECT) &&
		    (m.exists || m.uidnext != 1))
			return true;
	return false;
}

/* How the folder is now. */
static void
folder_look(struct restoring *r)
{
	struct store_mailbox m;
	bool fresh;

	r->keeps = false;
	if (store_begin(r->view) < 0)
		exit(EX_OSERR);
	if (store_get_mailbox(r->view, r->mailbox, &m) == 0) {
		fresh = m.uidnext == 1 && m.exists == 0;
		r->keeps = r->uidvalidity &&
		    (m.uidvalidity == r->uidvalidity || (fresh && !folder_validity_taken(r)));
		r->now_next = m.uidnext;
		r->now_validity = m.uidvalidity;
	}
	store_end(r->view);
	have_fini(&r->have);
	if (have_load(&r->have, r->view, r->mailbox) < 0)
		exit(EX_OSERR);
	put_folder(&r->put, r->mailbox, r->folder);
	r->put.restoring = (struct store_restoring){ .mailbox = r->mailbox,
		.uidvalidity = r->uidvalidity,
		.modseq = r->modseq };
}

/* Those that the stream has come behind the folder. */
static void
folder_take_rights(struct restoring *r)
{
	struct slice identifier = slice(NULL, 0);
	struct buf list = { 0 };
	uint32_t rights;

	if (store_begin(r->view) < 0)
		exit(EX_OSERR);
	while (store_acl_next(r->view, r->mailbox, &identifier, &rights)) {
		buf_slice(&list, identifier);
		buf_char(&list, '\0');
	}
	store_end(r->view);
	for (size_t at = 0; at < list.n && !r->rc; at += strlen(list.p + at) + 1) {
		store_acl_start(r->ask.client, r->mailbox, slice_str(list.p + at), STORE_SET, 0,
		    &r->ask.op, asking_done, &r->ask);
		(void)restore_asked(r, r->folder);
	}
	buf_fini(&list);
}

void
restore_folder(struct restoring *r, struct slice line)
{
	char name[STORE_NAME_MAX + 1] = "";
	bool there, is, subscribed = restore_number(line, "subscribed");
	uint64_t mailbox;

	restore_flush(r);
	r->folder[0] = '\0';
	r->folders += r->wanted;
	if (kv_cstr(kv_find(line, "name"), name, sizeof(name)) < 0 ||
	    store_name_check(slice_str(name), r->folder) < 0) {
		restore_bad(r, "a folder without a name");
		r->rc = EX_DATAERR;
		return;
	}
	if (r->run->exact && !restore_number(line, "noselect")) {
		buf_str(&r->named, r->folder);
		buf_char(&r->named, '\0');
	}
	if (!r->opened || r->rc || restore_number(line, "noselect"))
		return;
	r->uidvalidity = restore_number32(line, "uidvalidity");
	r->uidnext = restore_number32(line, "uidnext");
	if (!r->uidvalidity || !r->uidnext) {
		restore_bad(r, "a folder without UIDVALIDITY or a next UID");
		return;
	}
	if (store_begin(r->view) < 0)
		exit(EX_OSERR);
	there = store_find_mailbox(r->view, r->id, slice_str(r->folder), &mailbox) == 0;
	is = there && store_subscribed(r->view, r->id, slice_str(r->folder));
	store_end(r->view);
	if (!there) {
		uint64_t use = restore_number(line, "use");

		store_create_start(r->ask.client, r->id, slice_str(r->folder),
		    use <= STORE_USE_MAX ? (enum store_special)use : STORE_USE_NONE, &r->ask.op,
		    asking_done, &r->ask);
		if (!restore_asked(r, r->folder))
			return;
		mailbox = r->ask.reply.mailbox;
	}
	/* What is so already costs no request: the account that moves is frozen meanwhile.  New ones may be subscribed. */
	if ((subscribed && !is) || (!subscribed && r->run->exact && (is || !there))) {
		store_subscribe_start(r->ask.client, r->id, slice_str(r->folder), subscribed,
		    &r->ask.op, asking_done, &r->ask);
		if (!restore_asked(r, r->folder))
			return;
	}
	r->mailbox = mailbox;
	if (r->run->exact)
		folder_take_rights(r);
	folder_look(r);
}

/* Those below others first; one above a folder that stays becomes a bare name, and such a name goes with the last below
 * it. */
void
restore_only(struct restoring *r)
{
	struct store_folder f = { .account = r->id };
	struct buf others = { 0 };
	char name[STORE_NAME_MAX + 1];
	size_t n = 0;

	if (store_begin(r->view) < 0)
		exit(EX_OSERR);
	while (store_next_folder(r->view, &f)) {
		slice_cstr(f.name, name, sizeof(name));
		if (f.attrs & STORE_NOSELECT || restore_is_named(&r->named, name) ||
		    strcmp(name, "INBOX") == 0)
			continue;
		buf_add(&others, name, sizeof(name));
		n++;
	}
	store_end(r->view);
	while (n-- && !r->rc) {
		const char *other = others.p + n * sizeof(name);

		store_delete_start(r->ask.client, r->id, slice_str(other), &r->ask.op, asking_done,
		    &r->ask);
		(void)restore_asked(r, other);
	}
	buf_fini(&others);
}

void
restore_rights(struct restoring *r, struct slice line)
{
	char identifier[STORE_IDENTIFIER_MAX + 1];

	if (!r->mailbox || r->rc ||
	    kv_cstr(kv_find(line, "identifier"), identifier, sizeof(identifier)) < 0)
		return;
	store_acl_start(r->ask.client, r->mailbox, slice_str(identifier), STORE_ADD,
	    restore_number32(line, "may"), &r->ask.op, asking_done, &r->ask);
	if (!asking_try(&r->ask))
		restore_bad(r, r->ask.reply.verdict.text); /* the mail is worth more */
}

/* One that is whole. */
static void
annotation_put(struct restoring *r, struct slice login, struct slice name, bool server, bool gone)
{
	const struct store_annotation a = { .name = name,
		.value = buf_get(&r->annotation),
		.shared = login.n == 0,
		.gone = gone };

	if (server || r->mailbox) {
		store_annotate_as_start(r->ask.client, login, r->id, server ? 0 : r->mailbox, &a, 1,
		    &r->ask.op, asking_done, &r->ask);
		if (!asking_try(&r->ask))
			restore_bad(r, r->ask.reply.verdict.text); /* the mail is worth more */
	}
	buf_clear(&r->annotation);
}

/* A piece of one, or all of it. */
void
restore_annotation(struct restoring *r, struct slice line)
{
	struct buf login = { 0 }, name = { 0 };

	if (!r->opened || r->rc)
		return;
	if (kv_decode(&login, kv_find(line, "login")) < 0 ||
	    kv_decode(&name, kv_find(line, "name")) < 0 ||
	    kv_decode(&r->annotation, kv_find(line, "value")) < 0) {
		restore_bad(r, "an annotation that cannot be read");
		buf_clear(&r->annotation);
	} else if (r->annotation.n <= STORE_ANNOT_VALUE_MAX && restore_number(line, "more"))
		;
	else
		annotation_put(r, buf_get(&login), buf_get(&name), restore_number(line, "server"),
		    restore_number(line, "gone"));
	buf_fini(&login);
	buf_fini(&name);
}
