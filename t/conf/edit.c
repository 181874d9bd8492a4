/* One key set in the text of a file: where it comes to stand, and that nothing else has moved. */
#include "../tap.h"
#include "conf/edit.h"

static const char text[] = "# what this is\n"
			   "# about\n"
			   "\n"
			   "hostname = mail.example\t# ours\n"
			   "log_level=info\n"
			   "empty =   # nothing\n"
			   "list = a \\\n"
			   "   b # of two lines\n"
			   "\n"
			   "# limits\n"
			   "[limit]\n"
			   "clients = 10\n"
			   "  per_user = \"5 # 6\"  # a quote\n"
			   "\n"
			   "# where\n"
			   "[listen mx]\n"
			   "address = *:25\n"
			   "tls = off\n"
			   "\n"
			   "[listen b]\n"
			   "address = *:26\n";

/* What changes: the line that goes, "" for none, and what is there instead. */
static void
edits(const char *name, const char *value, const char *old, const char *new, int line)
{
	struct conf_name n;
	struct buf out = { 0 }, want = { 0 };
	const char *at = strstr(text, old);
	int got;

	ok(at && conf_name_parse(slice_str(name), &n) == 0, "%s", name);
	if (!at)
		return;
	buf_add(&want, text, (size_t)(at - text));
	buf_str(&want, new);
	buf_str(&want, at + strlen(old));
	got = conf_edit(slice_str(text), &n, value ? slice_str(value) : slice(NULL, 0), &out);
	is(buf_cstr(&out), buf_cstr(&want), "%s = %s: that line and no other", name,
	    value ? value : "(gone)");
	ok(got == line, "it stands on line %d (%d)", line, got);
	buf_fini(&out);
	buf_fini(&want);
}

static void
whole(const char *before, const char *name, const char *value, const char *after)
{
	struct conf_name n;
	struct buf out = { 0 };

	ok(conf_name_parse(slice_str(name), &n) == 0, "%s", name);
	(void)conf_edit(slice_str(before), &n, slice_str(value), &out);
	is(buf_cstr(&out), after, "%s in %zu octets", name, strlen(before));
	buf_fini(&out);
}

int
main(void)
{
	static const char *const bad[] = { "", "a b", "[listen]", "[listen mx]", "[listen mx]tls",
		"[listen].tls", "[listen mx].", "[listen mx.tls", "a=b", "a\nb",
		"[listen a\nb].c" };
	struct conf_name n;

	for (size_t i = 0; i < NELEM(bad); i++)
		ok(conf_name_parse(slice_str(bad[i]), &n) < 0, "no name (%zu)", i);
	edits("hostname", "mx.example", "mail.example\t", "mx.example\t", 4);
	edits("log_level", "debug", "=info", "=debug", 5);
	edits("empty", "x", "empty =   #", "empty = x   #", 6);
	edits("list", "c", "a \\\n   b #", "c #", 7);
	edits("limit.clients", "20", "clients = 10", "clients = 20", 12);
	edits("limit.per_user", "7", "\"5 # 6\"", "7", 13);
	edits("limit.per_user", "7 # 8", "\"5 # 6\"", "\"7 # 8\"", 13);
	edits("limit.new", "1", "a quote\n", "a quote\nnew = 1\n", 14);
	edits("other.new", "1", "of two lines\n", "of two lines\nother.new = 1\n", 9);
	edits("store", "", "of two lines\n", "of two lines\nstore = \"\"\n", 9);
	edits("[listen mx].tls", "implicit", "tls = off", "tls = implicit", 18);
	edits("[listen b].tls", "off", "*:26\n", "*:26\ntls = off\n", 22);
	edits("[listen b].address", "*:27", "*:26", "*:27", 21);
	edits("[listen c].address", "*:28", "*:26\n", "*:26\n\n[listen c]\naddress = *:28\n", 24);
	edits("log_level", NULL, "log_level=info\n", "", 0);
	edits("limit.clients", NULL, "clients = 10\n", "", 0);
	edits("nothing", NULL, "tls = off", "tls = off", 0);
	whole("", "a", "b", "a = b\n");
	whole("x = y", "a", "b", "x = y\na = b\n");
	whole("", "[listen mx].address", "*:25", "[listen mx]\naddress = *:25\n");
	whole("# only this\n\n[s]\nk = v\n", "a", "b \"c\"",
	    "# only this\na = \"b \\\"c\\\"\"\n\n[s]\nk = v\n");
	whole("limit.clients = 1\n", "limit.clients", "2", "limit.clients = 2\n");
	whole("[limit]\n", "limit.clients", "2", "[limit]\nclients = 2\n");
	whole("key =# why\n", "key", "v", "key =v # why\n");
	whole("key =\n", "key", "v", "key =v\n");
	whole("\xef\xbb\xbf[limit]\nclients = 1\n", "limit.clients", "2",
	    "\xef\xbb\xbf[limit]\nclients = 2\n");
	return done();
}
