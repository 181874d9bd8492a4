/* rules.c: mta.cnf into rules and channels: see rules.h.
 *
 * Called at start, at each reload and by the tools.  A rule is a pattern, white space and a template;
 * rules of one pattern form a chain in the file's order, and the pattern in lower case is its key.  What
 * fails is told with file and line, all of it in one run, and there is no configuration then.  Must stay
 * true: nothing of a compiled configuration is changed after it was handed out, as several threads may
 * rewrite by it. */
#include "base/mem.h"
#include "base/must.h"
#include "mta/rules-impl.h"

struct loader {
	struct mta_conf *c;
	struct mta_notes *notes;
	struct map last; /* the last rule of each pattern */
};

/* Does the template ask something whose answer may hold parts of its own? */
static bool
is_dynamic(const struct mta_rule_ops *ops)
{
	for (size_t i = 0; i < ops->n; i++)
		if (ops->op[i].code == MTA_RULE_GENERAL || ops->op[i].code == MTA_RULE_MAPPING)
			return true;
	return false;
}

/* The separators of a template, "@", "%@" ..., and whether text or a substitution stands anywhere. */
static bool
template_shape_ok(const struct mta_rule_ops *ops)
{
	char seps[MTA_PARTS_MAX + 1] = "";
	size_t n = 0, parts = 0, errors = 0;

	for (size_t i = 0; i < ops->n; i++) {
		enum mta_rule_op_code code = ops->op[i].code;

		if (code == MTA_RULE_AT || code == MTA_RULE_PERCENT) {
			if (n == MTA_PARTS_MAX)
				return false;
			seps[n++] = code == MTA_RULE_AT ? '@' : '%';
		}
		parts += code < MTA_RULE_CASE && code != MTA_RULE_AT && code != MTA_RULE_PERCENT;
		errors += code == MTA_RULE_ERROR;
	}
	if (n == 0)
		return errors > 0 && parts == 0;
	return strcmp(seps, "@") == 0 || strcmp(seps, "%") == 0 || strcmp(seps, "%@") == 0 ||
	    strcmp(seps, "@@") == 0 || strcmp(seps, "@@@") == 0;
}

/* `*` stands for a whole element, and in front only. */
static bool
pattern_can_match(struct slice p)
{
	size_t bar = slice_rfind(p, '|');
	struct slice rest = bar < p.n ? slice_from(p, bar + 1) : p, label;
	bool plain = false;

	if (rest.n && (rest.p[0] == '$' || rest.p[0] == '['))
		return true;
	while (slice_cut(&rest, '.', &label)) {
		bool star = slice_eq(label, S("*"));

		if ((star && plain) || (!star && slice_find(label, '*') < label.n))
			return false;
		plain |= !star;
	}
	return true;
}

static void
rule_add(struct loader *l, const struct mta_line *at)
{
	struct mta_conf *c = l->c;
	struct mta_rule *r = arena_new(&c->arena, sizeof(*r)), *last;
	struct slice rest = at->text, template = rest;
	const char *why, *warn;

	if (rest.p[0] == ' ' || rest.p[0] == '\t') {
		mta_error(l->notes, at, "expected a rule, its pattern in the first column");
		return;
	}
	if (!slice_word(&rest, &r->pattern) || slice_trim(rest).n == 0) {
		mta_error(l->notes, at, "expected a template behind the pattern " SFMT,
		    SARG(r->pattern));
		return;
	}
	template = slice_trim(rest);
	r->file = at->file;
	r->line = at->line;
	if (mta_rule_template(&c->arena, template, c->hostname, false, &r->ops, &why, &warn) < 0) {
		mta_error(l->notes, at, "template `" SFMT "': %s", SARG(template), why);
		return;
	}
	if (warn)
		mta_warn(l->notes, at, "%s", warn);
	if (!is_dynamic(&r->ops) && !template_shape_ok(&r->ops)) {
		mta_error(l->notes, at,
		    "template `" SFMT "': expected A%%B@C, A@B, A%%B, A@B@C, A@B@C@D "
		    "or $?text",
		    SARG(template));
		return;
	}
	for (size_t i = 0; i < template.n && template.p[i] != '?'; i++)
		if (template.p[i] == ' ' || template.p[i] == '\t') {
			mta_error(l->notes, at, "a template has no blanks but in the text of $?");
			return;
		}
	if (!pattern_can_match(r->pattern))
		mta_warn(l->notes, at,
		    "the pattern " SFMT " matches nothing: `*' stands for a whole "
		    "element, in front",
		    SARG(r->pattern));
	r->key = mta_lower(&c->arena, r->pattern);
	c->nrules++;
	last = map_put(&l->last, r->key, r);
	if (last)
		last->next = r;
	else
		(void)map_put(&c->rules, r->key, r);
}

/* Channels that $M, $N, $Q and $C name and that there are not. */
static void
names_check(struct loader *l)
{
	const struct mta_rule *r;
	size_t at = 0;

	while ((r = map_next(&l->c->rules, &at)))
		for (; r; r = r->next)
			for (size_t i = 0; i < r->ops.n; i++) {
				const struct mta_rule_op *op = &r->ops.op[i];
				struct mta_line where = { .file = r->file, .line = r->line };

				if (op->code == MTA_RULE_CHANNEL &&
				    !mta_channel_named(l->c, op->text))
					mta_warn(l->notes, &where,
					    "there is no channel " SFMT
					    " for $%c to be held against",
					    SARG(op->text), op->c);
			}
}

struct mta_conf *
mta_conf_compile(const char *path, const char *hostname, mta_read_fn *read, void *arg,
    struct mta_notes *notes)
{
	struct mta_conf *c = mem_new(sizeof(*c));
	struct loader l = { .c = c, .notes = notes };
	unsigned before = notes->nerrors;
	const char *why, *warn;
	size_t i = 0;

	c->hostname = hostname ? arena_str(&c->arena, hostname) : NULL;
	mta_text_load(&c->text, path, read, arg, notes);
	for (; i < c->text.n && c->text.lines[i].text.n; i++)
		rule_add(&l, &c->text.lines[i]);
	mta_channels_load(c, i, notes);
	must(mta_rule_template(&c->arena, S(MTA_DOMAIN_FAILURE), NULL, false, &c->domain_failure,
		 &why, &warn) == 0);
	if (!c->local)
		mta_warn(notes, NULL, "%s: there is no channel l: no host is this host", path);
	names_check(&l);
	map_fini(&l.last);
	if (notes->nerrors != before)
		mta_conf_free(&c);
	return c;
}

void
mta_conf_free(struct mta_conf **cp)
{
	struct mta_conf *c = *cp;

	if (!c)
		return;
	map_fini(&c->rules);
	map_fini(&c->names);
	map_fini(&c->hosts);
	mem_release(c->channels);
	mta_text_fini(&c->text);
	arena_reset(&c->arena);
	mem_free(cp);
}

size_t
mta_conf_rules(const struct mta_conf *c)
{
	return c->nrules;
}

static void
print_host(const struct mta_channel_host *h, struct buf *out)
{
	buf_printf(out, "\n%s", h->name);
	if (h->proper || h->via)
		buf_printf(out, " %s", h->proper ? h->proper : h->channel->official);
	if (h->via)
		buf_printf(out, " %s", h->via);
}

void
mta_conf_print(const struct mta_conf *c, struct buf *out)
{
	for (size_t i = 0; i < c->text.n && c->text.lines[i].text.n; i++)
		buf_printf(out, SFMT "\n", SARG(c->text.lines[i].text));
	for (size_t i = 0; i < c->nchannels; i++) {
		const struct mta_channel *ch = c->channels[i];

		buf_printf(out, "\n%s", ch->name);
		mta_keywords_print(ch, out);
		for (size_t k = 0; k < ch->nhosts; k++)
			print_host(&ch->hosts[k], out);
		buf_char(out, '\n');
	}
}
