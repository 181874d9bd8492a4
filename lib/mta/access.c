/* access.c: flags and arguments of an access table: see access.h.  Nothing fails; what no flag asks for
 * is part of the text. */
#include "mta/access.h"

/* In the order of the arguments. */
static const struct {
	char flag;
	const char *name;
	size_t at;
} arguments[] = {
	{ 'U', "user", offsetof(struct mta_access, user) },
	{ 'J', "env_from", offsetof(struct mta_access, env_from) },
	{ 'K', "sender", offsetof(struct mta_access, sender) },
	{ 'I', "group", offsetof(struct mta_access, group) },
	{ '<', "log", offsetof(struct mta_access, log_match) },
	{ '>', "log_reject", offsetof(struct mta_access, log_reject) },
	{ 'D', "delay", offsetof(struct mta_access, delay) },
	{ 'T', "tag", offsetof(struct mta_access, tag) },
	{ 'A', "header", offsetof(struct mta_access, header) },
	{ 'G', "convert", offsetof(struct mta_access, convert) },
	{ 'S', "limits", offsetof(struct mta_access, limits) },
	{ 'X', "code", offsetof(struct mta_access, code) },
	{ ',', "spam", offsetof(struct mta_access, spam) },
	{ '\0', "text", offsetof(struct mta_access, text) },
};

/* The first that is set counts. */
static const struct {
	char flag;
	enum mta_access_action action;
} actions[] = {
	{ 'N', MTA_ACCESS_REJECT },
	{ 'F', MTA_ACCESS_REJECT },
	{ 'H', MTA_ACCESS_HOLD },
	{ 'B', MTA_ACCESS_BITBUCKET },
	{ 'V', MTA_ACCESS_DISCARD },
	{ 'Z', MTA_ACCESS_JETTISON },
	{ 'Y', MTA_ACCESS_ALLOW },
};

static struct slice *
slot(struct mta_access *a, size_t i)
{
	return (struct slice *)(void *)((char *)a + arguments[i].at);
}

/* `delay=30`: under its own name, wherever it stands. */
static bool
named(struct mta_access *a, struct slice part)
{
	size_t eq = slice_find(part, '=');

	for (size_t i = 0; eq < part.n && i < NELEM(arguments); i++)
		if (slice_ieq(slice_sub(part, 0, eq), slice_str(arguments[i].name))) {
			*slot(a, i) = slice_from(part, eq + 1);
			return true;
		}
	return false;
}

void
mta_access_decode(struct slice table, const struct mta_mapped *m, struct mta_access *out)
{
	struct slice rest = buf_get(&m->text), part = { NULL, 0 };
	bool port = slice_ieq(table, S("PORT_ACCESS")), have = false, refuses;

	*out = (struct mta_access){ 0 };
	for (size_t i = 0; i < NELEM(actions) && out->action == MTA_ACCESS_NONE; i++)
		if (mta_flags_has(&m->flags, actions[i].flag))
			out->action = actions[i].action;
	refuses = out->action == MTA_ACCESS_REJECT;
	if (port)
		out->action = refuses ? MTA_ACCESS_CLOSE : MTA_ACCESS_ACCEPT;
	for (size_t i = 0; i + 1 < NELEM(arguments); i++) {
		if (!mta_flags_has(&m->flags, arguments[i].flag))
			continue;
		while ((have = slice_cut(&rest, '|', &part)) && named(out, part))
			;
		if (have && !slot(out, i)->p)
			*slot(out, i) = part;
	}
	while (rest.n) { /* the text is the rest, bars and all */
		struct slice ahead = rest;

		if (!slice_cut(&ahead, '|', &part) || !named(out, part))
			break;
		rest = ahead;
	}
	if (rest.n && !out->text.p && refuses)
		out->text = rest;
}

const char *
mta_access_name(enum mta_access_action a)
{
	static const char *const names[] = { [MTA_ACCESS_NONE] = "none",
		[MTA_ACCESS_ACCEPT] = "accept",
		[MTA_ACCESS_CLOSE] = "close",
		[MTA_ACCESS_ALLOW] = "allow",
		[MTA_ACCESS_REJECT] = "reject",
		[MTA_ACCESS_HOLD] = "hold",
		[MTA_ACCESS_BITBUCKET] = "bitbucket",
		[MTA_ACCESS_DISCARD] = "discard",
		[MTA_ACCESS_JETTISON] = "jettison" };

	return names[a];
}

bool
mta_access_argument(const struct mta_access *a, size_t i, const char **name, struct slice *value)
{
	if (i >= NELEM(arguments))
		return false;
	*name = arguments[i].name;
	*value = *(const struct slice *)(const void *)((const char *)a + arguments[i].at);
	return true;
}
