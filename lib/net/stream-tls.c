/* net/stream-tls.c: TLS between the socket and the owner's bytes, by callbacks.
 *
 * Records that arrive are handed to libtls straight from the loop's read buffer and decrypted
 * into the loop's plain buffer; records that leave are collected in the loop's cork and written
 * with one call.  Both happen within one call from the loop, so the buffers can be shared by
 * all streams.  libtls is never asked while there is something that it could block on: its
 * read callback says TLS_WANT_POLLIN when the records are used up, its write callback takes
 * everything, and stream_tls_flush asks for no more while the socket is full. */
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/stream-impl.h"
#include "net/tls-session.h"

#define CHUNK (256 * 1024) /* plain text encrypted before the socket is tried */

static ssize_t
give_records(struct tls *t UNUSED, void *buf, size_t n, void *arg)
{
	struct stream *s = arg;
	struct loop *l = s->loop;

	if (l->cipher_of != s || l->cipher.n == 0)
		return TLS_WANT_POLLIN;
	if (n > l->cipher.n)
		n = l->cipher.n;
	memcpy(buf, l->cipher.p, n);
	l->cipher = slice_from(l->cipher, n);
	return (ssize_t)n;
}

static ssize_t
take_records(struct tls *t UNUSED, const void *buf, size_t n, void *arg)
{
	struct stream *s = arg;

	buf_add(&s->loop->cork, buf, n);
	return (ssize_t)n;
}

static const struct tls_session_io records = { give_records, take_records };

/* What libtls has put into the cork goes out. */
static void
uncork(struct stream *s)
{
	struct buf *cork = &s->loop->cork;

	stream_push(s, cork);
	if (cork->room > 2 * CHUNK)
		buf_fini(cork);
}

/* One step; the end of the handshake is told at the end of the turn. */
static void
handshake(struct stream *s)
{
	int rc = tls_session_handshake(s->tls);

	if (rc != TLS_WANT_POLLIN && rc != TLS_WANT_POLLOUT) {
		stream_move(s, STREAM_OPEN);
		s->tell_secured = 1;
	}
	uncork(s); /* also the alert that says why not */
	if (rc == TLS_WANT_POLLIN || rc == TLS_WANT_POLLOUT)
		return;
	if (rc < 0 && s->error == 0)
		s->error = -EPROTO;
	stream_poll(s);
	stream_later(s);
}

/* Decrypts all that is there into p; 0 with *n, or -errno; sets eof on close_notify. */
static int
decrypt(struct stream *s, char *p, size_t room, size_t *n)
{
	ssize_t got = 0;
	size_t left;

	*n = 0;
	do {
		left = s->loop->cipher.n;
		while (*n < room && (got = tls_session_read(s->tls, p + *n, room - *n)) > 0)
			*n += (size_t)got;
		/* It also wants to be asked again behind a record without data (a ticket). */
	} while (got == TLS_WANT_POLLIN && s->loop->cipher.n && s->loop->cipher.n < left);
	if (got == 0 && *n < room)
		s->eof = s->parted = 1;
	return got < 0 && got != TLS_WANT_POLLIN && got != TLS_WANT_POLLOUT ? -EPROTO : 0;
}

void
stream_tls_arrived(struct stream *s, struct slice cipher)
{
	struct loop *l = s->loop;
	bool early = s->state == STREAM_HANDSHAKE;
	size_t n = 0, lead;
	int rc = 0;

	if (!l->plain_buf)
		l->plain_buf = mem_grow(NULL, LOOP_PLAIN_SIZE, 1);
	lead = stream_lead(s, l->plain_buf);
	l->cipher = cipher;
	l->cipher_of = s;
	if (s->state == STREAM_HANDSHAKE)
		handshake(s);
	if (s->state != STREAM_HANDSHAKE && !s->error && s->state != STREAM_CLOSED)
		rc = decrypt(s, l->plain_buf + lead, LOOP_PLAIN_SIZE - lead, &n);
	if (l->cipher.n && !s->eof && !s->error) /* libtls would not take it all */
		rc = -EPROTO;
	l->cipher_of = NULL;
	if (s->state != STREAM_CLOSED)
		uncork(s); /* alerts, key updates */
	if (rc < 0)
		stream_broke(s, rc);
	if (s->eof)
		stream_poll(s);
	if (stream_ending(s))
		return;
	if (early || !s->reading) { /* `secured` comes first, at the end of the turn */
		if (n && s->deflate) {
			stream_deflate_keep(s, slice(l->plain_buf + lead, n));
		} else if (n) {
			stream_trace_in(s, slice(l->plain_buf + lead, n));
			stream_keep(s, l->plain_buf + lead, n);
		}
		if (n || s->eof) {
			s->tell_input = 1;
			stream_later(s);
		}
	} else if (n) {
		stream_arrived(s, &l->plain_buf, lead, n, LOOP_PLAIN_SIZE);
	}
	/* An end that came behind the last bytes, or alone. */
	if (s->eof && !early && !stream_ending(s)) {
		s->tell_input = 1;
		stream_later(s);
	}
}

/* Encrypts up to CHUNK bytes of the output at `at`; returns how many. */
static size_t
encrypt(struct stream *s, size_t at)
{
	size_t done = 0, want = s->out.n - at;
	ssize_t n;

	if (want > CHUNK)
		want = CHUNK;
	while (done < want) {
		n = tls_session_write(s->tls, s->out.p + at + done, want - done);
		if (n == TLS_WANT_POLLIN || n == TLS_WANT_POLLOUT)
			break; /* renegotiation: goes on with the next flush */
		if (n <= 0) {
			stream_broke(s, -EPROTO);
			break;
		}
		done += (size_t)n;
	}
	return done;
}

void
stream_tls_flush(struct stream *s)
{
	size_t at = 0, n;

	if (s->state == STREAM_HANDSHAKE)
		return; /* goes out after it */
	while (at < s->out.n && s->writes == 0 && (n = encrypt(s, at)) > 0) {
		at += n;
		uncork(s);
		if (s->error || s->state == STREAM_CLOSED)
			return;
	}
	if (at && at == s->out.n)
		buf_fini(&s->out);
	else if (at)
		buf_cut(&s->out, at);
}

void
stream_tls_notify(struct stream *s)
{
	int rc = tls_session_close(s->tls);

	(void)rc; /* the other side may be gone */
	s->notified = 1;
	uncork(s);
}

/* ---- beginning --------------------------------------------------------------------------- */

static int
stream_tls_begin(struct stream *s, struct tls_ctx *ctx)
{
	if (s->tls || stream_ending(s))
		return -EINVAL;
	if (s->error)
		return s->error;
	if (s->fresh.n || s->in_at < s->in.n)
		return -EPROTO; /* plain text behind STARTTLS: an injection (CVE-2011-0411) */
	if (s->out.n) {         /* replies still in plain text */
		stream_trace_out(s);
		stream_push(s, &s->out);
		buf_fini(&s->out);
		if (s->trace)
			s->trace->flushed = 0;
		if (s->error)
			return s->error;
	}
	s->tls_ctx = tls_ref(ctx);
	return 0;
}

static int
start_handshake(struct stream *s)
{
	stream_move(s, STREAM_HANDSHAKE);
	s->reading = s->reading && !s->eof;
	stream_poll(s);
	if (!s->tls_ctx->server)
		handshake(s);
	return 0;
}

int
stream_tls_accept(struct stream *s, struct tls_ctx *ctx)
{
	int rc = stream_tls_begin(s, ctx);

	must(ctx->server && s->ev->secured);
	if (rc < 0)
		return rc;
	if (!(s->tls = tls_session_accept(ctx, &records, s))) {
		tls_unref(&s->tls_ctx);
		return -ENOMEM;
	}
	return start_handshake(s);
}

int
stream_tls_connect(struct stream *s, struct tls_ctx *ctx, const char *name)
{
	int rc = stream_tls_begin(s, ctx);
	struct addr peer;

	must(!ctx->server && s->ev->secured);
	if (rc < 0)
		return rc;
	stream_peer(s, &peer);
	if (!(s->tls = tls_session_connect(ctx, &records, s, name, (unsigned)addr_port(&peer)))) {
		stream_tls_fini(s);
		return -EINVAL;
	}
	return start_handshake(s);
}

int
stream_tls_connect_lenient(struct stream *s, struct tls_ctx *ctx, const char *name)
{
	int rc = stream_tls_begin(s, ctx);

	must(!ctx->server && s->ev->secured);
	if (rc < 0)
		return rc;
	if (!(s->tls = tls_session_connect_lenient(ctx, &records, s, name))) {
		stream_tls_fini(s);
		return -EINVAL;
	}
	return start_handshake(s);
}

const char *
stream_tls_doubt(const struct stream *s)
{
	return stream_secure(s) ? tls_session_doubt(s->tls) : "validation-failure";
}

int
stream_tls_connect_dane(struct stream *s, struct tls_ctx *ctx, const struct tls_dane *dane)
{
	int rc = stream_tls_begin(s, ctx);

	must(!ctx->server && s->ev->secured);
	if (rc < 0)
		return rc;
	if (!(s->tls = tls_session_connect_dane(ctx, &records, s, dane))) {
		stream_tls_fini(s);
		return -EINVAL;
	}
	return start_handshake(s);
}

void
stream_tls_fini(struct stream *s)
{
	tls_session_free(&s->tls);
	tls_unref(&s->tls_ctx);
}

/* ---- what was agreed --------------------------------------------------------------------- */

const char *
stream_tls_error(struct stream *s)
{
	const char *why = s->tls ? tls_session_error(s->tls) : NULL;

	return why ? why : strerror(-s->error);
}

bool
stream_tls_parted(const struct stream *s)
{
	return s->parted;
}

bool
stream_secure(const struct stream *s)
{
	return s->tls && s->state != STREAM_HANDSHAKE && !s->error;
}

const char *
stream_tls_failure(const struct stream *s)
{
	return s->tls ? tls_session_failure(s->tls) : "validation-failure";
}

const char *
stream_tls_version(const struct stream *s)
{
	return stream_secure(s) ? tls_session_version(s->tls) : NULL;
}

int
stream_tls_cipher_bits(const struct stream *s)
{
	return stream_secure(s) ? tls_session_cipher_bits(s->tls) : 0;
}

const char *
stream_tls_cipher(const struct stream *s)
{
	return stream_secure(s) ? tls_session_cipher(s->tls) : NULL;
}

const char *
stream_tls_alpn(const struct stream *s)
{
	return stream_secure(s) ? tls_session_alpn(s->tls) : NULL;
}

bool
stream_tls_resumed(const struct stream *s)
{
	return stream_secure(s) && tls_session_resumed(s->tls);
}

bool
stream_tls_peer_cert(const struct stream *s)
{
	return stream_secure(s) && s->tls_ctx->verify && tls_session_peer_cert(s->tls);
}

bool
stream_tls_peer_named(const struct stream *s, const char *name)
{
	return stream_tls_peer_cert(s) && tls_session_peer_named(s->tls, name);
}

unsigned
stream_tls_peer_roles(const struct stream *s)
{
	return stream_tls_peer_cert(s) ? tls_session_peer_roles(s->tls) : 0;
}

bool
stream_tls_peer_subject(const struct stream *s, char *to, size_t n)
{
	*to = '\0';
	return stream_tls_peer_cert(s) && tls_session_peer_subject(s->tls, to, n);
}
