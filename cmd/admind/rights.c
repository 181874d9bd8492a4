/* admind/rights.c: which roles have which verb: for what screens show.
 *
 * Told with the table of verbs (GET /api/v1/verbs) by route.c.  Owns nothing, and nothing can fail.  It decides
 * nothing: slapd does, by the rules of conf/ldif/slapd.conf.  Must stay true: it says what these say, which
 * t/flow/console.t tries with each role, verb by verb. */
#include "base/json.h"
#include "admind.h"

enum { TOP = 1, PROVIDER = 2, ORGANISATION = 4, HELPDESK = 8 };
#define ADMINS (TOP | PROVIDER | ORGANISATION)
#define ALL    (ADMINS | HELPDESK)

static const struct {
	const char *word;
	unsigned role;
} roles[] = { { "top", TOP }, { "provider", PROVIDER }, { "organisation", ORGANISATION },
	{ "helpdesk", HELPDESK } };

/* The first row that fits; "*": any verb. */
static const struct {
	const char *object, *verb;
	unsigned roles;
} rights[] = {
	{ "provider", "list", TOP | PROVIDER },
	{ "provider", "*", TOP },
	{ "org", "show", ALL },
	{ "org", "list", ALL },
	{ "org", "modify", ADMINS },
	{ "org", "readdress", ADMINS },
	{ "org", "*", TOP | PROVIDER },
	{ "user", "show", ALL },
	{ "user", "list", ALL },
	{ "user", "password", ALL },
	{ "user", "place", ALL },
	{ "user", "move", TOP | PROVIDER },
	{ "user", "*", ADMINS },
	{ "group", "show", ALL },
	{ "group", "list", ALL },
	{ "group", "*", ADMINS },
	{ "package", "list", ALL },
	{ "package", "apply", ADMINS },
	{ "package", "*", TOP },
	{ "role", "list", ALL },
	{ "role", "*", ADMINS },
	{ "job", "*", ADMINS },
	{ "check", "*", ALL },
	{ "audit", "*", ADMINS },
	{ "init", "*", TOP },
	{ "delivery", "list", ADMINS },
	{ "host", "*", TOP },
	{ "queue", "*", TOP },
	{ "factor", "reset", ALL },
	{ "app", "list", ALL },
	{ "app", "revoke", ALL },
};

/* Settings that a role cannot give with a verb that it has otherwise. */
static const struct {
	const char *object, *verb, *settings;
	unsigned roles;
} closed[] = {
	{ "org", "modify",
	    "alias login status quota messages maxsize services smarthost routing-host host users "
	    "default-package package",
	    ORGANISATION },
	{ "user", "create", "routing", ORGANISATION },
	{ "user", "modify", "host partition routing", ORGANISATION },
};

static unsigned
rights_of(const struct admin_verb *v)
{
	for (size_t i = 0; i < NELEM(rights); i++)
		if (strcmp(rights[i].object, v->object) == 0 &&
		    (*rights[i].verb == '*' || strcmp(rights[i].verb, v->verb) == 0))
			return rights[i].roles;
	return 0;
}

static void
rights_words(struct buf *b, struct slice words)
{
	struct slice word;

	buf_char(b, '[');
	while (slice_word(&words, &word)) {
		json_element(b);
		json_str(b, word);
	}
	buf_char(b, ']');
}

static void
rights_closed(const struct admin_verb *v, struct buf *b)
{
	for (size_t i = 0; i < NELEM(closed); i++) {
		if (strcmp(closed[i].object, v->object) != 0 ||
		    strcmp(closed[i].verb, v->verb) != 0)
			continue;
		json_key(b, "closed");
		buf_char(b, '{');
		for (size_t k = 0; k < NELEM(roles); k++) {
			if (!(closed[i].roles & roles[k].role))
				continue;
			json_key(b, roles[k].word);
			rights_words(b, slice_str(closed[i].settings));
		}
		buf_char(b, '}');
	}
}

void
admind_rights_put(const struct admin_verb *v, struct buf *b)
{
	unsigned mask = rights_of(v);

	json_key(b, "roles");
	buf_char(b, '[');
	for (size_t i = 0; i < NELEM(roles); i++) {
		if (!(mask & roles[i].role))
			continue;
		json_element(b);
		json_str(b, slice_str(roles[i].word));
	}
	buf_char(b, ']');
	rights_closed(v, b);
}
