/* mail/outcome-tls.h: the rows of mail/outcome.h about TLS to other hosts, which go on its table and are included by it
 * alone. */
#ifndef MAIL_OUTCOME_TLS_H
#define MAIL_OUTCOME_TLS_H

/* clang-format off */

/* ---- TLS to other hosts */

/* The channel demands TLS, and the server does not offer it (RFC 3207 4). */
#define OUT_TLS_NOT_THERE	TEMP, 451, "4.7.4", "TLS is required and not offered"
/* The channel demands TLS, and the server refuses STARTTLS (RFC 3207 4). */
#define OUT_TLS_REFUSED		TEMP, 451, "4.7.4", "TLS is required: %.150s"
/* STARTTLS was refused, and the channel goes on without it (RFC 3207 4.1). */
#define OUT_TLS_WITHOUT		OK, 250, "2.0.0", "without TLS"
/* Plain text came behind the answer to STARTTLS: somebody has put it there (RFC 3207 6). */
#define OUT_TLS_INJECTED	TEMP, 451, "4.7.5", "TLS cannot start: input behind STARTTLS"
/* The handshake failed, or the server's certificate is not what the channel demands. */
#define OUT_TLS_HANDSHAKE	TEMP, 451, "4.7.5", "TLS handshake: %.160s"
/* A signed answer was changed or held back, and with it how the host is to be known (RFC 7672 2.1.2). */
#define OUT_DANE_DNS		TEMP, 451, "4.7.5", "the DNS gives no answer about %.120s that can be trusted"
/* The host is none of those that the domain's policy lists (RFC 8461 4.1). */
#define OUT_STS_NOT_LISTED	TEMP, 451, "4.7.5", "%.120s is not among the hosts of the domain's MTA-STS policy"
/* The sender demands REQUIRETLS, and the host does not promise it (RFC 8689 4.2.1). */
#define OUT_REQUIRETLS_NOT	PERM, 550, "5.7.30", "the sender demands REQUIRETLS, and %.120s does not offer it"
/* The sender demands REQUIRETLS, and neither DANE nor MTA-STS tells how the host is to be known (RFC 8689 4.2.1). */
#define OUT_REQUIRETLS_WHO	PERM, 550, "5.7.30", "the sender demands REQUIRETLS, and nothing proves who %.120s is"
/* The same, and its domain's MTA-STS policy cannot be fetched at present. */
#define OUT_REQUIRETLS_LATER	TEMP, 451, "4.7.30", "the sender demands REQUIRETLS, and the policy about %.120s cannot be fetched"
/* The sender demands REQUIRETLS, and the way to the store is without TLS that is verified: see tls in channels.conf. */
#define OUT_REQUIRETLS_TIER	TEMP, 451, "4.7.4", "the sender demands REQUIRETLS, and TLS to %.120s is not verified"

/* ---- our own login at a smart host: mistakes of the configuration, for which no mail is returned */

/* The way to the smart host is without TLS that is verified, and the password is not said: see tls.verify. */
#define OUT_LOGIN_NO_TLS	TEMP, 451, "4.7.4", "TLS to %.120s is not verified, and a login needs that"
/* The smart host offers neither AUTH PLAIN nor AUTH LOGIN (RFC 4954 3). */
#define OUT_LOGIN_NOT_THERE	TEMP, 451, "4.7.4", "a login is wanted, and neither AUTH PLAIN nor AUTH LOGIN is offered"
/* The smart host refuses user name and password (535, RFC 4954 6). */
#define OUT_LOGIN_REFUSED	TEMP, 451, "4.7.8", "the login is refused: %.150s"
/* The smart host wants another mechanism, or more than a password (504, 534, 538, RFC 4954 6). */
#define OUT_LOGIN_OTHERWISE	TEMP, 451, "4.7.9", "another way to log in is wanted: %.150s"
/* The file of the password cannot be read: see auth_password in channels.conf. */
#define OUT_LOGIN_NO_PASSWORD	TEMP, 451, "4.3.5", "the password for %.120s cannot be read"
/* clang-format on */
#endif
