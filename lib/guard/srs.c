/* guard/srs.c: see guard/srs.h.
 *
 * Nothing fails but what a stranger has made up: without the hash anybody could send to anywhere by a local part of ours.
 * The hash is of lower-case text, for some hosts change the case of a local part; four characters of it are what all who
 * have this scheme use, and with a day in it that is enough for an address that leads to one other.  What must stay true:
 * what postsrsd with the same secret makes is taken, and it takes ours. */
#include "guard/srs.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "mail/address.h"

#define HASH_LEN 4
#define DAY      86400
#define DAYS     1024 /* that two letters count */
#define TAG_LEN  5    /* "SRS0=": the mark behind the number may be + or -, too */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static void
srs_hash(char out[HASH_LEN], struct slice secret, const struct slice *parts, size_t n)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	struct buf text = { 0 }, coded = { 0 };
	unsigned len = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < parts[i].n; k++)
			buf_char(&text, ascii_lower(parts[i].p[k]));
	if (!HMAC(EVP_sha1(), secret.p, (int)secret.n,
		(const unsigned char *)(text.p ? text.p : ""), text.n, sum, &len))
		memset(sum, 0, sizeof(sum));
	base64_write(&coded, slice((const char *)sum, 20));
	memcpy(out, coded.p, HASH_LEN);
	buf_fini(&text);
	buf_fini(&coded);
}

static bool
srs_hash_good(struct slice hash, char *const *secrets, const struct slice *parts, size_t n)
{
	char want[HASH_LEN];

	for (char *const *s = secrets; s && *s; s++) {
		srs_hash(want, slice_str(*s), parts, n);
		if (slice_ieq(hash, slice(want, HASH_LEN)))
			return true;
	}
	return false;
}

bool
guard_srs_is(struct slice local)
{
	return local.n > TAG_LEN && slice_istarts(local, S("SRS")) &&
	    (local.p[3] == '0' || local.p[3] == '1') &&
	    (local.p[4] == '=' || local.p[4] == '+' || local.p[4] == '-');
}

/* ---- forward ----------------------------------------------------------------------------- */

/* SRS1: the first forwarder keeps his own hash; `rest` begins with the mark behind his SRS0. */
static void
srs_guard(struct buf *out, struct slice host, struct slice rest, struct slice secret)
{
	const struct slice parts[] = { host, rest };
	char hash[HASH_LEN];

	srs_hash(hash, secret, parts, NELEM(parts));
	buf_printf(out, "SRS1=%.*s=" SFMT "=" SFMT, HASH_LEN, hash, SARG(host), SARG(rest));
}

bool
guard_srs_forward(struct buf *out, struct slice local, struct slice domain, struct slice secret,
    int64_t now)
{
	uint64_t day = (uint64_t)(now / DAY) % DAYS;
	const char stamp[2] = { letters[day >> 5], letters[day & 31] };
	const struct slice parts[] = { slice(stamp, 2), domain, local };
	size_t before = out->n;
	struct slice rest = local, host;
	char hash[HASH_LEN];

	if (guard_srs_is(local) && local.p[3] == '1') {
		rest = slice_from(local, TAG_LEN);
		/* Another one's hash, the first forwarder, and what he made. */
		if (!slice_cut(&rest, '=', &host) || !slice_cut(&rest, '=', &host) || rest.n == 0)
			return false;
		srs_guard(out, host, rest, secret);
	} else if (guard_srs_is(local)) {
		srs_guard(out, domain, slice_from(local, TAG_LEN - 1), secret);
	} else {
		srs_hash(hash, secret, parts, NELEM(parts));
		buf_printf(out, "SRS0=%.*s=%.2s=" SFMT "=" SFMT, HASH_LEN, hash, stamp,
		    SARG(domain), SARG(local));
	}
	if (out->n - before <= ADDRESS_LOCAL_MAX)
		return true;
	out->n = before;
	return false;
}

/* ---- back -------------------------------------------------------------------------------- */

static bool
srs_day_good(struct slice stamp, int64_t now)
{
	uint64_t then = 0, today = (uint64_t)(now / DAY) % DAYS;

	if (stamp.n != 2)
		return false;
	for (size_t i = 0; i < 2; i++) {
		const char *at = memchr(letters, ascii_upper(stamp.p[i]), sizeof(letters) - 1);

		if (!at)
			return false;
		then = then << 5 | (uint64_t)(at - letters);
	}
	return (today + DAYS - then) % DAYS <= GUARD_SRS_DAYS;
}

bool
guard_srs_back(struct buf *out, struct slice local, char *const *secrets, int64_t now)
{
	struct slice rest = slice_from(local, TAG_LEN), hash, stamp, host;

	if (!guard_srs_is(local) || !slice_cut(&rest, '=', &hash))
		return false;
	if (local.p[3] == '1') {
		if (!slice_cut(&rest, '=', &host) || host.n == 0 || rest.n < 2 ||
		    !srs_hash_good(hash, secrets, (const struct slice[]){ host, rest }, 2))
			return false;
		buf_printf(out, "SRS0" SFMT "@" SFMT, SARG(rest), SARG(host));
		return true;
	}
	if (!slice_cut(&rest, '=', &stamp) || !slice_cut(&rest, '=', &host) || host.n == 0 ||
	    rest.n == 0 || !srs_day_good(stamp, now) ||
	    !srs_hash_good(hash, secrets, (const struct slice[]){ stamp, host, rest }, 3))
		return false;
	buf_printf(out, SFMT "@" SFMT, SARG(rest), SARG(host));
	return true;
}
