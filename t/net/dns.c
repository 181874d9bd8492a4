/* DNS through a private nsd: MX, null MX, addresses, missing names, literals, time limit. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/dns.h"
#include "../tap.h"

static struct loop loop;
static struct dns *dns;
static char dir[] = "/tmp/tiermail-dns-XXXXXX";
static char text[1000];
static int status, calls;

static void
answered(void *arg UNUSED, const struct dns_answer *a)
{
	char one[ADDR_TEXT];
	size_t n = 0;

	calls++;
	status = a->status;
	text[0] = '\0';
	for (size_t i = 0; i < a->nmx; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%d %s;", a->mx[i].preference,
		    a->mx[i].host);
	for (size_t i = 0; i < a->naddrs; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s;",
		    addr_host(&a->addrs[i], one));
	loop_stop(&loop);
}

static void
mx(const char *name, int want_status, const char *want)
{
	struct op op = { 0 };

	dns_mx_start(dns, name, &op, answered, NULL);
	loop_run(&loop);
	eq(status, want_status, "MX of %s: status", name);
	is(text, want, "MX of %s", name);
}

static void
addresses(const char *name, int want_status, const char *want)
{
	struct op op = { 0 };

	dns_addr_start(dns, name, &op, answered, NULL);
	loop_run(&loop);
	eq(status, want_status, "addresses of %s: status", name);
	is(text, want, "addresses of %s", name);
}

static void
write_file(const char *name, const char *body)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	must(f);
	fputs(body, f);
	must(fclose(f) == 0);
}

static int
free_port(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct addr a;

	must(addr_parse(S("127.0.0.1:0"), &a) == 0 && bind(fd, &a.sa, a.len) == 0);
	must(getsockname(fd, &a.sa, &a.len) == 0);
	close(fd);
	return addr_port(&a);
}

static pid_t
start_nsd(int port)
{
	char conf[1000], path[100];
	pid_t pid;

	snprintf(conf, sizeof(conf),
	    "server:\n ip-address: 127.0.0.1@%d\n username: \"\"\n chroot: \"\"\n zonesdir: "
	    "\"%s\"\n"
	    " database: \"\"\n pidfile: \"%s/pid\"\n xfrdfile: \"%s/xfrd\"\n zonelistfile: "
	    "\"%s/zl\"\n"
	    " xfrdir: \"%s\"\n logfile: \"%s/log\"\nremote-control:\n control-enable: no\n"
	    "zone:\n name: mail.test\n zonefile: mail.test.zone\n",
	    port, dir, dir, dir, dir, dir, dir);
	write_file("nsd.conf", conf);
	write_file("mail.test.zone",
	    "$ORIGIN mail.test.\n$TTL 60\n"
	    "@ SOA ns.mail.test. root.mail.test. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
	    "@ MX 20 backup\n@ MX 10 Primary\nprimary A 192.0.2.1\nprimary AAAA ::1\n"
	    "backup A 192.0.2.2\nnull MX 0 .\nalias CNAME primary\nmixed MX 0 .\nmixed MX 5 "
	    "backup\n"
	    "empty TXT \"x\"\n");
	snprintf(path, sizeof(path), "%s/nsd.conf", dir);
	pid = fork();
	if (pid == 0) {
		execlp("nsd", "nsd", "-d", "-c", path, (char *)NULL);
		execl("/usr/sbin/nsd", "nsd", "-d", "-c", path, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* Asks until nsd answers, which it does a moment after its start. */
static bool
nsd_answers(int port)
{
	static const unsigned char ask[] = "\x12\x34\0\0\0\1\0\0\0\0\0\0\4mail\4test\0\0\6\0\1";
	struct timeval wait = { .tv_usec = 50000 };
	unsigned char reply[512];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct addr a;
	bool yes = false;

	must(addr_parse(S("127.0.0.1"), &a) == 0);
	addr_set_port(&a, port);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	must(connect(fd, &a.sa, a.len) == 0);
	for (int i = 0; i < 1000 && !yes; i++) {
		(void)!send(fd, ask, sizeof(ask) - 1, 0);
		yes = recv(fd, reply, sizeof(reply), 0) > 12;
		if (!yes)
			usleep(20000);
	}
	close(fd);
	return yes;
}

/* The hosts file is another one: the next question is asked of it.  What was under way comes to
 * its end with the settings that it was asked with. */
static void
test_change(struct dns_params *p)
{
	struct op op = { 0 };
	char *why = NULL;

	dns = dns_new(&loop, p, &why);
	must(dns);
	write_file("hosts", "192.0.2.78 named.example\n192.0.2.79 more.example\n");
	addresses("named.example", 0, "192.0.2.78;");
	calls = 0;
	dns_addr_start(dns, "more.example", &op, answered, NULL);
	write_file("hosts2", "192.0.2.80 named.example\n");
	p->hosts = "/nowhere";
	ok(dns_change(dns, p, &why) == -EINVAL && why, "settings that are wrong are refused");
	mem_free(&why);
	p->hosts = mem_printf("%s/hosts2", dir);
	ok(dns_change(dns, p, &why) == 0 && !why, "others are taken");
	loop_run(&loop);
	ok(calls == 1 && op_pending(&op) == 0, "what was asked before is answered");
	is(text, "192.0.2.79;", "by the old ones");
	addresses("named.example", 0, "192.0.2.80;");
	dns_free(&dns);
	free((char *)(uintptr_t)p->hosts);
}

static void
test_timeout(void)
{
	struct dns_params p = { .stubs = "silent.test=127.0.0.1@9", .timeout_ms = 300 };
	struct op op = { 0 };
	char stubs[100], *why;
	struct addr a;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(addr_parse(S("127.0.0.1:0"), &a) == 0 && bind(fd, &a.sa, a.len) == 0);
	must(getsockname(fd, &a.sa, &a.len) == 0);
	snprintf(stubs, sizeof(stubs), "silent.test=127.0.0.1@%d", addr_port(&a));
	p.stubs = stubs;
	dns = dns_new(&loop, &p, &why);
	must(dns);
	mx("silent.test", -EAGAIN, "");
	calls = 0;
	dns_mx_start(dns, "other.silent.test", &op, answered, NULL);
	op_cancel(&op);
	dns_mx_start(dns, "third.silent.test", &op, answered, NULL);
	dns_free(&dns);
	uv_run(&loop.uv, UV_RUN_NOWAIT);
	ok(calls == 0 && !op_pending(&op), "nothing comes after cancel or dns_free");
	close(fd);
}

int
main(void)
{
	char stubs[100], hosts[100], cmd[100], *why = NULL;
	struct dns_params p = { .stubs = stubs, .hosts = hosts, .timeout_ms = 5000 };
	int port = free_port();
	pid_t nsd;

	must(mkdtemp(dir));
	loop_init(&loop);
	snprintf(stubs, sizeof(stubs), "mail.test=127.0.0.1@%d", port);
	snprintf(hosts, sizeof(hosts), "%s/hosts", dir);
	write_file("hosts", "192.0.2.77 named.example\n");
	dns = dns_new(&loop, &p, &why);
	must(dns);
	addresses("192.0.2.9", 0, "192.0.2.9;");
	addresses("[192.0.2.9]", 0, "192.0.2.9;");
	addresses("[IPv6:2001:db8::9]", 0, "2001:db8::9;");
	mx("[192.0.2.9]", -ENODATA, "");
	addresses("", -ENOENT, "");
	addresses("not a name", -ENOENT, "");
	addresses("named.example", 0, "192.0.2.77;");
	addresses("localhost", 0, "::1;127.0.0.1;");
	addresses("LocalHost.", 0, "::1;127.0.0.1;");
	addresses("a.localhost", 0, "::1;127.0.0.1;");
	nsd = start_nsd(port);
	if (nsd > 0 && nsd_answers(port)) {
		mx("mail.test", 0, "10 primary.mail.test;20 backup.mail.test;");
		mx("null.mail.test", 0, "0 ;");
		mx("mixed.mail.test", 0, "5 backup.mail.test;");
		mx("empty.mail.test", -ENODATA, "");
		mx("missing.mail.test", -ENOENT, "");
		addresses("primary.mail.test", 0, "::1;192.0.2.1;");
		addresses("alias.mail.test", 0, "::1;192.0.2.1;");
		addresses("missing.mail.test", -ENOENT, "");
		addresses("empty.mail.test", -ENODATA, "");
	} else {
		printf("ok # SKIP no nsd\n");
		tap_run++;
	}
	if (nsd > 0) {
		kill(nsd, SIGTERM);
		waitpid(nsd, NULL, 0);
	}
	dns_free(&dns);
	test_change(&p);
	test_timeout();
	loop_fini(&loop);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd) == 0 ? done() : 1;
}
