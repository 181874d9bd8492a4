/* pab/write.c: one entry of a person's tree made, changed or removed, as that person.
 *
 * The attributes that say for LDAP clients what the content says are made here of it, with it, always: they cannot
 * differ.  A change and a removal assert the entry's CSN (RFC 4528), so nothing that another has changed
 * since is overwritten.  DIR_R_UNKNOWN: it may have happened. */
#include "directory/filter.h"
#include "pab/pab-impl.h"

static void
write_end(struct pab_ask *k, const struct dir_outcome *o)
{
	pab_ask_done(k);
	k->written(k->arg, o->result, o->why);
	pab_ask_free(k);
}

static struct dir_change
write_one(struct arena *a, enum dir_how how, const char *attribute, struct slice value)
{
	struct slice *v = arena_array(a, 1, sizeof(*v));

	*v = value;
	return (struct dir_change){ how, attribute, v, value.n ? 1u : 0u };
}

static struct slice
write_text(struct arena *a, const struct json_t *content)
{
	struct buf b = { 0 };
	struct slice s;

	json_write(&b, content);
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return s;
}

static size_t
write_book(struct pab_ask *k, enum dir_how how, struct dir_change *c)
{
	const struct json_t *content = k->write->content;
	struct slice text = json_text(json_find(content, S("description")));
	size_t n = 0;

	c[n++] = write_one(&k->arena, how, "cn", json_text(json_find(content, S("name"))));
	if (text.n || how == DIR_REPLACE)
		c[n++] = write_one(&k->arena, how, "description", text);
	return n;
}

static size_t
write_changes(struct pab_ask *k, enum dir_how how, struct dir_change *c)
{
	const struct pab_write *w = k->write;
	size_t n = w->kind == PAB_BOOK ? write_book(k, how, c) :
					 pab_card_attributes(w->content, &k->arena, how, c);

	c[n++] =
	    write_one(&k->arena, how, "tiermailContactData", write_text(&k->arena, w->content));
	if (w->kind == PAB_CARD)
		c[n++] = (struct dir_change){ how, "tiermailBook", w->books, w->nbooks };
	return n;
}

static void
write_create(struct pab_ask *k, struct dir_job *j, struct dir_change *c)
{
	static const struct slice person[] = { { "inetOrgPerson", 13 }, { "tiermailContact", 15 } },
				  book[] = { { "tiermailAddressBook", 19 } };
	bool card = k->write->kind == PAB_CARD;

	j->task = DIR_CREATE;
	c[0] = (struct dir_change){ DIR_ADD, "objectClass", card ? person : book, card ? 2 : 1 };
	c[1] = write_one(&k->arena, DIR_ADD, "uid", k->write->id);
	j->nchanges = 2 + write_changes(k, DIR_ADD, c + 2);
}

static void
write_gone(struct pab_ask *k, struct dir_job *j, struct dir_change *c)
{
	const struct pab_write *w = k->write;
	size_t n = w->ngone < PAB_GONE_MAX ? w->ngone : PAB_GONE_MAX;
	struct slice *v = arena_array(&k->arena, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		const struct pab_gone *g = &w->gone[w->ngone - n + i];

		v[i] = slice_str(arena_printf(&k->arena, "%llu " SFMT " %llu",
		    (unsigned long long)g->number, SARG(g->id), (unsigned long long)g->created_us));
	}
	j->task = DIR_MODIFY;
	j->dn = k->root;
	c[0] = (struct dir_change){ DIR_REPLACE, "tiermailGone", v, n };
	c[1] = (struct dir_change){ DIR_REPLACE, "tiermailPabOf", NULL, 0 };
	j->nchanges = w->nobody ? 2 : 1;
}

static void
write_send(struct pab_ask *k)
{
	const struct pab_write *w = k->write;
	struct dir_change c[PAB_ATTRIBUTES + 4];
	struct buf assertion = { 0 };
	struct dir_job j = { .task = DIR_REMOVE, .as = k->as, .changes = c };

	j.dn = arena_printf(&k->arena, "uid=" SFMT ",%s", SARG(w->id), k->root);
	if (w->csn.n && w->how != PAB_CREATE) {
		dir_filter_equal(&assertion, "entryCSN", w->csn, S(""));
		j.assertion = buf_cstr(&assertion);
	}
	if (w->how == PAB_CREATE)
		write_create(k, &j, c);
	else if (w->how == PAB_GONE)
		write_gone(k, &j, c);
	else if (w->how == PAB_CHANGE) {
		j.task = DIR_MODIFY;
		j.nchanges = write_changes(k, DIR_REPLACE, c);
	}
	pab_ask_job(k, &j);
	buf_fini(&assertion);
}

void
pab_write_start(struct pab *p, struct slice person, const struct pab_write *w, struct op *op,
    pab_written done, void *arg)
{
	struct pab_ask *k = pab_ask_new(p, person, op, arg);

	k->write = w;
	k->written = done;
	k->begin = write_send;
	k->answer = k->fail = write_end;
	pab_ask_start(k);
}
