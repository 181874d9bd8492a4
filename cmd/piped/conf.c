/* piped/conf.c: the keys of piped.conf, and the list of programs.
 *
 * Read by the front and, with its own privileges and from the file alone, by the helper: what may be
 * run comes from nowhere else.  The program native is made of the keys of [native], so that nobody
 * below has to know that it is none. */
#include "piped.h"

struct piped_conf pconf;

#define KEY(name, type, field, dflt, min, max, when, choices, help)                                \
	{                                                                                          \
		name, type, &pconf.field, dflt, min, max, when, choices, help                      \
	}
#define AT(field) (void *)offsetof(struct piped_program, field)
#define MS(s)     ((s)*1000)

/* clang-format off */
static const struct conf_key program_keys[] = {
	{ "command", CONF_STR, AT(command), NULL, 0, 0, RELOAD, NULL,
	    "Path of the program and its arguments, in which ${NAME} is a variable; no shell." },
	{ "run_as", CONF_STR, AT(user), "", 0, 0, RELOAD, NULL,
	    "The user of this host as whom it runs; empty is the recipient." },
	{ "folder", CONF_STR, AT(folder), "", 0, 0, RELOAD, NULL,
	    "The folder in which it runs; empty is the user's home." },
	{ "time", CONF_TIME, AT(time), "1m", 100, MS(300), RELOAD, NULL,
	    "Time that a run may take." },
	{ "output", CONF_SIZE, AT(output), "64K", 0, 1073741824, RELOAD, NULL,
	    "Most octets that it may write to standard output and error." },
	{ "memory", CONF_SIZE, AT(memory), "512M", 0, INT64_MAX, RELOAD, NULL,
	    "Address space of each of its processes; 0 is no limit." },
	{ "file_size", CONF_SIZE, AT(file_size), "256M", 0, INT64_MAX, RELOAD, NULL,
	    "Largest file that it may write; 0 is no limit." },
	{ "processes", CONF_INT, AT(processes), "64", 1, 100000, RELOAD, NULL,
	    "Most processes of its user, all that he has on this host counted." },
	{ "parallel", CONF_INT, AT(parallel), "5", 1, 1000, RELOAD, NULL,
	    "Runs of it at a time." },
	{ "from_line", CONF_BOOL, AT(from_line), "no", 0, 0, RELOAD, NULL,
	    "Begin with a From_ line as in a mailbox, and quote lines that look like one." },
	{ "return_path", CONF_BOOL, AT(return_path), "yes", 0, 0, RELOAD, NULL,
	    "Add a Return-Path field." },
	{ "delivered_to", CONF_BOOL, AT(delivered_to), "yes", 0, 0, RELOAD, NULL,
	    "Add a Delivered-To field." },
	{ "arguments", CONF_BOOL, AT(arguments), "no", 0, 0, RELOAD, NULL,
	    "Whether scripts (pipe) may add arguments of theirs to the command." },
	{ "crlf", CONF_BOOL, AT(crlf), "no", 0, 0, RELOAD, NULL,
	    "End lines in CR LF, not in LF." },
};

static const struct conf_section sections[] = {
	{ "program", sizeof(struct piped_program), program_keys, NELEM(program_keys),
	    (void ***)&pconf.programs, offsetof(struct piped_program, name),
	    "A program that mail may be given to." },
};

static const struct conf_key keys[] = {
	KEY("temp", CONF_STR, temp, "/var/tmp", 0, 0, RESTART, NULL,
	    "Folder for messages on their way, in files without a name."),
	KEY("limit.clients", CONF_INT, clients, "200", 1, 100000, RELOAD, "connections",
	    "Sessions at once."),
	KEY("limit.programs", CONF_INT, running, "20", 1, 10000, RELOAD, NULL,
	    "Programs that run at a time."),
	KEY("limit.per_user", CONF_INT, per_user, "2", 1, 10000, RELOAD, NULL,
	    "Of these, with one recipient's mail."),
	KEY("limit.wait", CONF_TIME, t_wait, "1m", 10, MS(240), RELOAD, NULL,
	    "Time that a message waits for its turn before its sender is to try again."),
	KEY("limit.min_uid", CONF_INT, min_uid, "1000", 1, 4294967294LL, RELOAD, NULL,
	    "Least uid of recipients as whom programs run."),
	KEY("message.size", CONF_SIZE, size_max, "100M", 1024, 4294967295LL - 65536, RELOAD, NULL,
	    "Largest message."),
	KEY("message.recipients", CONF_INT, recipients_max, "10", 1, 100, RELOAD, NULL,
	    "Most recipients of one transaction."),
	KEY("native.deliver", CONF_BOOL, native, "no", 0, 0, RELOAD, NULL,
	    "Deliver into mailbox files, for mailDeliveryOption native and unix."),
	KEY("native.folder", CONF_STR, native_folder, "/var/mail", 0, 0, RELOAD, NULL,
	    "The folder of these files, each named like its user."),
	KEY("native.group", CONF_STR, native_group, "mail", 0, 0, RELOAD, NULL,
	    "The group that may make files in it; empty is the user's own."),
	KEY("native.time", CONF_TIME, native_time, "1m", 100, MS(300), RELOAD, NULL,
	    "Time for a delivery, with the wait for the lock."),
	KEY("native.parallel", CONF_INT, native_parallel, "5", 1, 1000, RELOAD, NULL,
	    "Deliveries into mailbox files at a time."),
	KEY("timeout.command", CONF_TIME, t_command, "5m", MS(1), MS(86400), RELOAD, NULL,
	    "Time limit for the next command."),
	KEY("timeout.data", CONF_TIME, t_data, "2m", MS(1), MS(86400), RELOAD, NULL,
	    "Time limit between two pieces of a message."),
};
/* clang-format on */

const struct conf_schema piped_schema = { keys, NELEM(keys), sections, NELEM(sections) };

const struct piped_program *
piped_program_find(struct slice name)
{
	static char native_name[] = PIPED_NATIVE, none[] = "";
	static struct piped_program native;

	if (slice_eq(name, S(PIPED_NATIVE))) {
		native = (struct piped_program){ .name = native_name,
			.command = none,
			.user = none,
			.folder = none,
			.time = pconf.native_time,
			.output = 4096,
			.processes = 0,
			.parallel = pconf.native_parallel,
			.from_line = true };
		return pconf.native ? &native : NULL;
	}
	for (struct piped_program **p = pconf.programs; p && *p; p++)
		if (slice_eq(name, slice_str((*p)->name)))
			return *p;
	return NULL;
}

/* Every ${NAME} in it is one that child.c knows. */
static bool
command_variables_ok(const char *text, const char *where, struct buf *why)
{
	static const char *const names[] = { "sender", "recipient", "user", "local", "domain",
		"extension", "queue_id", "size" };
	struct slice rest = slice_str(text);
	bool good = true;

	for (size_t at; (at = slice_find_str(rest, S("${"))) < rest.n;) {
		struct slice name;
		bool known = false;

		rest = slice_from(rest, at + 2);
		name = slice_sub(rest, 0, slice_find(rest, '}'));
		for (size_t i = 0; i < NELEM(names) && name.n < rest.n; i++)
			known |= slice_eq(name, slice_str(names[i]));
		if (!known)
			buf_printf(why, "%s: command: ${" SFMT "} is no variable\n", where,
			    SARG(name));
		good = good && known;
	}
	return good;
}

bool
piped_program_check(struct buf *why)
{
	bool good = true;

	for (struct piped_program **l = pconf.programs; l && *l; l++) {
		const struct piped_program *p = *l;
		const char *where = conf_where(&p->command);

		if (!order_name_ok(slice_str(p->name)) || strcmp(p->name, PIPED_NATIVE) == 0) {
			buf_printf(why,
			    "%s: [program %s]: a name is 1 to 64 letters, digits, . _ -, and not "
			    "native\n",
			    where, p->name);
			good = false;
		}
		if (p->command[0] != '/') {
			buf_printf(why, "%s: command = %s: must begin with /\n", where, p->command);
			good = false;
		}
		if (strcmp(p->user, "root") == 0) {
			buf_printf(why, "%s: run_as = root: nothing is run as root\n",
			    conf_where(&p->user));
			good = false;
		}
		good &= command_variables_ok(p->command, where, why);
	}
	for (struct daemon_listen **l = daemon_listeners(); l && *l; l++)
		if (strncmp((*l)->address, "unix:", 5) != 0) {
			buf_printf(why, "%s: address = %s: must be unix:PATH, of this host alone\n",
			    conf_where(&(*l)->address), (*l)->address);
			good = false;
		}
	return good;
}
