/* daemon/announce.c: for whom connections are: listeners behind a proxy (net/proxyproto.h).
 *
 * Owns the connections whose PROXY header is still on its way, ANNOUNCE_WAITING of them at most in a
 * worker; worker.c gives it what is accepted, and each goes on to program.accept or is closed.  Can fail:
 * the header, which is logged.  Must stay true: a listener speaks either PROXY or not, nobody outside of
 * proxy.networks announces anything, what stands behind the header is left in the socket, and whoever it is
 * of whom a proxy says nothing is not taken for the proxy.  Apart from the programs, so that none of them
 * has to know. */
#include <unistd.h>
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon-impl.h"
#include "net/proxyproto.h"

/* A proxy sends the header in its first packet; a lost one comes again after a second or three. */
#define ANNOUNCE_MS 5000
/* A descriptor and up to PROXYPROTO_MAX octets each. */
#define ANNOUNCE_WAITING 4096

struct announce {
	struct list link;
	struct daemon_listen *listen;
	int fd;
	struct addr peer; /* the proxy */
	struct op op;
};

static struct list waiting;
static size_t nwaiting;
/* While program.accept runs: whom the header announces; or that it announces nobody. */
static const struct addr *announced;
static bool nobody;

static void
peer_of(int fd, struct addr *peer)
{
	memset(peer, 0, sizeof(*peer));
	peer->len = sizeof(peer->ss);
	if (getpeername(fd, &peer->sa, &peer->len) < 0) {
		/* Who has hung up already has no address any more, and is not somebody on this host
		 * for that: 0.0.0.0 is nobody's. */
		int domain = AF_INET;
		socklen_t n = sizeof(domain);

		(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
		memset(peer, 0, sizeof(*peer));
		peer->sa.sa_family = domain == AF_UNIX ? AF_UNIX : AF_INET;
		peer->len = domain == AF_UNIX ? sizeof(peer->sa.sa_family) : sizeof(peer->in);
	}
	addr_unmap(peer);
}

bool
daemon_peer(int fd, struct addr *peer)
{
	if (!announced) {
		peer_of(fd, peer);
		return nobody;
	}
	*peer = *announced;
	return true;
}

bool
daemon_peer_nobody(void)
{
	return nobody;
}

static void
announce_refuse(const struct daemon_listen *l, const struct addr *peer, int fd, const char *why)
{
	char text[ADDR_TEXT];

	log_event(LOG_WARN, "proxy_refused", "listen=%s peer=%s why=%s", log_str(l->name),
	    addr_write(peer, text), log_str(why));
	(void)close(fd);
}

static void
announce_give(struct daemon_listen *l, int fd)
{
	if (health_role(l) != HEALTH_NONE)
		health_accept(l, fd);
	else
		daemon_self.d->accept(l, fd);
}

static void
announce_done(void *arg, const struct proxyproto *p, const char *why)
{
	struct announce *a = arg;
	char proxy[ADDR_TEXT], from[ADDR_TEXT];

	list_remove(&a->link);
	nwaiting--;
	if (!p) {
		announce_refuse(a->listen, &a->peer, a->fd, why);
	} else {
		if (!p->local) {
			announced = &p->from;
			if (log_wants(LOG_DEBUG))
				log_event(LOG_DEBUG, "proxy", "listen=%s proxy=%s peer=%s",
				    log_str(a->listen->name), addr_write(&a->peer, proxy),
				    addr_write(&p->from, from));
		}
		nobody = p->local;
		announce_give(a->listen, a->fd);
		announced = NULL;
		nobody = false;
	}
	mem_free(&a);
}

static bool
announce_trusts(const struct addr *peer)
{
	for (char **n = daemon_self.proxy_networks; n && *n; n++)
		if (addr_in(peer, slice_str(*n)) > 0)
			return true;
	return false;
}

void
announce_accept(struct daemon_listen *l, int fd)
{
	struct announce *a;
	struct addr peer;

	if (!l->proxy) {
		announce_give(l, fd);
		return;
	}
	peer_of(fd, &peer);
	if (peer.sa.sa_family == AF_INET && peer.in.sin_port == 0) {
		(void)close(
		    fd); /* a balancer that wanted to know whether we listen, and has gone */
		return;
	}
	if (!announce_trusts(&peer) || nwaiting >= ANNOUNCE_WAITING) {
		announce_refuse(l, &peer, fd,
		    nwaiting >= ANNOUNCE_WAITING ? "too many without a header" :
						   "not in proxy.networks");
		return;
	}
	a = mem_new(sizeof(*a));
	a->listen = l;
	a->fd = fd;
	a->peer = peer;
	if (!waiting.next)
		list_init(&waiting);
	list_push(&waiting, &a->link);
	nwaiting++;
	proxyproto_start(daemon_self.current, fd, ANNOUNCE_MS, &a->op, announce_done, a);
}

bool
announce_waits(void)
{
	return nwaiting > 0;
}

void
announce_drain(void)
{
	struct announce *a;

	while (waiting.next && (a = list_first(&waiting, struct announce, link))) {
		op_cancel(&a->op);
		list_remove(&a->link);
		nwaiting--;
		(void)close(a->fd);
		mem_free(&a);
	}
}
