/* login/code.h: what proves somebody beside the password: one-time codes by time (RFC 6238 over RFC 4226,
 * secrets in base32, RFC 4648 6) and words that we have made: application passwords and recovery codes.
 * Pure but for login_word_make; lib/login checks with it, lib/admin makes.
 *
 * A word is random base32 in groups of four, written in lower case, read in any case and with or without
 * hyphens and blanks.  Of 80 random bits nothing is guessed, also not by who has the digest, so that one round of
 * SHA-256 is enough (RFC 5803's slow hashes are for what people choose). */
#ifndef LOGIN_CODE_H
#define LOGIN_CODE_H
#include "base/buf.h"

#define LOGIN_TOTP_SECONDS 30
#define LOGIN_TOTP_DIGITS  6
#define LOGIN_TOTP_SECRET  20 /* octets: 160 bits (RFC 4226 4, R6) */
#define LOGIN_TOTP_TEXT    32 /* of it in base32 */

/* Base32 without padding, upper case. */
void login_base32_write(struct buf *b, const uint8_t *p, size_t n);
/* The octets of base32 text of any case, without padding, blanks passed over; -EBADMSG: it is none, or more
 * than `room`. */
int login_base32_parse(struct slice text, uint8_t *out, size_t room) MUSTCHECK;
/* A new secret in base32; the caller's to wipe. */
void login_totp_make(char text[LOGIN_TOTP_TEXT + 1]);
/* The code of a step (seconds since 1970 / 30) of a secret of n octets. */
void
login_totp_code(const uint8_t *secret, size_t n, uint64_t step, char code[LOGIN_TOTP_DIGITS + 1]);
/* Is `code` that of now, of the step before or of the next one (RFC 6238 5.2), and of a step behind `after`?
 * Then *step is which.  Six digits; blanks are passed over. */
bool login_totp_check(struct slice secret, struct slice code, int64_t now, uint64_t after,
    uint64_t *step);

enum login_word_kind { LOGIN_WORD_APP, LOGIN_WORD_RECOVERY };
#define LOGIN_WORD_ID   4  /* characters in front of an application password: which one it is */
#define LOGIN_WORD_MOST 20 /* characters of a word without its hyphens */
#define LOGIN_WORD_TEXT (LOGIN_WORD_MOST + LOGIN_WORD_MOST / 4)
#define LOGIN_DIGEST    64 /* hexadecimal digits */
struct login_word {
	char id[LOGIN_WORD_ID + 1]; /* of an application password, lower case */
	char digest[LOGIN_DIGEST + 1];
};
/* A new word, as it is shown to the person once, and what is kept of it. */
void login_word_make(enum login_word_kind kind, char text[LOGIN_WORD_TEXT], struct login_word *w);
/* False: it does not look like one. */
bool login_word_parse(enum login_word_kind kind, struct slice text, struct login_word *w);
/* In a time that tells nothing. */
bool login_digest_same(struct slice digest, const struct login_word *w);
#endif
