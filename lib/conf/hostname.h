/* conf/hostname.h: the defaults of `hostname` and `default_domain` in tiermail.conf(5).  Inside conf/ only. */
#ifndef CONF_HOSTNAME_H
#define CONF_HOSTNAME_H

void conf_hostname_default(void); /* asks the system; before defaults are looked at */
#endif
