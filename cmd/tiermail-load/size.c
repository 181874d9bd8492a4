/* tiermail-load size: how many hosts, from what one host of each kind has borne; see tiermail-load(1) SIZES.
 *
 * Owns the keys and their values for one run.  A calculation and no measurement: work of the busiest hour over what a
 * host does of it, memory of open sessions and of indexes, disk of mailboxes; what needs most hosts decides.  Rates come
 * from runs (-j) or are given; of a tier whose rate nobody knows nothing is said.  Can fail: a key, a file. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "daemon/program.h"
#include "json/json.h"
#include "load.h"

#define SIZE_FILE (1024 * 1024)

enum size_key {
	K_USERS,
	K_MAIL,
	K_SENT,
	K_IMAP_DAY,
	K_POP_DAY,
	K_OPEN,
	K_BUSY,
	K_SIZE,
	K_MAILBOX,
	K_USE,
	K_LOSE,
	K_MEMORY,
	K_DISK,
	K_FULL,
	K_SESSION,
	K_PAIR,
	K_INDEX,
	K_HOT,
	K_OVER,
	K_RELAY,
	K_OUT,
	K_LMTP,
	K_IMAP,
	K_POP3,
	K_PROXY,
	SIZE_KEYS
};
/* `rate`: a second of one host, or the file of a run of this profile; without one nothing is said of it. */
static struct {
	const char *name;
	double value, least, most;
	const char *rate;
} keys[SIZE_KEYS] = {
	[K_USERS] = { "users", 10000, 1, 1e10, NULL },
	[K_MAIL] = { "mail", 40, 0, 1e6, NULL },
	[K_SENT] = { "sent", 8, 0, 1e6, NULL },
	[K_IMAP_DAY] = { "sessions", 30, 0, 1e6, NULL },
	[K_POP_DAY] = { "pops", 0, 0, 1e6, NULL },
	[K_OPEN] = { "open", 0.8, 0, 1e3, NULL },
	[K_BUSY] = { "busy", 0.15, 1.0 / 24, 1, NULL },
	[K_SIZE] = { "size", 75e3, 1, 1e9, NULL },
	[K_MAILBOX] = { "mailbox", 1e9, 0, 1e15, NULL },
	[K_USE] = { "use", 0.5, 0.01, 1, NULL },
	[K_LOSE] = { "lose", 1, 0, 1000, NULL },
	[K_MEMORY] = { "memory", 16e9, 1e9, 1e14, NULL },
	[K_DISK] = { "disk", 4e12, 1e9, 1e17, NULL },
	[K_FULL] = { "full", 0.7, 0.01, 1, NULL },
	[K_SESSION] = { "session", 31e3, 0, 1e9, NULL },
	[K_PAIR] = { "pair", 40e3, 0, 1e9, NULL },
	[K_INDEX] = { "index", 1024, 0, 1e9, NULL },
	[K_HOT] = { "hot", 0.1, 0, 1, NULL },
	[K_OVER] = { "overhead", 5e3, 0, 1e9, NULL },
	[K_RELAY] = { "relay", 0, 0.001, 1e9, "smtp" },
	[K_OUT] = { "out", 0, 0.001, 1e9, "submission" },
	[K_LMTP] = { "lmtp", 0, 0.001, 1e9, "lmtp" },
	[K_IMAP] = { "imap", 0, 0.001, 1e9, "imap" },
	[K_POP3] = { "pop3", 0, 0.001, 1e9, "pop3" },
	[K_PROXY] = { "proxy", 0, 0.001, 1e9, "imap" },
};
static bool size_json;

static NORETURN void
size_die(int code, const char *what, const char *why)
{
	fprintf(stderr, "tiermail-load: size: %s: %s\n", what, why);
	exit(code);
}

/* ---- what is given ------------------------------------------------------------------------------- */

/* "12", "0.5", "75K", "4T": of 1000. */
static bool
size_number(const char *text, double *v)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;

	*v = strtod(text, &end);
	if (end == text || !isfinite(*v))
		return false;
	if (*end && (unit = strchr(units, *end))) {
		for (const char *u = units; u <= unit; u++)
			*v *= 1000;
		end++;
	}
	return !*end;
}

static void
size_slurp(const char *path, struct buf *text)
{
	FILE *f = fopen(path, "re");
	size_t n = 1;

	if (!f)
		size_die(EX_NOINPUT, path, strerror(errno));
	while (n > 0 && text->n <= SIZE_FILE) {
		n = fread(buf_reserve(text, 65536), 1, 65536, f);
		text->n += n;
	}
	(void)fclose(f);
}

static int64_t
size_count(const struct json_t *run, const char *name)
{
	int64_t n = 0;

	(void)json_get_int(json_find(run, slice_str(name)), 0, JSON_INT_MOST, &n);
	return n;
}

/* What a run of -j has borne, a second.  One in which something went wrong says how much is too much. */
static double
size_borne(const char *path, const char *profile)
{
	static const struct json_bounds bounds = { .octets = SIZE_FILE,
		.depth = 8,
		.values = 10000 };
	static const char *const faults[] = { "refused", "broken", "lost", "twice", "astray",
		"unseen" };
	struct buf text = { 0 };
	struct json_t *run;
	const char *why;
	double rate;

	size_slurp(path, &text);
	if (json_read(buf_get(&text), &bounds, &run, &why) < 0)
		size_die(EX_DATAERR, path, why);
	if (!slice_eq(json_text(json_find(run, S("profile"))), slice_str(profile)))
		size_die(EX_DATAERR, path, mem_printf("no run of the profile %s (-j)", profile));
	for (size_t i = 0; i < NELEM(faults); i++)
		if (size_count(run, faults[i]) > 0)
			size_die(EX_DATAERR, path,
			    mem_printf("some were %s: that was more than the host bears",
				faults[i]));
	if (size_count(run, "us") == 0 || size_count(run, "good") == 0)
		size_die(EX_DATAERR, path, "nothing was good");
	rate = (double)size_count(run, "good") * 1e6 / (double)size_count(run, "us");
	json_free(&run);
	buf_fini(&text);
	return rate;
}

static void
size_take(const char *arg)
{
	struct slice value = slice_str(arg), name = S("");

	(void)slice_cut(&value, '=', &name);
	for (size_t i = 0; i < SIZE_KEYS; i++) {
		if (!slice_eq(name, slice_str(keys[i].name)) || name.n == strlen(arg))
			continue;
		if (!size_number(value.p, &keys[i].value)) {
			if (!keys[i].rate)
				size_die(EX_USAGE, arg, "not a number");
			keys[i].value = size_borne(value.p, keys[i].rate);
		}
		if (keys[i].value < keys[i].least || keys[i].value > keys[i].most)
			size_die(EX_USAGE, arg,
			    mem_printf("must be %g to %g", keys[i].least, keys[i].most));
		return;
	}
	size_die(EX_USAGE, arg, "no such key");
}

/* ---- what comes of it ---------------------------------------------------------------------------- */

enum { NEED_WORK, NEED_MEMORY, NEED_DISK, NEEDS };
static const char *const need_names[NEEDS] = { "work", "memory", "disk" };

struct tier {
	const char *name;
	double need[NEEDS]; /* hosts that would do for it */
	bool spare;         /* `lose` more of them */
};

static double
size_at(enum size_key k)
{
	return keys[k].value;
}

/* Of things a day for each user, a second in the busiest hour. */
static double
size_peak(enum size_key a_day)
{
	return size_at(K_USERS) * size_at(a_day) * size_at(K_BUSY) / 3600;
}

static void
tier_put(const struct tier *t)
{
	int first = NEED_WORK;
	double hosts;

	for (int i = 0; i < NEEDS; i++)
		if (t->need[i] > t->need[first])
			first = i;
	hosts = (double)(int64_t)t->need[first];
	hosts += t->need[first] > hosts + 1e-9;
	if (hosts < 1)
		hosts = 1;
	hosts += t->spare ? size_at(K_LOSE) : 0;
	if (size_json)
		printf("{\"tier\":\"%s\",\"hosts\":%.0f,\"first\":\"%s\",\"work\":%.4f,\"memory\":%"
		       ".4f,\"disk\":%.4f}\n",
		    t->name, hosts, need_names[first], t->need[NEED_WORK], t->need[NEED_MEMORY],
		    t->need[NEED_DISK]);
	else
		printf("%-8s %6.0f   %-7s %8.2f %8.2f %8.2f\n", t->name, hosts, need_names[first],
		    t->need[NEED_WORK], t->need[NEED_MEMORY], t->need[NEED_DISK]);
}

static void
tier_unknown(const char *name, const char *key)
{
	if (!size_json)
		printf("%-8s      ?   %s= is not given: measure it\n", name, key);
}

static double
size_open(void)
{
	return size_at(K_USERS) * size_at(K_OPEN);
}

/* The system itself and what daemons need at rest have a fifth of the memory. */
static double
size_memory(double octets)
{
	return octets / (0.8 * size_at(K_MEMORY));
}

static double
size_work(double peak, enum size_key rate)
{
	return peak > 0 ? peak / (size_at(rate) * size_at(K_USE)) : 0;
}

static void
size_relays(void)
{
	if (size_at(K_RELAY) > 0)
		tier_put(&(
		    struct tier){ "relay", { size_work(size_peak(K_MAIL), K_RELAY), 0, 0 }, true });
	else
		tier_unknown("relay", "relay");
	if (size_at(K_OUT) > 0)
		tier_put(
		    &(struct tier){ "out", { size_work(size_peak(K_SENT), K_OUT), 0, 0 }, true });
	else
		tier_unknown("out", "out");
}

static void
size_proxies(void)
{
	if (size_at(K_PROXY) > 0)
		tier_put(&(struct tier){ "proxy",
		    { size_work(size_peak(K_IMAP_DAY) + size_peak(K_POP_DAY), K_PROXY),
			size_memory(size_open() * size_at(K_PAIR)), 0 },
		    true });
	else
		tier_unknown("proxy", "proxy");
}

/* A store does all of it, so that what each takes is added. */
static void
size_stores(void)
{
	double messages = size_at(K_USERS) * size_at(K_MAILBOX) / size_at(K_SIZE);
	double disk = messages * (size_at(K_SIZE) + size_at(K_OVER));
	double memory =
	    size_open() * size_at(K_SESSION) + messages * size_at(K_INDEX) * size_at(K_HOT);
	static const struct {
		enum size_key a_day, rate;
	} work[] = { { K_MAIL, K_LMTP }, { K_IMAP_DAY, K_IMAP }, { K_POP_DAY, K_POP3 } };
	double sum = 0;

	for (size_t i = 0; i < NELEM(work); i++) {
		if (size_peak(work[i].a_day) > 0 && size_at(work[i].rate) == 0) {
			tier_unknown("store", keys[work[i].rate].name);
			return;
		}
		sum += size_work(size_peak(work[i].a_day), work[i].rate);
	}
	tier_put(&(struct tier){ "store",
	    { sum, size_memory(memory), disk / (size_at(K_DISK) * size_at(K_FULL)) }, false });
}

static int
size_main(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		size_take(argv[i]);
	if (!size_json) {
		printf("%.0f users; in the busiest hour, a second: %.2f messages come, %.2f go, "
		       "%.2f sessions begin; %.0f are open\n",
		    size_at(K_USERS), size_peak(K_MAIL), size_peak(K_SENT),
		    size_peak(K_IMAP_DAY) + size_peak(K_POP_DAY), size_open());
		printf("tier      hosts   for         work   memory     disk\n");
	}
	size_relays();
	size_proxies();
	size_stores();
	return fflush(stdout) != 0 ? EX_IOERR : 0;
}

static bool
size_option(int letter, const char *value UNUSED)
{
	size_json = letter == 'j';
	return size_json;
}

static const struct option longs[] = { { "json", no_argument, NULL, 'j' }, { 0 } };

const struct program load_size_program = {
	.name = "tiermail-load size",
	.kind = PROGRAM_TOOL,
	.about = "turns what hosts have borne into how many are needed",
	.operands = "[key=value ...]",
	.letters = "j",
	.longs = longs,
	.help = "  -j, --json            one JSON object for each tier\n"
		"people: users, mail, sent, sessions, pops (each a day), open (sessions a user), "
		"busy,\n"
		"  size, mailbox\n"
		"one host bears, a second, or the file of a run with -j: relay, out, lmtp, imap, "
		"pop3, proxy\n"
		"hosts: use, lose, memory, disk, full, session, pair, index, hot, overhead\n",
	.option = size_option,
	.run = size_main,
};
