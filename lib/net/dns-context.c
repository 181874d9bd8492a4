/* net/dns-context.c: see dns-impl.h: a context of libunbound's, from its settings to its end.
 *
 * Owns libunbound's thread and cache; dns.c asks through it.  Fails on settings and files that
 * libunbound refuses; then there is no context.  Must stay true: a context is deleted from the loop
 * and never below its own ub_process, so the end waits for the watch to be closed. */
#include "net/dns-impl.h"

#include <stdlib.h>
#include <sys/stat.h>
#include "base/mem.h"

/* ---- settings ---------------------------------------------------------------------------- */

/* zone=ip@port ...; libunbound answers names below "test." itself unless told not to.  Telling
 * it finalises the context, so that comes in a second pass. */
static int
add_stubs(struct ub_ctx *ctx, struct slice list, bool transparent)
{
	struct slice word, zone;

	while (slice_word(&list, &word)) {
		char name[300], addr[100];
		int rc;

		if (!slice_cut(&word, '=', &zone) || word.n == 0)
			return UB_SYNTAX;
		slice_cstr(zone, name, sizeof(name));
		slice_cstr(word, addr, sizeof(addr));
		rc = transparent ? ub_ctx_zone_add(ctx, name, "transparent") :
				   ub_ctx_set_stub(ctx, name, addr, 0);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
add_resolvers(struct ub_ctx *ctx, const char *resolvers)
{
	struct slice list = slice_str(resolvers), word;
	char addr[100];
	int rc = 0;

	if (!resolvers) {
		(void)ub_ctx_resolvconf(ctx, NULL); /* without one it asks from the root on */
		return 0;
	}
	while (rc == 0 && slice_word(&list, &word))
		rc = ub_ctx_set_fwd(ctx, slice_cstr(word, addr, sizeof(addr)));
	return rc;
}

/* Options come first: the other calls and the first question fix them. */
static int
dns_configure(struct ub_ctx *ctx, const struct dns_params *p)
{
	/* clang-format off */
	static const char *const options[][2] = {
		{ "msg-cache-size:", "16m" }, { "rrset-cache-size:", "32m" },
		{ "do-not-query-localhost:", "no" },
	};
	/* clang-format on */
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < NELEM(options); i++)
		rc = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
	if (rc == 0)
		rc = ub_ctx_async(ctx, 1);
	if (rc == 0)
		rc = add_resolvers(ctx, p->resolvers);
	if (rc == 0 && (ub_ctx_hosts(ctx, p->hosts) != 0 && p->hosts))
		rc = UB_READFILE;
	if (rc == 0 && p->anchor)
		rc = ub_ctx_add_ta_file(ctx, p->anchor);
	if (rc == 0 && p->stubs)
		rc = add_stubs(ctx, slice_str(p->stubs), false);
	if (rc == 0 && p->stubs)
		rc = add_stubs(ctx, slice_str(p->stubs), true);
	return rc;
}

/* ---- files ------------------------------------------------------------------------------- */

static struct dns_stamp
stamp_of(const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return (struct dns_stamp){ 0 };
	return (struct dns_stamp){ (uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
		(uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec };
}

static bool
stamp_same(const struct dns_stamp *a, const struct dns_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	    a->changed_ns == b->changed_ns;
}

static void
stamp_all(struct dns_context *c, const struct dns_params *p)
{
	c->hosts = stamp_of(p->hosts ? p->hosts : "/etc/hosts");
	c->resolvers = stamp_of(p->resolvers ? NULL : "/etc/resolv.conf");
	c->anchor = stamp_of(p->anchor);
}

bool
dns_context_changed(struct dns_context *c, const struct dns_params *p)
{
	struct dns_context was = *c;

	stamp_all(c, p);
	return !stamp_same(&c->hosts, &was.hosts) || !stamp_same(&c->resolvers, &was.resolvers) ||
	    !stamp_same(&c->anchor, &was.anchor);
}

/* ---- life -------------------------------------------------------------------------------- */

static void
dns_context_on_ready(struct watch *w, bool r UNUSED, bool wr UNUSED, int error UNUSED)
{
	ub_process(CONTAINER(w, struct dns_context, watch)->ub);
}

struct dns_context *
dns_context_new(struct loop *l, const struct dns_params *p, char **why)
{
	struct dns_context *c = mem_new(sizeof(*c));
	int rc;

	*why = NULL;
	stamp_all(c, p); /* before they are read: what changes meanwhile is seen later */
	c->ub = ub_ctx_create();
	rc = c->ub ? dns_configure(c->ub, p) : UB_NOMEM;
	if (rc == 0 && watch_init(&c->watch, l, ub_fd(c->ub), dns_context_on_ready) < 0)
		rc = UB_PIPE;
	if (rc != 0) {
		*why = mem_printf("libunbound: %s", ub_strerror(rc));
		if (c->ub)
			ub_ctx_delete(c->ub);
		mem_free(&c);
		return NULL;
	}
	watch_want(&c->watch, true, false);
	return c;
}

static void
dns_context_on_closed(struct watch *w)
{
	struct dns_context *c = CONTAINER(w, struct dns_context, watch);

	ub_ctx_delete(c->ub);
	free(c);
}

static void
close_unless_asked(struct dns_context *c)
{
	if (c->old && c->asked == 0)
		watch_close(&c->watch, dns_context_on_closed);
}

void
dns_context_leave(struct dns_context **cp)
{
	struct dns_context *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	c->old = true;
	close_unless_asked(c);
}

void
dns_context_ask(struct dns_context *c)
{
	c->asked++;
}

void
dns_context_answered(struct dns_context *c)
{
	c->asked--;
	close_unless_asked(c);
}
