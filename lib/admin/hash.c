/* hash.c: hashes of passwords that come from another system, in the words of slapd.
 *
 * Called by field-value.c for the setting `hash`.  Owns nothing.  Can fail: a scheme that slapd could not check, with
 * which nobody would ever get in, what cannot be a hash of its scheme, and one that takes too long to check.  Must stay true: a password itself is
 * not taken here, whatever it is called, for it would lie in the directory as it is; slapd hashes those (RFC 3062).
 * Dovecot's names: its doc "Password Schemes"; slapd's: slapd.conf(5) password-hash, slapo of pw-sha2 and argon2. */
#include "admin/admin-impl.h"
#include "base/base64.h"

#define HASH_MOST 512 /* octets */

/* clang-format off */
static const struct scheme {
	const char *name, *slapd;
	size_t digest;   /* octets, of base64; 0: crypt(3) and its like */
	bool salted;
	const char *begins; /* crypt: with this, or anything */
} schemes[] = {
	{ "CRYPT",        "CRYPT",   0,  false, "" },
	{ "SHA512-CRYPT", "CRYPT",   0,  false, "$6$" },
	{ "SHA256-CRYPT", "CRYPT",   0,  false, "$5$" },
	{ "MD5-CRYPT",    "CRYPT",   0,  false, "$1$" },
	{ "BLF-CRYPT",    "CRYPT",   0,  false, "$2" },
	{ "DES-CRYPT",    "CRYPT",   0,  false, "" },
	{ "ARGON2",       "ARGON2",  0,  false, "$argon2" },
	{ "ARGON2I",      "ARGON2",  0,  false, "$argon2i$" },
	{ "ARGON2ID",     "ARGON2",  0,  false, "$argon2id$" },
	{ "SSHA",         "SSHA",    20, true,  NULL },
	{ "SHA",          "SHA",     20, false, NULL },
	{ "SHA1",         "SHA",     20, false, NULL },
	{ "SMD5",         "SMD5",    16, true,  NULL },
	{ "MD5",          "MD5",     16, false, NULL },
	{ "LDAP-MD5",     "MD5",     16, false, NULL },
	{ "SSHA256",      "SSHA256", 32, true,  NULL },
	{ "SHA256",       "SHA256",  32, false, NULL },
	{ "SSHA384",      "SSHA384", 48, true,  NULL },
	{ "SHA384",       "SHA384",  48, false, NULL },
	{ "SSHA512",      "SSHA512", 64, true,  NULL },
	{ "SHA512",       "SHA512",  64, false, NULL },
};
/* clang-format on */

/* "{NAME}rest"; what begins with $ is crypt(3)'s.  False: it has no scheme. */
static bool
hash_cut(struct slice in, struct slice *name, struct slice *rest)
{
	size_t end = slice_find(in, '}');

	*rest = in;
	*name = slice_starts(in, S("$argon2")) ? S("ARGON2") : S("CRYPT");
	if (slice_starts(in, S("$")))
		return true;
	if (in.n == 0 || in.p[0] != '{' || end == in.n)
		return false;
	*name = slice_sub(in, 1, end - 1);
	*rest = slice_from(in, end + 1);
	if (slice_istarts(*rest, S("$1$")) && slice_ieq(*name, S("MD5")))
		*name = S("MD5-CRYPT"); /* Dovecot's MD5 */
	if (name->n > 4 && slice_ieq(slice_from(*name, name->n - 4), S(".B64")))
		*name = slice_sub(*name, 0, name->n - 4); /* as it is by itself */
	return true;
}

/* ---- what a check costs ------------------------------------------------------------------------------ */

#define COST_ROUNDS   1000000   /* of SHA: half a second */
#define COST_BLOWFISH 14        /* 2^14 rounds: a second */
#define COST_ARGON    (1 << 20) /* KiB times passes */
#define COST_MEMORY   (1 << 18) /* KiB */

/* The number behind `name`, which ends at a comma or $; dflt where there is none, UINT64_MAX where it is no number. */
static uint64_t
cost_number(struct slice data, const char *name, uint64_t dflt)
{
	size_t at = slice_find_str(data, slice_str(name)), n = 0;
	struct slice s = slice_from(data, at + strlen(name));
	uint64_t v;

	if (at >= data.n)
		return dflt;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n < s.n && slice_u64(slice_sub(s, 0, n), UINT32_MAX, &v) == 0 ? v : UINT64_MAX;
}

static bool
cost_argon(struct slice data)
{
	uint64_t memory = cost_number(data, "$m=", UINT64_MAX),
		 passes = cost_number(data, ",t=", UINT64_MAX),
		 lanes = cost_number(data, ",p=", UINT64_MAX);

	return memory <= COST_MEMORY && passes <= COST_ARGON && memory * passes <= COST_ARGON &&
	    lanes <= 16;
}

/* Each login and each guess of anybody pays it, at a server that answers others meanwhile with few threads: a
 * method whose cost we cannot read is none for us. */
static bool
cost_bearable(struct slice data)
{
	if (data.p[0] != '$' || slice_starts(data, S("$1$")))
		return true; /* fixed */
	if (slice_starts(data, S("$argon2")))
		return cost_argon(data);
	if (slice_starts(data, S("$5$")) || slice_starts(data, S("$6$")))
		return !slice_starts(slice_from(data, 3), S("rounds=")) ||
		    cost_number(data, "$rounds=", UINT64_MAX) <= COST_ROUNDS;
	if (slice_starts(data, S("$2")) && data.n > 7 && data.p[3] == '$')
		return cost_number(slice_from(data, 3), "$", UINT64_MAX) <= COST_BLOWFISH;
	/* yescrypt as crypt(5) makes it by itself: $y$j5T$ to $y$jCT$ */
	return slice_starts(data, S("$y$j")) && data.n > 7 &&
	    ((data.p[4] >= '5' && data.p[4] <= '9') || (data.p[4] >= 'A' && data.p[4] <= 'C')) &&
	    slice_starts(slice_from(data, 5), S("T$"));
}

static bool
hash_good(const struct scheme *s, struct slice data)
{
	struct buf b = { 0 };
	bool good;

	if (!s->digest) {
		/* DES has 13 characters, with the salt. */
		for (size_t i = 0; i < data.n; i++)
			if (data.p[i] <= ' ' || data.p[i] >= 0x7f || strchr("{}:*!\\", data.p[i]))
				return false;
		return data.n >= 13 && slice_starts(data, slice_str(s->begins)) &&
		    (data.p[0] == '$' || data.n == 13) && cost_bearable(data);
	}
	good = base64_parse(&b, data) == 0 &&
	    (s->salted ? b.n > s->digest && b.n <= s->digest + 64 : b.n == s->digest);
	buf_fini(&b);
	return good;
}

const char *
admin_hash_value(struct arena *m, struct slice in, struct slice *out)
{
	struct slice name, rest;

	if (in.n > HASH_MOST || !hash_cut(in, &name, &rest))
		return "{SCHEME} and a hash are expected";
	for (size_t i = 0; i < NELEM(schemes); i++) {
		if (!slice_ieq(name, slice_str(schemes[i].name)))
			continue;
		if (!hash_good(&schemes[i], rest))
			return "this is no hash of its scheme";
		*out = slice_str(arena_printf(m, "{%s}" SFMT, schemes[i].slapd, SARG(rest)));
		return NULL;
	}
	return "slapd knows no such scheme; a password itself is given as password";
}
