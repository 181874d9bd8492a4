# tiermail: one non-recursive GNU Makefile.
#
#   make                 every program, into $(B)/bin
#   make demo            the whole suite, privately, with a message sent and read back
#   make check           every test              make bench / fuzz / soak / lint
#   make check-quick     build, lint, units and a dozen flows
#   make install         PREFIX, SYSCONFDIR, DESTDIR, ...    make deb: Debian packages, in $(B)/deb
#   make html            the manual as HTML, in $(B)/html
#   make check-deb       them: lintian; in a Debian of their own, installed, used, upgraded, purged (as root, minutes)
#   make check-boot      them, under systemd, in an emulated machine: booted, killed, cut off (the same, twice)
#   make SAN=address,undefined ...               a sanitizer build, in a tree of its own
#   make CC=clang WERROR=1 ...
#
# cmd/NAME/*.c is one program; lib/NAME/*.c one archive; t/DIR/NAME.c one unit test;
# t/fuzz/NAME.c one fuzz target.  The tables below say who links what.

SAN     ?=
FUZZER  ?=
B       ?= build$(if $(FUZZER),-fuzz,$(if $(SAN),-$(subst $(comma),-,$(SAN))))
PREFIX   = /usr
DESTDIR ?=
CFLAGS  ?= -O2 -g
comma   := ,

VERSION := 0.1

# Where things are: of the system's own for /usr and /usr/local (but /usr/local/etc), all below any
# other PREFIX.  Each can be given on the command line; tiermail(7) FILES.
below    = $(if $(filter /usr /usr/local,$(PREFIX)),,$(PREFIX))
SYSCONFDIR = $(if $(filter /usr,$(PREFIX)),,$(PREFIX))/etc
CONFDIR  = $(SYSCONFDIR)/tiermail
RUNDIR   = $(below)/run/tiermail
QUEUEDIR = $(below)/var/spool/tiermail
STOREDIR = $(below)/var/lib/tiermail
LIBEXEC  = $(PREFIX)/lib/tiermail
UNITDIR  = $(PREFIX)/lib/systemd/system

warn     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
           -Wformat=2 -Wvla -Wundef -Wcast-qual -Wimplicit-fallthrough -Wswitch-enum \
           $(if $(WERROR),-Werror)
san      = $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) \
           $(if $(FUZZER),-fsanitize=fuzzer-no-link -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
harden   = -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fPIE -fno-common
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Ilib $(warn) $(harden) $(san) $(CFLAGS) -MMD -MP \
             -DTIERMAIL_VERSION='"$(VERSION)"'
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(san) $(LDFLAGS)

# ---- who links what: the order is the layers' order, top first ------------------------
low  := daemon net conf mail base
libs_smtp-relay     := guard submit expand login oauth rules job queue directory route mta milter sieve sasl smtp http jwt json $(low)
libs_jobctl         := job queue mta $(low)
libs_channel-master := web programs submit expand login oauth job queue directory route mta sasl smtp http jwt json $(low)
libs_lmtpd          := programs pab submit rules login oauth message store imap directory sieve sasl smtp http jwt json $(low)
libs_stored         := store-writer store $(low)
libs_storectl       := aging login oauth message store directory mta backup imap sasl http jwt json $(low)
libs_imapd          := submit rules login oauth message store imap directory sieve sasl smtp http jwt json $(low)
libs_jmapd          := web pab submit login oauth rules message store imap directory managesieve sieve sasl smtp jmap http jwt json $(low)
libs_mmpd           := backend login oauth imap directory managesieve pop3 sasl smtp http jwt json $(low)
libs_memd           := web backend login oauth directory sasl http jwt json $(low)
libs_pop3d          := login oauth message store imap directory pop3 sasl http jwt json $(low)
libs_sieved         := login oauth rules directory managesieve sieve sasl http jwt json $(low)
libs_piped          := programs smtp $(low)
libs_mailq          := job queue mta $(low)
libs_jobctl-ctl     := job queue mta $(low)
libs_tmctl          := http $(low)
libs_tmlog          := follow $(low)
libs_tiermail-load  := json $(low)
libs_sendmail       := smtp $(low)
libs_sievetest      := sieve $(low)
libs_admind         := admin follow web login oauth directory sasl scim http jwt json $(low)
libs_diradm         := admin follow login oauth directory http jwt json $(low)
libs_pabctl         := pab login oauth directory sasl http jwt json $(low)
libs_mtatest        := expand login oauth directory route mta sasl http jwt json $(low)

# Debian's node-llhttp brings the parser of HTTP as sources, which lib/http/strict.c includes.
LLHTTP ?= /usr/share
llhttp  = -isystem $(LLHTTP)/include/llhttp -isystem $(LLHTTP)/llhttp

sys_base      := -lpthread -lutf8proc
sys_mail      := -lidn2
sys_net       := -luv -ltls -lssl -lcrypto -lunbound -lz
sys_directory := -lldap -llber
sys_store     := -llmdb
sys_sieve     := -lpcre2-8
sys_guard     := -lcrypto
sys_web       := -lcrypto -lz
sys_json      := -ljansson
sys_jwt       := -lcrypto
sys_http      := -lnghttp2

# lib/A/*.c is A.a; a room of its own, lib/A/B/*.c, is A-B.a, so that only who says so gets it.
dirs     := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard lib/*/*.c)))))
rooms    := $(sort $(foreach r,$(patsubst lib/%/,%,$(dir $(wildcard lib/*/*/*.c))),$(subst /,-,$(r))))
programs := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard cmd/*/*.c)))))
obj       = $(patsubst %.c,$(B)/%.o,$(1))
archive   = $(patsubst %,$(B)/lib/%.a,$(filter $(dirs) $(rooms),$(1)))
syslibs   = $(foreach l,$(1),$(sys_$(l)))

.PHONY: FORCE all check check-quick demo demo-stop bench fuzz soak lint install uninstall html deb check-deb check-boot clean deps units tools fuzzers
all: $(programs:%=$(B)/bin/%) $(B)/www/index.html $(B)/console/index.html
	@:

# The web client and the console: put together, not compiled.  A file that goes changes a folder's time.
$(B)/www/index.html: scripts/www $(shell find cmd/memd/www lib/web/www -type f -o -type d)
	scripts/www cmd/memd/www $(B)/www
$(B)/console/index.html: scripts/www $(shell find cmd/admind/www lib/web/www -type f -o -type d)
	scripts/www cmd/admind/www $(B)/console

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The paths are compiled into one file; its stamp changes when they do.
paths = -DTIERMAIL_CONFDIR='"$(CONFDIR)"' -DTIERMAIL_RUNDIR='"$(RUNDIR)"' \
        -DTIERMAIL_QUEUE='"$(QUEUEDIR)"' -DTIERMAIL_STORE='"$(STOREDIR)"' \
        -DTIERMAIL_LIBEXEC='"$(LIBEXEC)"' -DTIERMAIL_BIN='"$(PREFIX)/bin"'
stamp = $(CONFDIR) $(RUNDIR) $(QUEUEDIR) $(STOREDIR) $(LIBEXEC) $(PREFIX)
$(B)/paths.stamp: FORCE
	@mkdir -p $(@D); echo '$(stamp)' | cmp -s - $@ || echo '$(stamp)' >$@
$(B)/lib/conf/paths.o: $(B)/paths.stamp
$(B)/lib/conf/paths.o: ALL_CFLAGS += $(paths)
$(B)/lib/http/%.o: ALL_CFLAGS += $(llhttp)

define lib_rule
$(B)/lib/$(1).a: $$(call obj,$$(wildcard lib/$(1)/*.c))
	@rm -f $$@
	$$(AR) rcs $$@ $$^
endef
$(foreach d,$(dirs),$(eval $(call lib_rule,$(d))))

define room_rule
$(B)/lib/$(subst /,-,$(1)).a: $$(call obj,$$(wildcard lib/$(1)/*.c))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) rcs $$@ $$^
endef
$(foreach r,$(patsubst lib/%/,%,$(sort $(dir $(wildcard lib/*/*/*.c)))),$(eval $(call room_rule,$(r))))

define cmd_rule
$(B)/bin/$(1): $$(call obj,$$(wildcard cmd/$(1)/*.c)) $$(call archive,$$(libs_$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call syslibs,$$(libs_$(1)))
endef
$(foreach c,$(programs),$(eval $(call cmd_rule,$(c))))

# ---- tests: t/DIR/NAME.c links lib/DIR and everything below it -------------------------
all_libs   := programs pab admin follow web backend guard submit expand login oauth rules aging message store-writer store job queue directory route mta jmap scim jwt json managesieve sieve backup milter http imap pop3 sasl smtp daemon net conf mail base
unit_src   := $(filter-out t/fuzz/% t/tools/%,$(wildcard t/*/*.c))
unit_tests := $(unit_src:%.c=$(B)/%)
fuzz_src   := $(wildcard t/fuzz/*.c)
fuzz_tests := $(filter-out %/standalone,$(fuzz_src:%.c=$(B)/%))
preload_src := t/tools/powercut.c t/tools/tsanclose.c
tool_src   := $(filter-out $(preload_src),$(wildcard t/tools/*.c))
preloads   := $(preload_src:%.c=$(B)/%.so)
tools      := $(tool_src:%.c=$(B)/%) $(preloads)
# What a test links: its own library and the ones that it may include.
libs_for    = $(or $(libs_t_$(1)),$(1) $(filter-out $(1),$(low)))
libs_t_base      := base
libs_t_mail      := mail base
libs_t_conf      := conf mail base
libs_t_net       := net conf mail base
libs_t_store     := store-writer store $(low)
libs_t_message   := message store imap $(low)
libs_t_aging     := aging message store mta imap $(low)
libs_t_admin     := admin follow login oauth directory http jwt json $(low)
libs_t_login     := login oauth store directory sasl http jwt json $(low)
libs_t_job       := job mta $(low)
libs_t_programs  := programs $(low)
libs_t_sieve     := sieve mail base
libs_t_jmap      := jmap imap json mail base
libs_t_managesieve := managesieve base
libs_t_rules     := rules directory sieve $(low)
libs_t_pab       := pab directory json $(low)
libs_t_web       := web http $(low)
libs_t_scim      := scim json mail base
libs_t_jwt       := jwt json mail base
libs_t_oauth     := oauth http jwt json $(low)
libs_t_json      := json mail base
libs_t_route     := route mta $(low)
libs_t_expand    := expand login oauth directory route mta sasl http jwt json $(low)
libs_t_fuzz      := $(all_libs)
libs_t_tools     := $(all_libs)
libs_t_cmd       := $(all_libs)

define test_rule
$(B)/$(1): $(B)/$(1).o $$(call archive,$$(call libs_for,$(2))) $(3)
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) $(4) -o $$@ $$^ $$(call syslibs,$$(call libs_for,$(2)))
endef
$(foreach t,$(unit_src:%.c=%),$(eval $(call test_rule,$(t),$(notdir $(patsubst %/,%,$(dir $(t)))))))
$(foreach t,$(tool_src:%.c=%),$(eval $(call test_rule,$(t),tools)))
# What is loaded in front of libc; a sanitizer's runtime would have to come before it.
$(preloads): $(B)/%.so: %.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -Ilib $(warn) $(CFLAGS) -fPIC -shared -MMD -MP -o $@ $<
# A fuzz target is linked with a plain main that replays files; `make fuzz` links libFuzzer.
$(foreach t,$(filter-out t/fuzz/standalone,$(fuzz_src:%.c=%)),\
    $(eval $(call test_rule,$(t),fuzz,$(if $(FUZZER),,$(B)/t/fuzz/standalone.o),$(if $(FUZZER),-fsanitize=fuzzer))))

units: $(unit_tests) $(tools)
tools: $(tools)
fuzzers: $(fuzz_tests)

# ---- what people type: each is a script that explains itself ----------------------------
deps:
	scripts/deps build run
demo:
	scripts/demo
demo-stop:
	scripts/demo stop
check:
	scripts/check
check-quick:
	scripts/check quick
lint:
	scripts/lint
fuzz:
	scripts/fuzz $(or $(SECONDS),600)
soak:
	scripts/soak
bench:
	scripts/bench

clean:
	rm -rf build build-*

# ---- install: DESTDIR and PREFIX as usual; samples never replace a configuration ---------
installed = B='$(B)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' CONFDIR='$(CONFDIR)' RUNDIR='$(RUNDIR)' \
    QUEUEDIR='$(QUEUEDIR)' STOREDIR='$(STOREDIR)' LIBEXEC='$(LIBEXEC)' \
    UNITDIR='$(UNITDIR)' scripts/install
install: all
	$(installed)
uninstall:
	$(installed) uninstall

html:
	scripts/html '$(B)/html'

# ---- Debian packages, in $(B)/deb ----------------------------------------------------
deb:
	scripts/deps build deb
	scripts/deb '$(B)/deb'
check-deb: deb
	t/deb/lintian.t '$(B)/deb'
	t/deb/packages.t '$(B)/deb'
	t/deb/upgrade.t '$(B)/deb'

check-boot: deb
	scripts/deps deb boot
	t/deb/boot.t '$(B)/deb'

-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
