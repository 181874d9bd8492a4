/* admind: the API of administration and its console: keys, tables and one call; see admind(8).
 *
 * Owns admind, what all sessions of a worker share; session.c has the sessions.  Called by
 * lib/daemon.  A start can fail by the keys alone: the directory may be away and is waited for.  It binds as an
 * account that may act for people and can change nothing itself, so that whatever somebody could make this
 * program do is what slapd lets that person do. */
#include <errno.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/program.h"
#include "admind.h"

struct admind admind;

/* clang-format off */
static const struct metric metrics[] = {
	[M_CONNECTIONS] = { "admin_connections", COUNTER, "Connections accepted." },
	[M_SESSIONS] = { "admin_sessions", GAUGE, "Connections open." },
	[M_REQUESTS] = { "admin_requests", COUNTER, "Requests." },
	[M_BAD] = { "admin_requests_bad", COUNTER, "Requests that were none, or too large." },
	[M_LOGIN_FAILED] = { "admin_logins_failed", COUNTER, "Requests refused for their name or password." },
	[M_LOGINS] = { "admin_logins", COUNTER, "Logins by the console's form." },
	[M_VERBS] = { "admin_verbs", COUNTER, "Verbs that ran." },
	[M_REFUSED] = { "admin_verbs_refused", COUNTER, "Verbs that came to nothing." },
	[M_VERB_US] = { "admin_verb_seconds", COUNTER_US, "Time that they took." },
	[M_SCIM] = { "admin_scim", COUNTER, "Requests of SCIM for users, groups or many operations." },
	[M_SCIM_REFUSED] = { "admin_scim_refused", COUNTER, "Those of them that came to nothing." },
	[M_AGENTS] = { "admin_agents", GAUGE, "Connections to the directory that are in use." },
	[M_DIRECTORY] = { "admin_directory_blind", GAUGE, DIR_METRIC_HELP },
	[M_JOBS] = { "admin_jobs", COUNTER, "Jobs that were done here, to an end or a stop." },
	[M_JOBS_FAILED] = { "admin_jobs_failed", COUNTER, "Those of them that came to nothing." },
	[M_JOBS_RUNNING] = { "admin_jobs_running", GAUGE, "Jobs that are done here or looked for now." },
	{ NULL, COUNTER, NULL },
};
/* clang-format on */

static int
admind_start(struct loop *l)
{
	admind.loop = l;
	list_init(&admind.sessions);
	list_init(&admind.agents);
	list_init(&admind.pages);
	list_init(&admind.turns);
	admit_open(shared.rundir, &admind_admit);
	admind.dir = dir_new(l);
	dir_metric(admind.dir, M_DIRECTORY);
	admind_front_read();
	admind.door = login_door_new(l, admind.dir, &admin_conf.auth_delay);
	admind_jobs_start();
	return 0;
}

static void
admind_reload(void)
{
	admind_page_close();
	admind_agent_close();
	admind_front_read();
	dir_reload(admind.dir);
}

/* "forget USER": the password was changed, or the account closed. */
static bool
admind_control(struct slice line, struct buf *out)
{
	struct slice account;

	if (!daemon_forget_parse(line, &account))
		return false;
	dir_forget(admind.dir, account);
	buf_printf(out, "ok sessions=%zu\n", admind_session_end_user(account));
	return true;
}

static void
admind_status(struct buf *b)
{
	buf_printf(b, "sessions=%zu sessions_all=%zu working=%zu agents=%zu pages=%zu\n",
	    admind.nsessions, admit_sessions(), admind.working, admind.nagents, admind.npages);
	dir_status(admind.dir, b);
	buf_char(b, '\n');
	admind_front_status(b);
}

static void
admind_paths(void)
{
	/* The folder: a log that was moved away is begun anew. */
	const char *slash = strrchr(admin_conf.audit_file, '/');
	char *folder =
	    mem_strn(admin_conf.audit_file, slash ? (size_t)(slash - admin_conf.audit_file) : 0);

	if (*folder && mkdir(folder, 0750) < 0 && errno != EEXIST)
		log_event(LOG_ERROR, "admin_audit", "file=%s why=%s",
		    log_str(admin_conf.audit_file), log_str(strerror(errno)));
	sandbox_write(folder);
	for (char **l = admin_conf.logs; l && *l; l++)
		sandbox_read(*l);
	if (!(admin_conf.logs && *admin_conf.logs) && strncmp(shared.log_to, "dir:", 4) == 0)
		sandbox_read(shared.log_to + 4);
	sandbox_read(admin_conf.www);
	sandbox_read_beside(admin_conf.keys);
	mem_free(&folder);
}

static bool
admind_check(struct buf *why)
{
	bool good = login_door_check(why);

	good = admind_front_check(why) && good;

	for (struct daemon_listen **l = daemon_listeners(); *l; l++)
		if ((*l)->tls == TLS_STARTTLS) {
			buf_printf(why, "%s: [listen %s] tls: off or implicit\n",
			    conf_where(&(*l)->tls), (*l)->name);
			good = false;
		}
	return good;
}

static const struct program admind_program = {
	.name = "admind",
	.about = "the API of administration and its console",
	.may = "inet",
	.file = "admind.conf",
	.schema = &admin_conf_schema,
	.listens = true,
	.workers = &admin_conf.workers,
	.metrics = metrics,
	.paths = admind_paths,
	.start = admind_start,
	.accept = admind_session_new,
	.reload = admind_reload,
	.drain = admind_session_drain_all,
	.status = admind_status,
	.sessions = &admind_session_verbs,
	.control = admind_control,
	.check = admind_check,
};

int
main(int argc, char **argv)
{
	return program_run(&admind_program, argc, argv);
}
