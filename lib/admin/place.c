/* place.c: the store where a new user's mailbox is to be (place.policy of admind.conf(5)).
 *
 * Called for `user create` without a host, and by `user place`, which only says what that would be.  Owns
 * nothing.  Can fail as searches do.  Must stay true: the same question has the same answer while the
 * directory is the same, whoever asks; an organisation's own hosts go before the package's, and these before those of the file. */
#include "admin/admin-impl.h"
#include "admin/config.h"

struct hosts {
	struct slice v[64];
	size_t n;
};

static void
hosts_of(const struct admin_org *org, const struct dir_entry *package, struct hosts *h)
{
	const struct dir_attribute *own = admin_attr(org->entry, "tiermailMailHost");

	if (!own && package)
		own = admin_attr(package, "tiermailMailHost");

	for (size_t i = 0; own && i < own->n && h->n < NELEM(h->v); i++)
		h->v[h->n++] = own->values[i];
	for (size_t i = 0;
	     !own && admin_conf.place_hosts && admin_conf.place_hosts[i] && h->n < NELEM(h->v); i++)
		h->v[h->n++] = slice_str(admin_conf.place_hosts[i]);
}

/* That with the fewest users, of the entries that this person may see; the first of equal ones. */
static bool
place_by_users(struct admin *a, const struct admin_org *org, const struct hosts *h,
    struct slice *host)
{
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < h->n; i++) {
		struct buf filter = { 0 };
		size_t n;
		bool good;

		dir_filter_equal(&filter, "mailHost", h->v[i], S(""));
		good = admin_count(a, org->dn, buf_cstr(&filter), &n);
		buf_fini(&filter);
		if (!good)
			return false;
		if (n < least) {
			least = n;
			*host = h->v[i];
		}
	}
	return true;
}

/* A bytewise sum that every tool can compute again. */
static size_t
place_sum(struct slice s)
{
	size_t sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum = sum * 31 + (unsigned char)ascii_lower(s.p[i]);
	return sum;
}

static size_t
place_letter(struct slice uid, size_t n)
{
	char c = uid.n ? ascii_lower(uid.p[0]) : 'a';

	return c >= 'a' && c <= 'z' ? (size_t)(c - 'a') * n / 26 : n - 1;
}

static void
place_by_attribute(const struct admin_org *org, struct slice *host)
{
	const char *name = admin_conf.place_attribute;
	struct slice value = name ? admin_value(org->entry, name) : S("");

	for (size_t i = 0; admin_conf.place_map && admin_conf.place_map[i]; i++) {
		struct slice rule = slice_str(admin_conf.place_map[i]), from;

		if (!slice_cut(&rule, '=', &from))
			continue;
		if (slice_ieq(from, value)) {
			*host = rule;
			return;
		}
		if (slice_eq(from, S("*")))
			*host = rule;
	}
}

bool
admin_place(struct admin *a, const struct admin_org *org, struct slice uid, struct slice package,
    struct slice *host)
{
	const struct dir_entry *given = NULL;
	struct hosts h = { .n = 0 };

	*host = S("");
	if (package.n && !admin_find_package(a, package, &given))
		return false;
	hosts_of(org, given, &h);
	switch ((enum admin_policy)admin_conf.place_policy) {
	case PLACE_NONE: return true;
	case PLACE_ATTRIBUTE: place_by_attribute(org, host); return true;
	case PLACE_USERS: return place_by_users(a, org, &h, host);
	case PLACE_LETTER:
		if (h.n)
			*host = h.v[place_letter(uid, h.n)];
		return true;
	case PLACE_ORGANISATION:
		if (h.n)
			*host = h.v[place_sum(org->domain) % h.n];
		return true;
	}
	return true;
}
