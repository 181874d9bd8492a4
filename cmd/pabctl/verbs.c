/* pabctl/verbs.c: what a person's address book has, written out; and all of it removed.
 *
 * An export is a line for each book, then for each contact: its Card with the books that it is in as addressBookIds, a
 * book as {"@type":"AddressBook","id":...}: what import reads.  Removals are noted in the person's tree first, as jmapd
 * does, so that a client that is connected learns of them.  As vCards there are contacts alone. */
#include <stdio.h>
#include <sysexits.h>
#include "pabctl.h"

static struct json_t *
verbs_content(const struct pab_entry *e)
{
	struct json_t *v = NULL;
	const char *why;

	if (json_read(e->content, &pab_card_bounds, &v, &why) < 0)
		fprintf(stderr, "pabctl: " SFMT ": %s\n", SARG(e->id), why);
	return v;
}

/* ---- list ------------------------------------------------------------------------------------------- */

static void
list_put_json(const struct pab_entry *e, const struct json_t *card, struct slice name)
{
	struct json_walk w = { 0 };
	struct buf b = { 0 };

	buf_char(&b, '{');
	json_put_str(&b, "id", e->id);
	json_put_str(&b, "name", name);
	json_put_array(&b, "emails");
	while (json_next(json_find(card, S("emails")), &w)) {
		json_element(&b);
		json_str(&b, json_text(json_find(w.value, S("address"))));
	}
	buf_lit(&b, "]}");
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
}

/* For a terminal: what would not be a character of a line is a question mark. */
static void
list_put_text(struct buf *line, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_char(line, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

static void
list_put_card(const struct pab_entry *e)
{
	struct json_t *card = verbs_content(e);
	struct json_walk w = { 0 };
	struct slice name = pab_card_name(card, &pabctl.arena), first = S("");
	struct buf line = { 0 };

	if (json_next(json_find(card, S("emails")), &w))
		first = json_text(json_find(w.value, S("address")));
	if (pabctl.json) {
		list_put_json(e, card, name);
	} else {
		list_put_text(&line, name);
		buf_char(&line, '\t');
		list_put_text(&line, first);
		printf(SFMT "\n", SARG(buf_get(&line)));
	}
	buf_fini(&line);
	json_free(&card);
}

void
pabctl_list(const struct pab_listed *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].kind == PAB_CARD)
			list_put_card(&l->entries[i]);
	pabctl_end(0, NULL);
}

/* ---- export ----------------------------------------------------------------------------------------- */

static void
export_put(const struct pab_entry *e)
{
	struct buf b = { 0 };

	buf_char(&b, '{');
	if (e->kind == PAB_BOOK) {
		json_put_cstr(&b, "@type", "AddressBook");
		json_put_str(&b, "id", e->id);
	} else {
		json_put_object(&b, "addressBookIds");
		for (size_t i = 0; i < e->nbooks; i++) {
			json_member(&b, e->books[i]);
			buf_lit(&b, "true");
		}
		buf_char(&b, '}');
	}
	if (e->content.n > 2) {
		buf_char(&b, ',');
		buf_slice(&b, slice_from(e->content, 1));
	} else {
		buf_char(&b, '}');
	}
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
}

static void
export_put_vcard(const struct pab_entry *e)
{
	struct json_t *card = verbs_content(e);
	struct buf b = { 0 };

	if (card)
		pab_vcard_write(&b, card, pabctl.form == PABCTL_VCARD ? PAB_VCARD_4 : PAB_VCARD_3);
	fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
	json_free(&card);
}

void
pabctl_export(const struct pab_listed *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (pabctl.form == PABCTL_JSON)
			export_put(&l->entries[i]);
		else if (l->entries[i].kind == PAB_CARD)
			export_put_vcard(&l->entries[i]);
	pabctl_end(0, NULL);
}

/* ---- remove ----------------------------------------------------------------------------------------- */

static const struct pab_listed *removing;
static size_t removed; /* entries, from behind: contacts before books */

static void
remove_ended(void *arg UNUSED, enum dir_result r, const char *why)
{
	if (r != DIR_R_OK && r != DIR_R_NO_ENTRY) {
		pabctl_refused(r, why);
		return;
	}
	if (pabctl.json)
		printf("{\"removed\":%zu}\n", removed);
	pabctl_end(0, NULL);
}

/* At last what is left is nobody's: of whoever has the name now. */
static void
remove_end(void)
{
	pabctl.write.how = PAB_GONE;
	pabctl.write.nobody = true;
	pab_write_start(pabctl.pab, pabctl.person, &pabctl.write, &pabctl.op, remove_ended, NULL);
}

static void
remove_done(void *arg UNUSED, enum dir_result r, const char *why)
{
	const struct pab_listed *l = removing;

	if (r != DIR_R_OK && r != DIR_R_NO_ENTRY) {
		pabctl_refused(r, why);
		return;
	}
	if (removed == l->n) {
		remove_end();
		return;
	}
	removed++;
	pabctl.write.how = PAB_REMOVE;
	pabctl.write.csn = S("");
	pabctl.write.kind = l->entries[l->n - removed].kind;
	pabctl.write.id = l->entries[l->n - removed].id;
	pab_write_start(pabctl.pab, pabctl.person, &pabctl.write, &pabctl.op, remove_done, NULL);
}

void
pabctl_remove(const struct pab_listed *l)
{
	const struct pab_entry **all = arena_array(&pabctl.arena, l->n + 1, sizeof(*all));

	for (size_t i = 0; i < l->n; i++)
		all[i] = &l->entries[i];
	removing = l;
	pabctl.write = (struct pab_write){ .how = PAB_GONE, .csn = l->csn };
	pabctl.write.gone = pab_gone_more(l, all, l->n, &pabctl.arena, &pabctl.write.ngone);
	pab_write_start(pabctl.pab, pabctl.person, &pabctl.write, &pabctl.op, remove_done, NULL);
}
