/* expand.c: who would get a message: addresses through rules, directory and lists, as smtp-relay does it.
 *
 * The one verb that asks somebody: the directory of tiermail.conf, as its ldap.bind_dn.  Called by main.c
 * with the addresses; prints one object or paragraph for each.  What fails is what fails at RCPT, and is
 * shown in its words.  Must stay true: nothing is sent and nothing is changed. */
#include <stdio.h>
#include <sysexits.h>
#include "base/json.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "expand/expand.h"
#include "mtatest.h"

static struct {
	struct loop loop;
	struct dir *dir;
	struct expand *expand;
	struct op op;
	bool refused;
} asking;

/* The list whose password the message must bring; or NULL. */
static const char *
password_of(const struct expand_leg *leg)
{
	for (size_t i = 0; leg->edit && i < leg->edit->npasswords; i++)
		if (leg->edit->passwords[i].needed)
			return leg->edit->passwords[i].list;
	return NULL;
}

/* ---- for programs ------------------------------------------------------------------------- */

static void
leg_json(struct buf *b, const struct expand_leg *leg)
{
	buf_str(b, b->p[b->n - 1] == '[' ? "{" : ",{");
	json_put_cstr(b, "address", leg->address);
	json_put_cstr(b, "channel", leg->channel);
	json_put_cstr(b, "host", leg->host);
	json_put_cstr(b, "hold", leg->hold);
	json_put_cstr(b, "sender", leg->sender);
	json_put_cstr(b, "list", leg->list);
	if (leg->edit)
		json_put_cstr(b, "changed_by", leg->edit->list);
	json_put_cstr(b, "password_of", password_of(leg));
	buf_char(b, '}');
}

static void
code_json(struct buf *b, const struct verdict *v)
{
	struct buf esc = { 0 };

	verdict_esc_write(&esc, v);
	json_put_str(b, "code", buf_get(&esc));
	buf_fini(&esc);
}

static void
result_json(struct buf *b, const struct expand_result *r)
{
	buf_char(b, '{');
	if (r->v.kind != OK) {
		json_put_cstr(b, "error", r->v.text);
		code_json(b, &r->v);
	} else {
		json_key(b, "recipients");
		buf_char(b, '[');
		for (size_t i = 0; i < r->nlegs; i++)
			leg_json(b, &r->legs[i]);
		for (size_t i = 0; i < r->nfailed; i++) {
			buf_str(b, b->p[b->n - 1] == '[' ? "{" : ",{");
			json_put_cstr(b, "address", r->failed[i].address);
			json_put_cstr(b, "error", r->failed[i].v.text);
			code_json(b, &r->failed[i].v);
			buf_char(b, '}');
		}
		buf_char(b, ']');
		json_put_cstr(b, "errors_to", r->errors_to);
		json_put_cstr(b, "moderator", r->moderator);
	}
	buf_str(b, "}\n");
}

/* ---- for people --------------------------------------------------------------------------- */

static void
result_text(struct buf *b, const struct expand_result *r)
{
	struct buf esc = { 0 };

	verdict_esc_write(&esc, &r->v);
	if (r->v.kind != OK)
		buf_printf(b, "error: %s (" SFMT ")\n", r->v.text, SARG(buf_get(&esc)));
	buf_fini(&esc);
	for (size_t i = 0; i < r->nlegs; i++) {
		const struct expand_leg *leg = &r->legs[i];

		buf_printf(b, "%s: channel %s host %s%s%s%s%s\n", leg->address, leg->channel,
		    leg->host, leg->sender ? " sender " : "", leg->sender ? leg->sender : "",
		    leg->hold ? " held: " : "", leg->hold ? leg->hold : "");
		if (leg->edit)
			buf_printf(b, "  changed by %s%s%s\n", leg->edit->list,
			    leg->edit->closed ? ", with the password of " : "",
			    leg->edit->closed ? password_of(leg) : "");
	}
	for (size_t i = 0; i < r->nfailed && r->v.kind == OK; i++)
		buf_printf(b, "%s: %s\n", r->failed[i].address, r->failed[i].v.text);
	if (r->errors_to)
		buf_printf(b, "errors to: %s\n", r->errors_to);
	if (r->moderator)
		buf_printf(b, "to the moderators of: %s\n", r->moderator);
}

/* ---- asking ------------------------------------------------------------------------------- */

static void
expanded(void *arg, const struct expand_result *r)
{
	(void)arg;
	if (mtatest.json)
		result_json(&mtatest.out, r);
	else
		result_text(&mtatest.out, r);
	asking.refused = asking.refused || r->v.kind != OK;
	loop_stop(&asking.loop);
}

static int
expand_one(const char *text)
{
	struct expand_query q = { .source = mtatest.source ? mtatest.source : "tcp_local",
		.sender = slice_str(mtatest.from),
		.auth = slice_str(mtatest.auth) };
	struct address address;
	struct arena a = { 0 };
	const char *why;

	if (mtatest.size && slice_u64(slice_str(mtatest.size), INT64_MAX, &q.size) < 0) {
		fprintf(stderr, "mtatest: --size %s: expected a number of octets\n", mtatest.size);
		return EX_USAGE;
	}
	if (address_parse(slice_str(text), ADDRESS_UTF8 | ADDRESS_BARE, &a, &address, &why) < 0) {
		fprintf(stderr, "mtatest: %s: %s\n", text, why);
		return EX_USAGE;
	}
	if (address.domain.n == 0)
		address.domain = slice_str(shared.default_domain);
	q.address = &address;
	expand_start(asking.expand, &q, &asking.op, expanded, NULL);
	loop_run(&asking.loop);
	arena_reset(&a);
	return 0;
}

int
mtatest_expand(int argc, char **argv)
{
	struct expand_params p;
	int code = 0;

	if (argc == 0)
		return -1;
	if (!mtatest_load_channels())
		return EX_CONFIG;
	loop_init(&asking.loop);
	asking.dir = dir_new(&asking.loop);
	p = (struct expand_params){ .channels = mtatest.channels,
		.directory = expand_directory(asking.dir) };
	asking.expand = expand_new(&asking.loop, &p);
	for (int i = 0; i < argc && code == 0; i++)
		code = expand_one(argv[i]);
	expand_free(&asking.expand);
	dir_free(&asking.dir);
	loop_fini(&asking.loop);
	return code ? code : asking.refused ? EXIT_NO : 0;
}
