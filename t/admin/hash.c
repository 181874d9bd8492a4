/* Hashes from elsewhere, as slapd has them: names of schemes, and what is none of its scheme. */
#include "admin/admin-impl.h"
#include "../tap.h"

#define MD5_16  "rL0Y20zC+Fzt72VPzMSk2A=="         /* 16 octets */
#define SHA_20  "C+7Hteo/D9vJXQ3UfzxbwnXaijM="     /* 20 */
#define SSHA_24 "VuH6fTvPZOWVxfaZwvaM6Tn2AjQBAgME" /* 20 and a salt of 4 */

static const struct {
	const char *in, *out; /* NULL: refused */
} rows[] = {
	{ "{SSHA}" SSHA_24, "{SSHA}" SSHA_24 },
	{ "{ssha}" SSHA_24, "{SSHA}" SSHA_24 },
	{ "{SSHA.b64}" SSHA_24, "{SSHA}" SSHA_24 },
	{ "{SHA1}" SHA_20, "{SHA}" SHA_20 },
	{ "{LDAP-MD5}" MD5_16, "{MD5}" MD5_16 },
	{ "{SHA512-CRYPT}$6$salt$abcdefghij", "{CRYPT}$6$salt$abcdefghij" },
	{ "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuv", "{CRYPT}$2y$05$abcdefghijklmnopqrstuv" },
	{ "{MD5}$1$salt$abcdefghij", "{CRYPT}$1$salt$abcdefghij" },
	{ "{DES-CRYPT}abcdefghijklm", "{CRYPT}abcdefghijklm" },
	{ "$6$salt$abcdefghij", "{CRYPT}$6$salt$abcdefghij" },
	{ "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA",
	    "{ARGON2}$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA" },
	{ "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA",
	    "{ARGON2}$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA" },
	{ "{PLAIN}secret", NULL },
	{ "{CLEARTEXT}secret", NULL },
	{ "secret", NULL },
	{ "", NULL },
	{ "{}", NULL },
	{ "{SSHA}", NULL },
	{ "{SSHA}" SHA_20, NULL }, /* no salt */
	{ "{SHA}" SSHA_24, NULL }, /* too long */
	{ "{SHA}not base64!", NULL },
	{ "{SSHA.HEX}00112233", NULL },
	{ "{SHA512-CRYPT}$1$salt$abcdefghij", NULL }, /* another scheme's */
	{ "{CRYPT}short", NULL },
	{ "{CRYPT}*LK*", NULL },
	{ "{CRYPT}!!!!!!!!!!!!!", NULL },
	{ "{CRYPT}abcdefghijklmnop", NULL }, /* a word that DES would cut */
	{ "{CRYPT}$6$salt$abc def hij", NULL },
	{ "{SASL}user@realm", NULL },
	/* what a check may cost */
	{ "$6$rounds=656000$salt$abcdefghij", "{CRYPT}$6$rounds=656000$salt$abcdefghij" },
	{ "$6$rounds=999999999$salt$abcdefghij", NULL },
	{ "$5$rounds=1000001$salt$abcdefghij", NULL },
	{ "$5$rounds=99999999999999999999$salt$abcdefghij", NULL },
	{ "$6$rounds=$salt$abcdefghij", NULL },
	{ "$2b$12$abcdefghijklmnopqrstuv", "{CRYPT}$2b$12$abcdefghijklmnopqrstuv" },
	{ "$2b$31$abcdefghijklmnopqrstuv", NULL },
	{ "$2$31$abcdefghijklmnopqrstuv", NULL },
	{ "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdA$aGFzaA", NULL },
	{ "$argon2id$v=19$m=65536,t=1000,p=1$c2FsdA$aGFzaA", NULL },
	{ "$argon2id$v=19$m=65536,t=4294967295,p=1$c2FsdA$aGFzaA", NULL },
	{ "$argon2id$v=19$t=1000,m=65536,p=1$c2FsdA$aGFzaA", NULL },
	{ "$y$j9T$saltsaltsalt$abcdefghij", "{CRYPT}$y$j9T$saltsaltsalt$abcdefghij" },
	{ "$y$jZT$saltsaltsalt$abcdefghij", NULL },
	{ "$7$zzzzzzzzzz$saltsaltsalt$abcdefghij", NULL },
	{ "$sha1$4294967295$salt$abcdefghij", NULL },
};

int
main(void)
{
	struct arena m = { 0 };

	for (size_t i = 0; i < NELEM(rows); i++) {
		struct slice out = S("");
		const char *why = admin_hash_value(&m, slice_str(rows[i].in), &out);

		if (rows[i].out)
			ok(!why && slice_eq(out, slice_str(rows[i].out)), "%s", rows[i].in);
		else
			ok(why, "refused: %s", rows[i].in);
	}
	arena_reset(&m);
	return done();
}
