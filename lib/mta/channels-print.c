/* channels-print.c: a set of channels as a file that says the same, with every key: see channels.h. */
#include "mta/channels-impl.h"

static void
print_periods(struct buf *out, const char *key, const struct mta_times *p)
{
	buf_printf(out, "%s =", key);
	for (uint32_t i = 0; i < p->n; i++)
		buf_printf(out, " %us", p->s[i]);
	buf_char(out, '\n');
}

void
channels_print(const struct channels *cs, struct buf *out)
{
	static const char *const tls[] = { "off", "may", "must" };

	for (size_t i = 0; i < cs->nchannel; i++) {
		const struct channel *c = &cs->channel[i];

		buf_printf(out,
		    "\n[channel %s]\nprotocol = %s\ntls = %s\npool = \"%s\"\nmaxjobs = "
		    "%lld\nminjobs = %lld\n"
		    "idle_exit = %lldms\n",
		    c->name, channels_protocol_word(c->protocol), tls[c->tls], c->pool,
		    (long long)c->maxjobs, (long long)c->minjobs, (long long)c->idle_exit);
		buf_printf(out, "slots = %lld\nthreaddepth = %lld\nconcurrency_start = %lld\n",
		    (long long)c->slots, (long long)c->threaddepth, (long long)c->dest_start);
		buf_printf(out, "concurrency = %lld\nbig = %lld\nxforward = %s\n",
		    (long long)c->dest_max, (long long)c->big, c->xforward ? "yes" : "no");
		channels_rate_print(out, "rate", &c->rate);
		channels_rate_print(out, "rate_total", &c->rate_total);
		print_periods(out, "urgentbackoff", &c->backoff[0]);
		print_periods(out, "normalbackoff", &c->backoff[1]);
		print_periods(out, "nonurgentbackoff", &c->backoff[2]);
		print_periods(out, "notices", &c->notices);
		for (int p = 0; p < 3; p++)
			channels_window_print(out, p, &c->window[p]);
		buf_printf(out,
		    "relay = \"%s\"\nport = %lld\nsource = \"%s\"\nhelo = \"%s\"\ncut_through = "
		    "%s\n"
		    "defragment = %s\nconvert = %s\nstopped = %s\n",
		    c->relay, (long long)c->port, c->source, c->helo, c->cut_through ? "yes" : "no",
		    c->defragment ? "yes" : "no", c->convert ? "yes" : "no",
		    c->stopped ? "yes" : "no");
		channels_auth_print(out, c);
		channels_users_print(out, c);
	}
	for (size_t i = 0; i < cs->nhost; i++)
		buf_printf(out, "\n[host %s]\nlmtp = %s\ntls = %s\n", cs->host[i].name,
		    cs->host[i].lmtp, tls[cs->host[i].tls]);
	for (size_t i = 0; i < cs->nroute; i++)
		buf_printf(out, "\n[route %s]\nchannel = %s\nrelay = \"%s\"\n", cs->route[i].domain,
		    cs->route[i].channel, cs->route[i].relay);
	channels_replies_print(cs, out);
}
