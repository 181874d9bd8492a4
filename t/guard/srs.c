/* guard/srs.c: senders rewritten and brought back; what postsrsd 1.10 has made with this secret is taken. */
#include "guard/srs.h"

#include "../tap.h"

#define SECRET "tops3cr3t"
#define NOW    1700000000 /* day 19675, 219 of 1024: G3 */
#define LATER  1796077974 /* when postsrsd was asked: JT */

static char secret[] = SECRET, old_secret[] = "an older one", other[] = "another";
static char *secrets[] = { secret, old_secret, NULL }, *wrong[] = { other, NULL };

static const char *
forward_at(const char *local, const char *domain, int64_t now)
{
	static struct buf b;
	bool made;

	buf_clear(&b);
	made = guard_srs_forward(&b, slice_str(local), slice_str(domain), S(SECRET), now);
	return made ? buf_cstr(&b) : "none";
}

static const char *
forward(const char *local, const char *domain)
{
	return forward_at(local, domain, NOW);
}

static const char *
back_at(const char *local, char *const *with, int64_t now)
{
	static struct buf b;

	buf_clear(&b);
	return guard_srs_back(&b, slice_str(local), with, now) ? buf_cstr(&b) : "none";
}

static const char *
back(const char *local)
{
	return back_at(local, secrets, NOW);
}

static void
ages(const char *local)
{
	ok(strcmp(back_at(local, secrets, NOW + 21 * 86400LL), "none") != 0,
	    "good for three weeks");
	is(back_at(local, secrets, NOW + 22 * 86400LL), "none", "and no longer");
	is(back_at(local, secrets, NOW - 86400LL), "none", "none of tomorrow");
	ok(strcmp(back_at(local, secrets, NOW + 1024 * 86400LL), "none") != 0,
	    "two letters count to 1024 days, as ever");
}

int
main(void)
{
	char made[100], changed[100], whole[120];
	struct buf b = { 0 };

	(void)snprintf(made, sizeof(made), "%s", forward("alice", "home.example"));
	ok(strncmp(made, "SRS0=", 5) == 0 && strcmp(made + 9, "=G3=home.example=alice") == 0,
	    "SRS0 of a day: %s", made);
	is(back(made), "alice@home.example", "and back");
	is(back_at(made, wrong, NOW), "none", "another secret");
	ok(guard_srs_forward(&b, S("alice"), S("home.example"), S("an older one"), NOW),
	    "made with the older secret");
	is(back(buf_cstr(&b)), "alice@home.example", "which is still taken");
	for (size_t i = 0; i <= strlen(made); i++)
		changed[i] = ascii_upper(made[i]);
	ok(strcmp(back(changed), "none") != 0, "a host has changed its case");
	(void)snprintf(changed, sizeof(changed), "%s", made);
	changed[strlen(changed) - 1] = 'x';
	is(back(changed), "none", "another local part");
	(void)snprintf(changed, sizeof(changed), "%.9s=G2=home.example=alice", made);
	is(back(changed), "none", "another day");
	ages(made);

	is(forward("a=b", "x=y.example") + 9, "=G3=x=y.example=a=b", "marks of its own");
	(void)snprintf(changed, sizeof(changed), "%s", forward("a=b", "home.example"));
	is(back(changed), "a=b@home.example", "in the local part come back");
	(void)snprintf(changed, sizeof(changed), "%s", forward(made, "first.example"));
	ok(strncmp(changed, "SRS1=", 5) == 0 && strncmp(changed + 9, "=first.example==", 16) == 0,
	    "SRS1 of an SRS0: %s", changed);
	(void)snprintf(whole, sizeof(whole), "%s@first.example", made);
	is(back(changed), whole, "goes back to the first forwarder");
	is(forward(changed, "second.example"), changed,
	    "SRS1 of SRS1 gets a hash of ours and no longer");
	is(forward("a.rather.long.local.part.of.somebody", "and.a.long.domain.example"), "none",
	    "longer than 64 octets");
	for (const char *const *bad = (const char *const[]){ "SRS0=", "SRS0=aaaa", "SRS0=aaaa=G3",
		 "SRS0=aaaa=G3=x", "SRS0=aaaa=G3=x=", "SRS0=aaaa=G3==y", "SRS1=aaaa=x",
		 "SRS1=aaaa=x==", "SRS1=aaaa==", "SRS2=aaaa=G3=x=y", "SRS0aaaa=G3=x=y", "alice", "",
		 NULL };
	     *bad; bad++)
		is(back(*bad), "none", "'%s' is none", *bad);
	is(forward_at("alice", "home.example", LATER), "SRS0=BA6J=JT=home.example=alice",
	    "as postsrsd");
	is(forward_at("a=b", "home.example", LATER), "SRS0=2Yrw=JT=home.example=a=b",
	    "as postsrsd");
	is(forward_at("SRS0=Abcd=G3=home.example=alice", "first.example", LATER),
	    "SRS1=LkQk=first.example==Abcd=G3=home.example=alice", "SRS1 as postsrsd");
	buf_fini(&b);
	return done();
}
