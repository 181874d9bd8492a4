/* smtp/client-proxy.h: a proxy's side of submission: from the connection to a relay until somebody's
 * session may go on there.  RFC 5321, 3207 (STARTTLS), and Postfix's XCLIENT, which smtp-relay knows too.
 *
 *	greeting, EHLO [, STARTTLS, EHLO], XCLIENT ADDR PORT LOGIN [SESSION], 220, EHLO of his name
 *
 * The relay must believe us: by our address (Postfix's smtpd_authorized_xclient_hosts), or by our
 * certificate (smtp-relay's auth.proxies). */
#ifndef SMTP_CLIENT_PROXY_H
#define SMTP_CLIENT_PROXY_H
#include "net/line-client.h"

/* login->response is the account, login->mechanism is not looked at; helo and self must be there.
 * LINE_CLIENT_IN: text has the keywords of the relay's last EHLO, each ended by LF. */
void smtp_client_proxy_start(struct stream *io, const struct line_client_login *login,
    struct op *op, line_client_done done, void *arg);
#endif
