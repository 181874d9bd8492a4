/* Rewrite rules: the order of look-up, templates, conditions, passes, and what a file must say. */
#include "base/mem.h"
#include "mta/general.h"
#include "mta/rules.h"
#include "../tap.h"
#include "files.h"

/* Channels of most cases. */
#define CHANNELS                                                                                   \
	"\nl\nlocal.siroe.com localhost\n\n"                                                       \
	"tcp_local smtp\nTCP-DAEMON\ntcp_local-daemon\n\n"                                         \
	"tcp_intranet smtp\ntcp_intranet-daemon\nhub.siroe.com\nshort proper.siroe.com\n\n"        \
	"tcp_a smtp norules\na-host\na-daemon\n\n"                                                 \
	"tcp_b smtp\nb-host\nb-daemon\n\n"                                                         \
	"tcp_bang smtp bangoverpercent\nbang-daemon\n\n"                                           \
	"reprocess\nreprocess-daemon\n\n"                                                          \
	"siroenet smtp\nsiroenet\n"

#define MAPPINGS                                                                                   \
	"INTERNAL_IP\n\n  $(192.168.1.0/24)  $Y\n  127.0.0.1  $Y\n  *  $N\n\n"                     \
	"TEMPLATE\n\n  x  $Y$$U%$$H@a-daemon\n  name  $Yfrom-map\n  mute  here\n  away  "          \
	"${away}$Y\n"                                                                              \
	"  later  ${later}$Y\n  rec  $Y$${TEMPLATE,rec}\n  bad  $Y$$Q\n\n"

/* ---- what the rules ask ------------------------------------------------------------------- */

static bool away, later;

static enum mta_answer
general(void *arg, struct slice key, struct buf *value)
{
	static const char *const pairs[][2] = { { "siroe", "$u%eng.siroe.com@siroenet" },
		{ "plain", "new" }, { "nested", "$(plain)" }, { "bad", "$Y" },
		{ "two", "$U@$H@a-host@b-daemon" } };

	(void)arg;
	if (slice_eq(key, S("away")))
		return MTA_TEMP;
	if (slice_eq(key, S("later")))
		return MTA_LATER;
	for (size_t i = 0; i < NELEM(pairs); i++)
		if (slice_ieq(key, slice_str(pairs[i][0]))) {
			buf_str(value, pairs[i][1]);
			return MTA_YES;
		}
	return MTA_NO;
}

static enum mta_answer
local_domain(void *arg, struct slice domain)
{
	(void)arg;
	if (later)
		return MTA_LATER;
	if (away)
		return MTA_TEMP;
	return slice_ieq(domain, S("ours.com")) ? MTA_YES : MTA_NO;
}

static enum mta_answer
url(void *arg, struct slice u, struct buf *value)
{
	(void)arg;
	buf_printf(value, "<" SFMT ">", SARG(u));
	return slice_find_str(u, S("none")) < u.n ? MTA_NO : MTA_YES;
}

static const struct mta_calls calls = { .general = general,
	.local_domain = local_domain,
	.url = url };

/* ---- one address -------------------------------------------------------------------------- */

struct how {
	const char *source, *dest;
	bool header, backward;
};

/* "channel host address", or "class x.y.z text". */
static const char *
rewrite(const struct mta_conf *c, const struct mta_mappings *m, const char *address,
    const struct how *how)
{
	static struct buf got;
	struct mta_query q = { .address = slice_str(address) };
	struct mta_rewritten r;

	if (how)
		q = (struct mta_query){ slice_str(address), slice_str(how->source),
			slice_str(how->dest), how->header, how->backward,
			S("mail.store.siroe.com") };
	mta_rewrite(c, m, &calls, &q, &r);
	buf_clear(&got);
	if (r.result == MTA_RW_OK) {
		buf_printf(&got, "%s " SFMT " " SFMT, r.channel->name, SARG(buf_get(&r.host)),
		    SARG(buf_get(&r.address)));
	} else {
		buf_printf(&got, "%s ", mta_result_name(r.result));
		verdict_esc_write(&got, &r.v);
		buf_printf(&got, " %s", r.v.text);
	}
	mta_rewritten_fini(&r);
	return buf_cstr(&got);
}

static struct mta_conf *
compile(const char *text, struct mta_notes *notes)
{
	struct file files[] = { { "/c", text }, { "/rules", "inc.com $U@a-host\n" },
		{ "/ends", "inc.com $U@a-host\n\n" }, { NULL, NULL } };

	return mta_conf_compile("/c", "local.siroe.com", files_read, files, notes);
}

/* ---- cases ------------------------------------------------------------------------------- */

#define SITE                                                                                       \
	"siroe.com $U@local.siroe.com\n"                                                           \
	"mail.siroe.com $U@local.siroe.com\n"                                                      \
	"old.siroe.com $U%siroe.com\n"                                                             \
	".siroe.com $U%$H$D@tcp_intranet-daemon\n"                                                 \
	".uucp $H!$U@a-host\n"                                                                     \
	"closed.org $U%$D@nowhere$?closed since 1999\n"                                            \
	"[] $E$F${INTERNAL_IP,$L}$U%[$L]@tcp_intranet-daemon\n"                                    \
	". $U%$H@tcp_local-daemon\n"

#define NOCHANNEL "nochannel 5.1.2 no channel takes mail for this host or domain"

static const struct {
	const char *rules, *address, *want, *what;
} cases[] = {
	/* templates (11.4, Table 11-2) */
	{ "a.com $U@a-host\n", "jdoe@a.com", "tcp_a a-host jdoe@a-host", "A@B is A%B@B" },
	{ "c.edu $U%c@b-daemon\n", "jdoe@c.edu", "tcp_b b-daemon jdoe@c", "A%B@C" },
	{ "siroe.com $U%$D@tcp_intranet-daemon\n", "jdoe@siroe.com",
	    "tcp_intranet tcp_intranet-daemon jdoe@siroe.com", "the guide's first rule (8.4)" },
	{ ".removeable $U%$H\n.com $U%$H$D@tcp_local-daemon\n", "jdoe@abc.com.removeable",
	    "tcp_local tcp_local-daemon jdoe@abc.com", "A%B begins anew" },
	{ "com1 $U@com2@siroenet\n", "jdoe@com1", "siroenet siroenet @siroenet:jdoe@com2",
	    "A@B@C is A@B@C@C" },
	{ "com1 $U@com2@b-host@siroenet\n", "jdoe@com1", "siroenet siroenet @b-host:jdoe@com2",
	    "A@B@C@D (11.4.3)" },
	{ ".com $U%$H$D@TCP-DAEMON\n", "jdoe@siroe.com", "tcp_local TCP-DAEMON jdoe@siroe.com",
	    "$H and $D make the whole" },
	/* substitutions */
	{ "siroe.com $0U%new.com@a-host\n", "jdoe+work@siroe.com", "tcp_a a-host jdoe@new.com",
	    "$0U" },
	{ "siroe.com x$1U%new.com@a-host\n", "jdoe+work@siroe.com", "tcp_a a-host x+work@new.com",
	    "$1U carries its +" },
	{ "siroe.com $0U$1U%new.com@a-host\n", "jdoe+work@siroe.com",
	    "tcp_a a-host jdoe+work@new.com", "$0U$1U is $U" },
	{ "siroe.com $0U%x@a-host\n", "jdoe@siroe.com", "tcp_a a-host jdoe@x", "no subaddress" },
	{ "host.siroe.com $U%$1D@TCP-DAEMON\n", "jdoe@host.siroe.com",
	    "tcp_local TCP-DAEMON jdoe@siroe.com", "$1D (11.6.2)" },
	{ "host.siroe.com $U%$0D@TCP-DAEMON\n", "jdoe@host.siroe.com",
	    "tcp_local TCP-DAEMON jdoe@host.siroe.com", "$0D is $D" },
	{ ".siroe.com $U%$1H$D@TCP-DAEMON\n", "jdoe@a.b.siroe.com",
	    "tcp_local TCP-DAEMON jdoe@b.siroe.com", "$1H" },
	{ ".siroe.com $U%$H.$1D@TCP-DAEMON\n", "jdoe@a.siroe.com",
	    "tcp_local TCP-DAEMON jdoe@a.com", "$1D of a pattern with a leading dot" },
	{ "a.com $U%$9D@a-host\n", "x@a.com", NOCHANNEL, "$nD of a name that is shorter" },
	{ "*.SIROE.COM $U%$&0.siroe.com@hub.siroe.com\n", "jdoe@eng.siroe.com",
	    "tcp_intranet hub.siroe.com jdoe@eng.siroe.com", "$&0 (11.6.8)" },
	{ ".siroe.com $U%$&1.$&0@a-host\n", "x@a.b.siroe.com", "tcp_a a-host x@b.a",
	    "$& from the left" },
	{ ".siroe.com $U%$!1.$!0@a-host\n", "x@a.b.siroe.com", "tcp_a a-host x@a.b",
	    "$! from the right" },
	{ ".siroe.com $U%$*0.$*1@a-host\n", "x@a.b.siroe.com", "tcp_a a-host x@siroe.com",
	    "$* from the left" },
	{ ".siroe.com $U%$#0.$#1@a-host\n", "x@a.b.siroe.com", "tcp_a a-host x@com.siroe",
	    "$# from the right" },
	{ ".siroe.com $U%$&2@a-host\n", "x@a.b.siroe.com", NOCHANNEL,
	    "an element that is not there" },
	{ "*.*.com $U%$&0-$&1$D@a-host\n", "x@a.b.com", "tcp_a a-host x@a-b.com",
	    "wildcarded elements" },
	{ "a.com $U$%b$@c$$%$D@a-host\n", "x@a.com", "tcp_a a-host x%b@c$@a.com",
	    "$% $@ $$ are text" },
	{ "a.com $\\$U%X@a-host\n", "JDoe@a.com", "tcp_a a-host jdoe@X",
	    "$\\ is for what is substituted" },
	{ "a.com $^$U%x@a-host\n", "JDoe@a.com", "tcp_a a-host JDOE@x", "$^" },
	{ "a.com $\\$U$_$U%x@a-host\n", "Jd@a.com", "tcp_a a-host jdJd@x", "$_" },
	{ "a.com $0A$2A%x@a-host\n", "jdoe@a.com", "tcp_a a-host jo@x", "$nA" },
	{ "a.com $99A%x@a-host\n", "jdoe@a.com", NOCHANNEL, "$nA of a short address" },
	{ "a.com $U%&/IMTA_HOST/@a-host\n", "x@a.com", "tcp_a a-host x@local.siroe.com",
	    "&/IMTA_HOST/" },
	{ "a.com $U%$H$,$D@a-host\n", "x@a.com", "tcp_a a-host x@a.com", "$, is left out" },
	/* order of look-up: the documented sequence for dan@sc.cs.siroe.edu */
	{ "sc.cs.siroe.edu $U@a-host\n*.cs.siroe.edu $U@b-host\n", "dan@sc.cs.siroe.edu",
	    "tcp_a a-host dan@a-host", "the host" },
	{ "*.cs.siroe.edu $U@a-host\n.cs.siroe.edu $U@b-host\n", "dan@sc.cs.siroe.edu",
	    "tcp_a a-host dan@a-host", "*.cs.siroe.edu" },
	{ "*.*.siroe.edu $U@b-host\n.cs.siroe.edu $U@a-host\n", "dan@sc.cs.siroe.edu",
	    "tcp_a a-host dan@a-host", ".cs.siroe.edu" },
	{ ".siroe.edu $U@b-host\n*.*.siroe.edu $U@a-host\n", "dan@sc.cs.siroe.edu",
	    "tcp_a a-host dan@a-host", "*.*.siroe.edu" },
	{ "*.*.*.edu $U@b-host\n.siroe.edu $U@a-host\n", "dan@sc.cs.siroe.edu",
	    "tcp_a a-host dan@a-host", ".siroe.edu" },
	{ ".edu $U@b-host\n*.*.*.edu $U@a-host\n", "dan@sc.cs.siroe.edu", "tcp_a a-host dan@a-host",
	    "*.*.*.edu" },
	{ "*.*.*.* $U@b-host\n.edu $U@a-host\n", "dan@sc.cs.siroe.edu", "tcp_a a-host dan@a-host",
	    ".edu" },
	{ ". $U@b-host\n*.*.*.* $U@a-host\n", "dan@sc.cs.siroe.edu", "tcp_a a-host dan@a-host",
	    "*.*.*.*" },
	{ ". $U@a-host\n", "dan@sc.cs.siroe.edu", "tcp_a a-host dan@a-host", "." },
	{ "*.*.* $U@a-host\n", "dan@sc.cs.siroe.edu", NOCHANNEL, "as many asterisks as elements" },
	{ "cs.siroe.edu $U@a-host\n", "dan@sc.cs.siroe.edu", NOCHANNEL,
	    "no pattern, no channel: it bounces" },
	{ "* $U@a-host\n", "dan@host", "tcp_a a-host dan@a-host", "one element" },
	{ ".cs.siroe.edu $U@a-host\n", "dan@a.b.cs.siroe.edu", "tcp_a a-host dan@a-host",
	    "a leading dot fits any depth" },
	{ ".cs.siroe.edu $U@a-host\n", "dan@cs.siroe.edu", NOCHANNEL, "but not the name itself" },
	{ "SIROE.com $U@a-host\n", "dan@siroe.COM", "tcp_a a-host dan@a-host", "any case" },
	{ "$* $U%$H@a-host\nx.com $U@b-host\n", "u@x.com", "tcp_a a-host u@x.com",
	    "$* before all" },
	{ "x.com $U@b-host\n$* $U%$H$D@a-host\n", "u@x.com", "tcp_a a-host u@x.com",
	    "wherever it stands" },
	{ ". $U%$H$D@a-host\n", "u@x.y.com", "tcp_a a-host u@x.y.com", "$H is all for ." },
	{ "b-host $U%z@a-host\n", "u@b-host", "tcp_a a-host u@z",
	    "an exact pattern before a channel's host name" },
	{ ". $U%z@a-host\n", "u@b-host", "tcp_b b-host u@b-host",
	    "a channel's host name before ." },
	{ "*.siroe.com $U%z@a-host\n", "u@hub.siroe.com",
	    "tcp_intranet hub.siroe.com u@tcp_intranet-daemon",
	    "a further host name: the official one" },
	{ "", "u@short", "tcp_intranet short u@proper.siroe.com",
	    "a further host name: its proper name" },
	/* literals */
	{ "[1.2.3.4] $U%[$L]$D@a-host\n[1.2.3.] $U@b-host\n", "u@[1.2.3.4]",
	    "tcp_a a-host u@[][1.2.3.4]", "as it is" },
	{ "[1.2.3.] $U%[$D$L]@a-host\n[1.2.] $U@b-host\n", "u@[1.2.3.4]",
	    "tcp_a a-host u@[1.2.3.4]", "[1.2.3.]" },
	{ "[1.2.] $U%$L@a-host\n[1.] $U@b-host\n", "u@[1.2.3.4]", "tcp_a a-host u@3.4", "[1.2.]" },
	{ "[1.] $U%$L@a-host\n[] $U@b-host\n", "u@[1.2.3.4]", "tcp_a a-host u@2.3.4", "[1.]" },
	{ "[] $U%$L@a-host\n[*.*.*.*] $U@b-host\n", "u@[1.2.3.4]", "tcp_a a-host u@1.2.3.4", "[]" },
	{ "[*.*.*.*] $U%$&3@a-host\n. $U@b-host\n", "u@[1.2.3.4]", "tcp_a a-host u@4",
	    "[*.*.*.*]" },
	{ ". $U%$H@a-host\n", "u@[1.2.3.4]", "tcp_a a-host u@[1.2.3.4]", ". for a literal" },
	{ "[] $U%[$L]@a-host\n", "u@[IPv6:2001:db8::1]", "tcp_a a-host u@[IPv6:2001:db8::1]",
	    "IPv6" },
	{ "*.*.*.* $U@b-host\n. $U%$H@a-host\n", "u@[1.2.3.4]", "tcp_a a-host u@[1.2.3.4]",
	    "a literal is no name" },
	/* rules of one pattern, and failing ones */
	{ "x.com $U@a-host\nx.com $U@b-host\n", "u@x.com", "tcp_a a-host u@a-host",
	    "the first of two" },
	{ "x.com $B$U@b-host\nx.com $U@a-host\n", "u@x.com", "tcp_a a-host u@a-host",
	    "the first that does not fail" },
	{ "x.com $B$U@b-host\n.com $U@a-host\n", "u@x.com", "tcp_a a-host u@a-host",
	    "then the next pattern" },
	{ "x.com $U@nowhere\n", "u@x.com", NOCHANNEL, "a tag of no channel" },
	/* hosts in an address (11.2) */
	{ "a $U@a-host\nb $U@b-host\n", "@a:u@b", "tcp_a a-host @a-host:u@b",
	    "a source route first" },
	{ "a $U@a-host\nc $U@b-host\n", "@a,@b:u@c", "tcp_a a-host @a-host,@b:u@c",
	    "the left-most of two" },
	{ "b $U@b-host\na $U@a-host\n", "u%a@b", "tcp_b b-host u%a@b-host", "@ before %" },
	{ "b $U@b-host\na $U@a-host\n", "a!u@b", "tcp_b b-host a!u@b-host", "@ before !" },
	{ "b $U@b-host\na $U@a-host\n", "u%a%b", "tcp_b b-host u%a@b-host", "the last %" },
	{ "b $U@b-host\na $U@a-host\n", "a!b!u", "tcp_a a-host b!u@a-host", "the first !" },
	{ "b $U@b-host\na $U@a-host\n", "a!u%b", "tcp_b b-host a!u@b-host", "% before !" },
	{ "b $U@b-host\n", "\"u@a\"@b", "tcp_b b-host \"u@a\"@b-host", "an @ in quotes" },
	{ "b $U@b-host\n", "\"u\\\"@a\"@b", "tcp_b b-host \"u\\\"@a\"@b-host",
	    "a quote in quotes" },
	/* local hosts are peeled (11.5.4) */
	{ "ha $U@a-host\n", "user%ha@localhost", "tcp_a a-host user@a-host", "user%ha@local" },
	{ "x $U@a-host\n", "@localhost:user@x", "tcp_a a-host user@a-host", "@local:user@x" },
	{ "x $U@a-host\n", "@localhost,@local.siroe.com:user@x", "tcp_a a-host user@a-host",
	    "two local routes" },
	{ "ha $U@a-host\n", "ha!user@localhost", "tcp_a a-host user@a-host", "ha!user@local" },
	{ "", "user@localhost", "l localhost user@local.siroe.com", "no further host" },
	{ "", "user", "l local.siroe.com user@local.siroe.com", "a local part alone" },
	{ "", "\"user%ha\"@localhost", "l localhost \"user%ha\"@local.siroe.com",
	    "a % in quotes stays" },
	{ "", "user%nowhere@localhost", "l local.siroe.com user%nowhere@local.siroe.com",
	    "A%B that no rule knows is A%B@localhost" },
	{ "", "nowhere!user@localhost", "l local.siroe.com nowhere!user@local.siroe.com",
	    "so is A!B" },
	{ "$% $U%per@a-host\n", "user%nowhere@localhost", "tcp_a a-host user@per",
	    "$% is a last resort" },
	{ "$! $U%bang@a-host\n", "nowhere!user@localhost", "tcp_a a-host user@bang",
	    "$! is a last resort" },
	{ "$% $U%per@a-host\n. $U%$H@b-host\n", "user%nowhere@localhost",
	    "tcp_b b-host user@nowhere", "never with a ." },
	{ ". $U%$H@a-host\n", "u%f|g@localhost", "l localhost u%f|g@local.siroe.com",
	    "what cannot be a host is none" },
	/* tags */
	{ "internet $S$U@localhost$Tmtcp-force|\nmtcp-force|. $U%$H@TCP-DAEMON\nmars.com "
	  "$U@a-host\n",
	    "@internet:user@mars.com", "tcp_local TCP-DAEMON user@mars.com",
	    "the guide's example of $T" },
	{ "internet $S$U@localhost$Tmtcp-force|\nmtcp-force|. $U%$H@TCP-DAEMON\nmars.com "
	  "$U@a-host\n",
	    "user@mars.com", "tcp_a a-host user@a-host", "no route, no tag" },
	{ "internet $S$U@localhost$Tt|\nt|. $U%$H@TCP-DAEMON\n", "@internet:user@b-host",
	    "tcp_local TCP-DAEMON user@b-host", "with a tag channels' host names do not count" },
	{ "x.com $Tt|$U%$D\nt|$* $U%$H@a-host\n", "u@x.com", "tcp_a a-host u@x.com",
	    "a tag in front of $*" },
	{ "x.com $Tt|$U%$D\nt|x.com $T$U%y.com\ny.com $U@a-host\n", "u@x.com",
	    "tcp_a a-host u@a-host", "a tag taken away" },
	{ "t|. $U@a-host\n", "u@t|.", "syntax 5.1.3 no address that can be taken apart",
	    "no tag from outside" },
	/* error texts */
	{ "x.com $U%nowhere@none$?Go away please\n", "u@x.com", "nochannel 5.1.2 Go away please",
	    "$? with blanks" },
	{ "x.com $?moved to Mars\n", "u@x.com", "nochannel 5.1.2 moved to Mars",
	    "$? alone: the host as it is" },
	{ "b-host $?never seen\n", "u@b-host", "tcp_b b-host u@b-host",
	    "is shown only if no channel matches" },
	{ "x.com $U%y.com$?first\ny.com $U@none\n", "u@x.com", "nochannel 5.1.2 first",
	    "it stays through passes" },
	{ "x.com $U%y.com$?first\ny.com $U@none$?second\n", "u@x.com", "nochannel 5.1.2 second",
	    "until there is another" },
	{ "x.com $U@none$4001002?for now\n", "u@x.com", "temporary 4.1.2 for now",
	    "a status in front of it" },
	{ "x.com $U@none$5007001?no\n", "u@x.com", "nochannel 5.7.1 no", "for good" },
	/* general database (11.6.5), mappings, URLs */
	{ ".SIROENET $($H)\n", "jdoe@siroe.siroenet", "siroenet siroenet jdoe@eng.siroe.com",
	    "the guide's $(...)" },
	{ ".SIROENET $($H)\n", "jdoe@none.siroenet", NOCHANNEL, "a key that is not there" },
	{ "x.com $U%$(plain)@a-host\n", "u@x.com", "tcp_a a-host u@new",
	    "a value that is a piece" },
	{ "x.com $U%$(nested)@a-host\n.com $U@b-host\n", "u@x.com", "tcp_b b-host u@b-host",
	    "$( in a value is refused" },
	{ "x.com $U%$(bad)@a-host\n.com $U@b-host\n", "u@x.com", "tcp_b b-host u@b-host",
	    "a value that is no template" },
	{ "x.com $(two)\n", "u@x.com", "tcp_b b-daemon @a-host:u@", "a value with four parts" },
	{ "x.com $U%$(away)@a-host\n", "u@x.com",
	    "temporary 4.3.0 cannot be routed for now: what it asks for is not there", "for now" },
	{ "x.com $U%$(later)@a-host\n", "u@x.com",
	    "later 4.3.0 cannot be routed for now: the directory is asked first", "later" },
	{ "[] $E$F${INTERNAL_IP,$L}$U%[$L]@tcp_intranet-daemon\n. $U%$H@tcp_local-daemon\n",
	    "u@[192.168.1.7]", "tcp_intranet tcp_intranet-daemon u@[192.168.1.7]",
	    "INTERNAL_IP, in" },
	{ "[] $E$F${INTERNAL_IP,$L}$U%[$L]@tcp_intranet-daemon\n. $U%$H@tcp_local-daemon\n",
	    "u@[192.168.2.7]", "tcp_local tcp_local-daemon u@[192.168.2.7]", "INTERNAL_IP, out" },
	{ ". ${TEMPLATE,x}\n", "u@y.com", "tcp_a a-daemon u@y.com",
	    "a mapping's text is a template" },
	{ ". $U%${TEMPLATE,name}@a-host\n", "u@y.com", "tcp_a a-host u@from-map", "or a piece" },
	{ "y.com $U%${TEMPLATE,mute}@a-host\n. $U@b-host\n", "u@y.com", "tcp_b b-host u@b-host",
	    "without $Y it fails" },
	{ "y.com $U%${NONE,x}@a-host\n. $U@b-host\n", "u@y.com", "tcp_b b-host u@b-host",
	    "no such table" },
	{ "y.com $U%${TEMPLATE,bad}@a-host\n. $U@b-host\n", "u@y.com", "tcp_b b-host u@b-host",
	    "a text that is no template" },
	{ "y.com $U%${TEMPLATE,rec}@a-host\n. $U@b-host\n", "u@y.com", "tcp_b b-host u@b-host",
	    "texts without end" },
	{ "y.com $U%${TEMPLATE,later}@a-host\n", "u@y.com",
	    "later 4.3.0 cannot be routed for now: the directory is asked first",
	    "a mapping that asks later" },
	{ "y.com $U%$]ldap:///$H?x($D)[@a-host\n", "u@y.com", "tcp_a a-host u@<ldap:///?x(y.com)>",
	    "$]...[" },
	{ "y.com $U%$]none[@a-host\n. $U@b-host\n", "u@y.com", "tcp_b b-host u@b-host",
	    "$]...[ without a result" },
	/* whole sets of rules, as sites have them */
	{ SITE, "jdoe@siroe.com", "l local.siroe.com jdoe@local.siroe.com",
	    "a vanity name of this host" },
	{ SITE, "jdoe@mail.siroe.com", "l local.siroe.com jdoe@local.siroe.com", "another" },
	{ SITE, "jdoe@eng.siroe.com", "tcp_intranet tcp_intranet-daemon jdoe@eng.siroe.com",
	    "an inner host" },
	{ SITE, "jdoe@a.b.eng.siroe.com", "tcp_intranet tcp_intranet-daemon jdoe@a.b.eng.siroe.com",
	    "a deep one" },
	{ SITE, "jdoe@other.com", "tcp_local tcp_local-daemon jdoe@other.com", "the Internet" },
	{ SITE, "jdoe%other.com@siroe.com", "tcp_local tcp_local-daemon jdoe@other.com",
	    "a percent hack" },
	{ SITE, "jdoe%eng.siroe.com@mail.siroe.com",
	    "tcp_intranet tcp_intranet-daemon jdoe@eng.siroe.com", "inwards" },
	{ SITE, "@siroe.com,@eng.siroe.com:jdoe@other.com",
	    "tcp_intranet tcp_intranet-daemon @eng.siroe.com:jdoe@other.com",
	    "a route through us" },
	{ SITE, "other.com!jdoe@siroe.com", "tcp_local tcp_local-daemon jdoe@other.com",
	    "a bang path" },
	{ SITE, "a!b.com!c@siroe.com", "tcp_local tcp_local-daemon b.com!c@a", "a longer one" },
	{ SITE, "jdoe", "l local.siroe.com jdoe@local.siroe.com", "a local part" },
	{ SITE, "jdoe@old.siroe.com", "l local.siroe.com jdoe@local.siroe.com",
	    "a name that has gone" },
	{ SITE, "jdoe@x.uucp", "tcp_a a-host x!jdoe@a-host", "a bang path is made" },
	{ SITE, "jdoe@[192.168.1.3]", "tcp_intranet tcp_intranet-daemon jdoe@[192.168.1.3]",
	    "an inner address" },
	{ SITE, "jdoe@[9.9.9.9]", "tcp_local tcp_local-daemon jdoe@[9.9.9.9]", "an outer address" },
	{ SITE, "jdoe@closed.org", "nochannel 5.1.2 closed since 1999",
	    "a domain that is refused" },
	/* loops end */
	{ "a.com $U%b.com\nb.com $U%a.com\n", "u@a.com",
	    "loop 4.3.5 the rewrite rules go round in a circle", "two rules" },
	{ "a.com $U%$D\n", "u@a.com", "loop 4.3.5 the rewrite rules go round in a circle",
	    "one rule" },
	{ ".com $U%x.$H$D\n", "u@a.com", "loop 4.3.5 the rewrite rules go round in a circle",
	    "one that grows" },
	{ "a.com $Tx$U%$D\nxa.com $Txx$U%$D\nxxa.com $U@a-host\n", "u@a.com",
	    "tcp_a a-host u@a-host", "tags tell passes apart" },
	/* no addresses */
	{ "", "", "syntax 5.1.3 no address that can be taken apart", "nothing" },
	{ "", "@", "syntax 5.1.3 no address that can be taken apart", "@" },
	{ "", "u@", "syntax 5.1.3 no address that can be taken apart", "u@" },
	{ "", "@b-host", "syntax 5.1.3 no address that can be taken apart",
	    "a route without an address" },
	{ "", "@b-host:", "syntax 5.1.3 no address that can be taken apart", "again" },
	{ "", "@b-host,c:u@d", "syntax 5.1.3 no address that can be taken apart",
	    "a route of which half is none" },
	{ "", "u@a..b", "syntax 5.1.3 no address that can be taken apart", "an empty element" },
	{ "", "u@.", "syntax 5.1.3 no address that can be taken apart", "a dot" },
};

static void
addresses(void)
{
	struct file maps[] = { { "/m", MAPPINGS }, { NULL, NULL } };
	struct mta_notes notes = { 0 };
	struct mta_mappings *m = mta_mappings_compile("/m", files_read, maps, &notes);

	ok(m, "mappings: %s", buf_cstr(&notes.errors));
	for (size_t i = 0; i < NELEM(cases); i++) {
		char *text = mem_printf("%s%s", cases[i].rules, CHANNELS);
		struct mta_conf *c = compile(text, &notes);

		if (ok(c, "%s: %s", cases[i].what, buf_cstr(&notes.errors)))
			is(rewrite(c, m, cases[i].address, NULL), cases[i].want, "%s",
			    cases[i].what);
		mta_conf_free(&c);
		mta_notes_fini(&notes);
		mem_free(&text);
	}
	mta_mappings_free(&m);
	mta_notes_fini(&notes);
}

/* ---- conditions -------------------------------------------------------------------------- */

#define YES   "tcp_a a-host u@a-host"
#define OTHER "tcp_b b-host u@b-host"
#define TO                                                                                         \
	{                                                                                          \
		"tcp_local", NULL, false, false                                                    \
	}
#define FROM                                                                                       \
	{                                                                                          \
		"tcp_local", NULL, false, true                                                     \
	}
#define HTO                                                                                        \
	{                                                                                          \
		"tcp_local", "tcp_b", true, false                                                  \
	}
#define HFROM                                                                                      \
	{                                                                                          \
		"tcp_local", "tcp_b", true, true                                                   \
	}

static const struct {
	const char *template, *address;
	struct how how;
	const char *want;
} conditions[] = {
	{ "$E$U@a-host", "u@x", TO, YES },
	{ "$E$U@a-host", "u@x", HTO, OTHER },
	{ "$B$U@a-host", "u@x", HTO, YES },
	{ "$B$U@a-host", "u@x", TO, OTHER },
	{ "$F$U@a-host", "u@x", TO, YES },
	{ "$F$U@a-host", "u@x", FROM, OTHER },
	{ "$R$U@a-host", "u@x", FROM, YES },
	{ "$R$U@a-host", "u@x", HTO, OTHER },
	{ "$U@a-host$E$F", "u@x", TO, YES },
	{ "$U@a-host$E$F", "u@x", FROM, OTHER },
	{ "$e$f$u@a-host", "u@x", TO, YES },
	/* the source channel */
	{ "$U@a-host$Mtcp_local", "u@x", TO, YES },
	{ "$U@a-host$Mtcp_intranet", "u@x", TO, OTHER },
	{ "$U@a-host$Mtcp_intranet$Mtcp_local", "u@x", TO, YES },
	{ "$U@a-host$Ntcp_local", "u@x", TO, OTHER },
	{ "$U@a-host$Ntcp_intranet", "u@x", TO, YES },
	{ "$U@a-host$Ntcp_intranet$Ntcp_local", "u@x", TO, OTHER },
	{ "$Mtcp_local$U@a-host", "u@x", TO, YES },
	{ "$U@a-host$Mtcp_local", "u@x", { "tcp_a", NULL, false, false }, YES }, /* norules */
	{ "$U@a-host$Ntcp_a", "u@x", { "tcp_a", NULL, false, false }, YES },
	{ "$U@a-host$1M", "u@x", TO, OTHER },
	{ "$U@a-host$1M", "u@x", { "reprocess", NULL, false, false }, YES },
	{ "$U@a-host$1N", "u@x", { "reprocess", NULL, false, false }, OTHER },
	{ "$U@a-host$1N", "u@x", TO, YES },
	{ "$U@a-host$Mtcp_b$1M", "u@x", { "tcp_b", NULL, false, false }, YES },
	/* the destination channel: not of envelope recipients */
	{ "$U@a-host$Qtcp_b", "u@x", HTO, YES },
	{ "$U@a-host$Qtcp_local", "u@x", HTO, OTHER },
	{ "$U@a-host$Ctcp_b", "u@x", HTO, OTHER },
	{ "$U@a-host$Ctcp_local", "u@x", HTO, YES },
	{ "$U@a-host$Qtcp_intranet", "u@x", TO, YES },
	{ "$U@a-host$Ctcp_b", "u@x", TO, YES },
	{ "$U@a-host$Qtcp_b", "u@x", { "tcp_local", "tcp_b", false, true }, YES },
	{ "$U@a-host$Qtcp_b", "u@x", { "tcp_local", "tcp_a", true, true }, YES }, /* norules */
	/* the place of the host */
	{ "$A$U@a-host", "u@x", TO, YES },
	{ "$S$U@a-host", "u@x", TO, OTHER },
	{ "$S$A$U@a-host", "u@x", TO, YES },
	{ "$S$U@a-host", "@x:u@y", TO, "tcp_a a-host @a-host:u@y" },
	{ "$A$U@a-host", "@x:u@y", TO, "tcp_b b-host @b-host:u@y" },
	{ "$P$U@a-host", "u%x", TO, YES },
	{ "$X$U@a-host", "x!u", TO, YES },
	{ "$P$U@a-host", "x!u", TO, OTHER },
	{ "$X$P$U@a-host", "u%x", TO, YES },
	/* is the domain ours */
	{ "$U@a-host$Vours.com", "u@x", TO, YES },
	{ "$U@a-host$Velse.com", "u@x", TO, OTHER },
	{ "$U@a-host$Zours.com", "u@x", TO, OTHER },
	{ "$U@a-host$Zelse.com", "u@x", TO, YES },
	{ "$U%y$V$D.com@a-host", "u@x", TO, OTHER },
	/* pending checks */
	{ "$U@a-host$Mtcp_local$1~-daemon", "u@x", TO,
	    "nochannel 5.1.2 no channel takes mail for this host or domain" },
	{ "$U@a-host$Mtcp_b$1~-daemon", "u@x", TO, YES },
	/* the mail host */
	{ "$U%$0X@a-host", "u@x", TO, "tcp_a a-host u@mail" },
	{ "$U%$2X@a-host", "u@x", TO, "tcp_a a-host u@siroe" },
	{ "$U%$9X@a-host", "u@x", TO, OTHER },
};

static void
conditions_hold(void)
{
	struct mta_notes notes = { 0 };

	for (size_t i = 0; i < NELEM(conditions); i++) {
		char *text = mem_printf("x %s\n. $U@b-host\n%s", conditions[i].template, CHANNELS);
		struct mta_conf *c = compile(text, &notes);

		if (ok(c, "%s: %s", conditions[i].template, buf_cstr(&notes.errors)))
			is(rewrite(c, NULL, conditions[i].address, &conditions[i].how),
			    conditions[i].want, "%s for %s", conditions[i].template,
			    conditions[i].address);
		mta_conf_free(&c);
		mta_notes_fini(&notes);
		mem_free(&text);
	}
}

/* $V with a directory that is away, and the shipped idiom. */
static void
directory_away(void)
{
	struct mta_notes notes = { 0 };
	struct how in = TO, inside = { "tcp_intranet", NULL, false, false },
		   again = { "reprocess", NULL, false, false };
	struct mta_conf *c =
	    compile("$* $A$E$F$U%$H$V$H@localhost\n. $U%$H@tcp_local-daemon\n" CHANNELS, &notes);

	ok(c, "it loads: %s", buf_cstr(&notes.errors));
	is(rewrite(c, NULL, "u@ours.com", &in), "l localhost u@ours.com", "a domain of ours");
	is(rewrite(c, NULL, "u@else.com", &in), "tcp_local tcp_local-daemon u@else.com",
	    "another one");
	away = true;
	is(rewrite(c, NULL, "u@ours.com", &in), "temporary 4.0.0 Temporary lookup failure",
	    "the directory is away: the Internet is refused for now");
	is(rewrite(c, NULL, "u@ours.com", &again), "temporary 4.0.0 Temporary lookup failure",
	    "so is reprocess");
	is(rewrite(c, NULL, "u@ours.com", &inside), "reprocess reprocess-daemon u@ours.com",
	    "others go to reprocess");
	later = true;
	is(rewrite(c, NULL, "u@ours.com", &in),
	    "later 4.3.0 cannot be routed for now: the directory is asked first", "not known yet");
	later = false;
	mta_conf_free(&c);
	c = compile("$* $V$H$U%$H@localhost\n. $U%$H@a-host\n\nl\nlocalhost\n\ntcp_a "
		    "smtp\na-host\n",
	    &notes);
	is(rewrite(c, NULL, "u@x.com", NULL),
	    "temporary 4.3.0 cannot be routed for now: the directory does not answer",
	    "without reprocess nothing is refused for good");
	away = false;
	mta_conf_free(&c);
	mta_notes_fini(&notes);
}

static void
bang(void)
{
	struct mta_notes notes = { 0 };
	struct how how = { "tcp_bang", NULL, false, false };
	struct mta_conf *c = compile("a $U@a-host\nb $U@b-host\n" CHANNELS, &notes);

	is(rewrite(c, NULL, "a!u%b", &how), "tcp_a a-host u%b@a-host",
	    "bangoverpercent: ! before %%");
	is(rewrite(c, NULL, "a!u@b", &how), "tcp_b b-host a!u@b-host", "but not before @");
	mta_conf_free(&c);
	mta_notes_fini(&notes);
}

/* ---- files ------------------------------------------------------------------------------- */

static const struct {
	const char *text, *said; /* NULL: it loads without a word; "w:": a warning */
} files[] = {
	{ "a.com $U@a-host\n" CHANNELS, NULL },
	{ "! c\na.com $U@a-host\n! c\nb.com $U@a-host\n" CHANNELS, NULL },
	{ "</rules\nb.com $U@a-host\n" CHANNELS, NULL },
	{ "</ends\nb.com $U@a-host\n" CHANNELS, "/c:2: a channel's name is 1 to 32" },
	{ "a.com $U@\\\na-host\n" CHANNELS, NULL },
	{ "a!b $U@a-host\n" CHANNELS, NULL },
	{ "a.com\n" CHANNELS, "/c:1: expected a template behind the pattern a.com" },
	{ " a.com $U@x\n" CHANNELS, "/c:1: expected a rule, its pattern in the first column" },
	{ "a.com $U\n" CHANNELS, "expected A%B@C, A@B, A%B, A@B@C, A@B@C@D or $?text" },
	{ "a.com $U@a%b\n" CHANNELS, "expected A%B@C" },
	{ "a.com $U%a%b\n" CHANNELS, "expected A%B@C" },
	{ "a.com $U@a@b@c@d\n" CHANNELS, "expected A%B@C" },
	{ "a.com $U%a@b@c\n" CHANNELS, "expected A%B@C" },
	{ "a.com $U @a\n" CHANNELS, "/c:1: " },
	{ "a.com $Y$U@a\n" CHANNELS, "($Y and $G are flags of mappings)" },
	{ "a.com $U@a$\n" CHANNELS, "a `$' at the end" },
	{ "a.com $U@a$M\n" CHANNELS, "expected the name of a channel" },
	{ "a.com $2M$U@a\n" CHANNELS, "only $1M and $1N" },
	{ "a.com $2U@a\n" CHANNELS, "expected $U, $0U or $1U" },
	{ "a.com $3E$U@a\n" CHANNELS, "a number stands only" },
	{ "a.com $&U@a\n" CHANNELS, "expected one digit" },
	{ "a.com $(x@a\n" CHANNELS, "expected `)'" },
	{ "a.com ${x,y@a\n" CHANNELS, "expected `}'" },
	{ "a.com ${x}$U@a\n" CHANNELS, "expected `,' between table and probe" },
	{ "a.com $]x@a\n" CHANNELS, "expected `['" },
	{ "a.com $[x,y,z]$U@a\n" CHANNELS, "$[image,routine,argument] calls code of a site" },
	{ "a.com $V@a\n" CHANNELS, "expected a domain behind $V" },
	{ "a.com $;$U@a\n" CHANNELS, "expected a letter or one of" },
	{ "a.com $3000000?x\n" CHANNELS, "expected a status" },
	/* channels */
	{ "\nl\nlocalhost\n\nx smpt\nx-daemon\n", "/c:5: there is no keyword smpt; is it smtp?" },
	{ "\nl\nlocalhost\n\nx\n", "/c:5: expected the official host name of channel x" },
	{ "\nl\nlocalhost\n\nX smtp\nx-daemon\n", "/c:5: a channel's name is 1 to 32 of" },
	{ "\nl\nlocalhost\n\nl\nx\n", "/c:5: there is a channel l already" },
	{ "\nl\nlocalhost\n\nx\nLOCALHOST\n",
	    "/c:6: the host name LOCALHOST is channel l's already (/c:3)" },
	{ "\nl\nlocalhost\n\nx maxjobs\nx-daemon\n", "/c:5: maxjobs expects a number" },
	{ "\nl\nlocalhost\n\nx maxjobs x\nx-daemon\n", "/c:5: maxjobs expects a number" },
	{ "\nl\nlocalhost\n\nx backoff\nx-daemon\n", "/c:5: backoff expects times" },
	{ "\nl\nlocalhost\n\nx backoff 1m 1m 1m 1m 1m 1m 1m 1m 1m\nx-daemon\n",
	    "/c:5: backoff takes eight times" },
	{ "\nl\nlocalhost\n\nx notices 3 2\nx-daemon\n", "/c:5: notices takes ages that grow" },
	{ "\nl\nlocalhost\n\nx notices 1 2 3 4 5 6\nx-daemon\n", "/c:5: notices takes five ages" },
	{ "\nl\nlocalhost\n\nx pool\nx-daemon\n", "/c:5: pool expects an argument" },
	{ "\nl\nlocalhost x y\n", "/c:3: expected a host name and perhaps another one, not `y'" },
	/* warnings */
	{ "\ntcp_a\na-host\n", "w:there is no channel l" },
	{ "\ntcp_a\na-host\n\nl\nx\n", "w:the first channel is expected to be l" },
	{ "\nl\nlocalhost\n\nx identtcp\nx-daemon\n",
	    "w:identtcp has no effect: Nobody is asked by IDENT." },
	{ "a.*.com $U@localhost\n\nl\nlocalhost\n", "w:the pattern a.*.com matches nothing" },
	{ "a.com $U@localhost$Mx\n\nl\nlocalhost\n", "w:there is no channel x for $M" },
	{ "a.com $U%$H$,$D@localhost\n\nl\nlocalhost\n", "w:`$,' has no known meaning" },
	{ "\ndefaults smtp\nl\nlocalhost\n", "w:a line in the block of defaults does not count" },
};

static void
loads(void)
{
	for (size_t i = 0; i < NELEM(files); i++) {
		struct mta_notes notes = { 0 };
		struct mta_conf *c = compile(files[i].text, &notes);
		const char *said = files[i].said;

		if (!said)
			ok(c && !notes.nerrors && !notes.nwarnings, "it loads: %s%s",
			    buf_cstr(&notes.errors), buf_cstr(&notes.warnings));
		else if (strncmp(said, "w:", 2) == 0)
			ok(c && strstr(buf_cstr(&notes.warnings), said + 2), "it warns: %s (%s)",
			    said + 2, buf_cstr(&notes.warnings));
		else
			ok(!c && strstr(buf_cstr(&notes.errors), said), "it says %s (%s)", said,
			    buf_cstr(&notes.errors));
		mta_notes_fini(&notes);
		mta_conf_free(&c);
	}
}

/* ---- channels ---------------------------------------------------------------------------- */

static void
channels(void)
{
	struct mta_notes notes = { 0 };
	struct buf out = { 0 }, out2 = { 0 };
	struct mta_conf *c =
	    compile("\ndefaults smtp maytls maxjobs 7\n\nl\nlocalhost\n\n"
		    "tcp_local MX notices 1 2 P3D backoff \"pt5m\" 1h "
		    "single_sys\ntcp_local-daemon\n\n"
		    "nodefaults\n\n"
		    "tcp_x lmtp daemon store.siroe.com port 24 musttlsclient\nx-daemon\ny z\n",
		&notes);
	const struct mta_channel *t, *x;

	ok(c, "it loads: %s", buf_cstr(&notes.errors));
	t = mta_channel_named(c, S("tcp_local"));
	x = mta_channel_of_host(c, S("X-Daemon"));
	ok(t && x, "by name and by host name");
	eq(t->protocol, MTA_PROTOCOL_SMTP, "defaults");
	eq(t->maxjobs, 7, "a default with an argument");
	eq(t->tls_client, MTA_NEED_MAY, "maytls is for both sides");
	eq(t->tls_server, MTA_NEED_MAY, "maytls is for both sides");
	eq(t->notices.n, 3, "three ages");
	eq(t->notices.s[2], 3 * 86400, "days and times");
	eq(t->backoff[3].n, 2, "two times");
	eq(t->backoff[3].s[0], 300, "a time in quotes, in lower case");
	eq(x->protocol, MTA_PROTOCOL_LMTP, "nodefaults");
	eq(x->maxjobs, -1, "nothing is said");
	eq(x->tls_server, -1, "one side alone");
	eq(x->tls_client, MTA_NEED_MUST, "one side alone");
	is(x->daemon, "store.siroe.com", "a text");
	is(mta_channel_at(c, 0)->name, "l", "in their order");
	ok(!mta_channel_at(c, 3), "three channels");
	mta_conf_print(c, &out);
	mta_conf_free(&c);
	c = compile(buf_cstr(&out), &notes);
	ok(c, "what is printed loads: %s", buf_cstr(&notes.errors));
	mta_conf_print(c, &out2);
	is(buf_cstr(&out2), buf_cstr(&out), "and is printed alike");
	mta_conf_free(&c);
	mta_notes_fini(&notes);
	buf_fini(&out);
	buf_fini(&out2);
}

static void
keywords(void)
{
	size_t effective = 0;

	for (size_t i = 0; i < mta_nkeywords; i++) {
		if (i)
			ok(strcmp(mta_keywords[i - 1].name, mta_keywords[i].name) < 0,
			    "%s stands in order", mta_keywords[i].name);
		ok(mta_keyword_find(slice_str(mta_keywords[i].name)) == &mta_keywords[i] &&
			mta_keywords[i].doc[0] &&
			mta_keywords[i].doc[strlen(mta_keywords[i].doc) - 1] == '.',
		    "%s is found and says what it is", mta_keywords[i].name);
		effective += mta_keywords[i].type != MTA_KW_NONE;
	}
	ok(effective >= 120, "%zu keywords say something", effective);
	is(mta_keyword_nearest(S("maxjob")), "maxjobs", "the nearest one");
}

/* ---- many rules, and bombs --------------------------------------------------------------- */

static void
many(void)
{
	struct mta_notes notes = { 0 };
	struct buf text = { 0 };
	struct mta_conf *c;

	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "d%d.com $U%%$D@%c-daemon\n.d%d.org $U%%$H$D@a-daemon\n", i,
		    i % 2 ? 'a' : 'b', i);
	buf_str(&text, CHANNELS);
	c = compile(buf_cstr(&text), &notes);
	ok(c && mta_conf_rules(c) == 40000, "40,000 rules: %s", buf_cstr(&notes.errors));
	is(rewrite(c, NULL, "u@d19999.com", NULL), "tcp_a a-daemon u@d19999.com", "the last");
	is(rewrite(c, NULL, "u@x.y.d7.org", NULL), "tcp_a a-daemon u@x.y.d7.org", "by its tail");
	mta_conf_free(&c);
	mta_notes_fini(&notes);
	buf_clear(&text);
	/* each value calls values: the steps end it */
	for (int i = 0; i < 300; i++)
		buf_str(&text, "$U$(plain)$(plain)");
	c = NULL;
	{
		char *rules = mem_printf("x $(plain)%s%%$D@a-host\n%s", buf_cstr(&text), CHANNELS);

		c = compile(rules, &notes);
		ok(c && strncmp(rewrite(c, NULL, "u@x", NULL), "tcp_a", 5) == 0,
		    "600 calls are no bomb");
		mta_conf_free(&c);
		mem_free(&rules);
	}
	buf_clear(&text);
	for (int i = 0; i < 5000; i++)
		buf_str(&text, "x $(plain)$(plain)$(plain)$U$B@a-host\n");
	buf_str(&text, CHANNELS);
	c = compile(buf_cstr(&text), &notes);
	is(rewrite(c, NULL, "u@x", NULL),
	    "temporary 4.3.0 cannot be routed for now: the rules take too many steps",
	    "15,000 calls are too many");
	mta_conf_free(&c);
	mta_notes_fini(&notes);
	buf_fini(&text);
}

int
main(void)
{
	addresses();
	conditions_hold();
	directory_away();
	bang();
	loads();
	channels();
	keywords();
	many();
	return done();
}
