/* Fuzz: what clients of SCRAM say, a message a line: nothing is proved by it, what is kept lies in what was said, and a
 * verifier that can be read is written as it can be read again. */
#include "base/must.h"
#include "sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_verifier(struct slice text)
{
	struct sasl_verifier v, w;
	struct buf b = { 0 };

	if (sasl_verifier_parse(text, &v) < 0)
		return;
	must(v.nsalt > 0 && v.nsalt <= SASL_SALT_MAX && v.rounds >= SASL_ROUNDS_MIN);
	sasl_verifier_write(&b, &v);
	must(sasl_verifier_parse(buf_get(&b), &w) == 0 && w.rounds == v.rounds &&
	    w.nsalt == v.nsalt && memcmp(w.salt, v.salt, v.nsalt) == 0 &&
	    memcmp(w.stored, v.stored, SASL_SHA) == 0 && memcmp(w.server, v.server, SASL_SHA) == 0);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = { (const char *)data, n }, line, challenge;
	enum sasl_result r = SASL_CHALLENGE;
	struct sasl_verifier v;
	struct arena a = { 0 };
	struct sasl s;
	const char *why;

	if (n > 8192)
		return 0;
	check_verifier(in);
	sasl_verifier_salt(&v, S("key"), S("name"), SASL_ROUNDS_MIN);
	must(sasl_start(&s, S("SCRAM-SHA-256"), SASL_SCRAM));
	while (r != SASL_BAD && slice_cut(&in, '\n', &line)) {
		struct buf b = { 0 };

		/* "@" stands for the nonce, which no corpus can know. */
		for (size_t i = 0; i < line.n; i++) {
			if (line.p[i] == '@' && s.scram.server_first.p)
				buf_slice(&b, s.scram.nonce);
			else
				buf_char(&b, line.p[i]);
		}
		line = buf_get(&b);
		r = sasl_step(&s, &a, &line, &challenge, &why);
		must(r != SASL_CHECK && r != SASL_TRUST && r != SASL_PROVED);
		if (r == SASL_NAME) {
			must(s.authcid.n > 0 && s.authcid.n <= 255 && s.authzid.n <= 255);
			sasl_scram_first(&s, &a, &v, &challenge);
		} else if (r == SASL_PROOF) {
			must(!sasl_scram_check(&s, &a, &v, &challenge));
		}
		buf_fini(&b);
	}
	arena_reset(&a);
	return 0;
}
