/* tiermail-load/run.c: clients, and whose turn it is.
 *
 * Owns the loop and the clients for the time of a run.  Called by main.c and mailboxes.c.  Can fail: each message or
 * session, which is counted.  Must stay true: with a rate, a time runs from the moment at which the message was
 * due, whether or not a client was free: a server that stalls for a second makes all that were due in it late, and
 * the figures say so; each unit is counted once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "load.h"

#define RUN_AGAIN_MS 100 /* after a connection that did not come about */

static void client_turn(struct client *c);
static void client_connect(struct client *c);

/* ---- a unit ------------------------------------------------------------------------------------------------- */

static const struct step *
client_step_now(const struct client *c)
{
	return &c->profile->steps[c->step];
}

static const char *
client_step_name(const struct client *c)
{
	return c->connected ? client_step_now(c)->name : "connect";
}

static void
client_time(const struct client *c, const char *name, uint64_t since_us)
{
	if (!c->run->quiet)
		figures_add(name, clock_mono_us() - since_us);
}

static void
client_over(struct client *c, bool good)
{
	c->working = false;
	if (c->run->over)
		c->run->over(c, good);
}

static void
client_failed(struct client *c, uint64_t *count, const char *words)
{
	if (!c->working)
		return;
	(*count)++;
	if (!c->run->quiet)
		figures_fail(client_step_name(c));
	if (!*c->run->first)
		(void)snprintf(c->run->first, sizeof(c->run->first), "%s: %s", client_step_name(c),
		    words);
	client_over(c, false);
}

/* Where another message on the same connection begins; at the end: a profile has one session on each. */
static size_t
client_begins(const struct client *c)
{
	size_t i = 0;

	while (c->profile->steps[i].name && !c->profile->steps[i].begins)
		i++;
	return i;
}

static void
client_leave(struct client *c)
{
	buf_str(talk_out(&c->talk), c->profile->bye);
	talk_close(&c->talk);
}

static void
client_unit_over(struct client *c)
{
	client_time(c, c->profile->unit, c->due_us);
	c->run->good++;
	c->done++;
	client_over(c, true);
	if (!client_step_now(c)->name && c->profile->steps[client_begins(c)].name &&
	    c->done < c->run->messages)
		client_turn(c);
	else
		client_leave(c);
}

static void
client_step(struct client *c)
{
	const struct step *s;

	for (; (s = client_step_now(c))->name; c->step++) {
		if (!s->say(c))
			continue;
		c->step_us = clock_mono_us();
		talk_ask(&c->talk, s->wants, s->multi);
		return;
	}
	client_unit_over(c);
}

/* ---- what the connection says --------------------------------------------------------------------------------- */

static void
client_on_opened(struct talk *t)
{
	struct client *c = t->data;

	if (!c->connected) {
		talk_ask(t, t->lang == TALK_SMTP ? "2" : "g", false);
		return;
	}
	c->secure = true;
	c->step++;
	client_step(c);
}

static void
client_on_answered(struct talk *t, bool good)
{
	struct client *c = t->data;

	if (!good) {
		client_failed(c, &c->run->refused, t->line);
		client_leave(c);
		return;
	}
	if (!c->connected) {
		client_time(c, "connect", c->open_us);
		c->connected = true;
		c->step = 0;
		client_step(c);
		return;
	}
	client_time(c, client_step_name(c), c->step_us);
	if (strcmp(client_step_name(c), "starttls") == 0) {
		talk_starttls(t, load.ctx);
		return;
	}
	c->step++;
	client_step(c);
}

static void
client_on_broken(struct talk *t, const char *why)
{
	struct client *c = t->data;

	/* It was closed while nobody looked, between two messages: nothing was begun. */
	if (c->working && c->done > 0 && c->connected && client_step_now(c)->begins)
		c->again = true;
	else
		client_failed(c, &c->run->broken, why);
}

static void
client_on_timer(struct timer *timer)
{
	struct client *c = CONTAINER(timer, struct client, timer);

	if (c->again)
		client_connect(c);
	else
		client_turn(c);
}

static void
client_on_closed(struct talk *t)
{
	struct client *c = t->data;
	bool never = !c->connected;

	c->connected = false;
	timer_start(&c->timer, never ? RUN_AGAIN_MS : 0, 0);
}

static const struct talk_events client_events = {
	.opened = client_on_opened,
	.answered = client_on_answered,
	.broken = client_on_broken,
	.closed = client_on_closed,
};

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static void
client_connect(struct client *c)
{
	const struct load_server *s = c->run->server;

	c->connected = c->secure = c->again = false;
	c->done = 0;
	c->login = c->user;
	c->open_us = clock_mono_us();
	talk_start(&c->talk, &c->run->loop, c->profile->lang, &s->addrs[c->unit % s->naddrs],
	    s->name, c->tls == LOAD_IMPLICIT ? load.ctx : NULL, &client_events, c);
}

static void
client_end(struct client *c)
{
	if (c->connected) { /* once more when it is closed */
		client_leave(c);
		return;
	}
	if (--c->run->running == 0)
		loop_stop(&c->run->loop);
}

/* Takes the next unit when it is due. */
static void
client_turn(struct client *c)
{
	struct run *r = c->run;
	uint64_t now = clock_mono_us(), due = now;

	if ((r->count && r->begun >= r->count) ||
	    (r->seconds && now - r->began_us >= r->seconds * 1000000)) {
		client_end(c);
		return;
	}
	if (r->rate > 0)
		due = r->began_us + (uint64_t)((double)r->begun / r->rate * 1e6);
	if (due > now) {
		timer_start(&c->timer, (due - now + 999) / 1000, 0);
		return;
	}
	c->unit = r->begun++;
	c->user = r->user_of(c->unit);
	c->due_us = due;
	c->working = true;
	if (c->connected) {
		c->step = client_begins(c);
		client_step(c);
	} else {
		client_connect(c);
	}
}

static void
client_on_timer_closed(struct timer *timer UNUSED)
{
}

void
run_clients(struct run *r)
{
	size_t n = r->count && r->count < r->clients ? (size_t)r->count : r->clients;
	struct client *clients = mem_array(n, sizeof(*clients));

	loop_init(&r->loop);
	r->running = n;
	r->began_us = clock_mono_us();
	for (size_t i = 0; i < n; i++) {
		clients[i].run = r;
		clients[i].profile = r->profile;
		clients[i].tls = r->tls;
		timer_init(&clients[i].timer, &r->loop, client_on_timer);
		timer_start(&clients[i].timer, 0, 0);
	}
	loop_run(&r->loop);
	r->ended_us = clock_mono_us();
	for (size_t i = 0; i < n; i++)
		timer_close(&clients[i].timer, client_on_timer_closed);
	loop_fini(&r->loop);
	mem_free(&clients);
}
