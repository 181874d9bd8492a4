# tiermail: one non-recursive GNU Makefile.
#
#   make                 every program, into $(B)/bin
#   make demo            the whole suite, privately, with a message sent and read back
#   make check           every test              make bench / fuzz / soak / lint
#   make SAN=address,undefined ...               a sanitizer build, in a tree of its own
#   make CC=clang WERROR=1 ...
#
# cmd/NAME/*.c is one program; lib/NAME/*.c one archive; t/DIR/NAME.c one unit test;
# t/fuzz/NAME.c one fuzz target.  The tables below say who links what.

SAN     ?=
FUZZER  ?=
B       ?= build$(if $(FUZZER),-fuzz,$(if $(SAN),-$(subst $(comma),-,$(SAN))))
PREFIX  ?= /usr
DESTDIR ?=
CFLAGS  ?= -O2 -g
comma   := ,

VERSION := 0.1

warn     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
           -Wformat=2 -Wvla -Wundef -Wcast-qual -Wimplicit-fallthrough -Wswitch-enum \
           $(if $(WERROR),-Werror)
san      = $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) \
           $(if $(FUZZER),-fsanitize=fuzzer-no-link)
harden   = -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fPIE -fno-common
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -Ilib $(warn) $(harden) $(san) $(CFLAGS) -MMD -MP \
             -DTIERMAIL_VERSION='"$(VERSION)"' -DTIERMAIL_PREFIX='"$(PREFIX)"'
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(san) $(LDFLAGS)

# ---- who links what: the order is the layers' order, top first ------------------------
low  := daemon net conf mail base
libs_smtp-relay     := job queue directory route sasl smtp $(low)
libs_jobctl         := job queue $(low)
libs_channel-master := job queue route smtp $(low)
libs_lmtpd          := store imap directory smtp $(low)
libs_stored         := store $(low)
libs_storectl       := store imap $(low)
libs_imapd          := store imap directory sasl $(low)
libs_mailq          := job queue $(low)
libs_jobctl-ctl     := job queue $(low)
libs_sendmail       := smtp $(low)

sys_base      := -lpthread
sys_mail      := -lidn2
sys_net       := -luv -ltls -lcrypto -lunbound
sys_directory := -lldap -llber
sys_store     := -llmdb

dirs     := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard lib/*/*.c)))))
programs := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard cmd/*/*.c)))))
obj       = $(patsubst %.c,$(B)/%.o,$(1))
archive   = $(patsubst %,$(B)/lib/%.a,$(filter $(dirs),$(1)))
syslibs   = $(foreach l,$(1),$(sys_$(l)))

.PHONY: all check demo demo-stop bench fuzz soak lint install clean deps units tools fuzzers
all: $(programs:%=$(B)/bin/%)
	@:

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

define lib_rule
$(B)/lib/$(1).a: $$(call obj,$$(wildcard lib/$(1)/*.c))
	@rm -f $$@
	$$(AR) rcs $$@ $$^
endef
$(foreach d,$(dirs),$(eval $(call lib_rule,$(d))))

define cmd_rule
$(B)/bin/$(1): $$(call obj,$$(wildcard cmd/$(1)/*.c)) $$(call archive,$$(libs_$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call syslibs,$$(libs_$(1)))
endef
$(foreach c,$(programs),$(eval $(call cmd_rule,$(c))))

# ---- tests: t/DIR/NAME.c links lib/DIR and everything below it -------------------------
all_libs   := store job queue directory route imap sasl smtp daemon net conf mail base
unit_src   := $(filter-out t/fuzz/% t/tools/%,$(wildcard t/*/*.c))
unit_tests := $(unit_src:%.c=$(B)/%)
fuzz_src   := $(wildcard t/fuzz/*.c)
fuzz_tests := $(filter-out %/standalone,$(fuzz_src:%.c=$(B)/%))
tool_src   := $(wildcard t/tools/*.c)
tools      := $(tool_src:%.c=$(B)/%)
# What a test links: its own library and the ones that it may include.
libs_for    = $(or $(libs_t_$(1)),$(1) $(filter-out $(1),$(low)))
libs_t_base      := base
libs_t_mail      := mail base
libs_t_conf      := conf mail base
libs_t_net       := net conf mail base
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
tools_bin  := mailq jobctl-ctl storectl
tools_exec := channel-master
sysconf     = $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)/tiermail
inst        = install -D -m

install: all
	for p in $(programs); do case " $(tools_bin) " in \
	    *" $$p "*) d=bin ;; *) d=sbin ;; esac; \
	    case " $(tools_exec) " in *" $$p "*) d=lib/tiermail ;; esac; \
	    $(inst) 755 $(B)/bin/$$p $(DESTDIR)$(PREFIX)/$$d/$$p || exit 1; done
	for m in $(wildcard man/*.[1-8]); do \
	    $(inst) 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$${m##*/} || exit 1; done
	for c in $(wildcard conf/*.conf); do f=$(DESTDIR)$(sysconf)/$${c##*/}; \
	    $(inst) 644 $$c $(DESTDIR)$(PREFIX)/share/tiermail/$${c##*/} || exit 1; \
	    [ -e $$f ] || $(inst) 640 $$c $$f || exit 1; done
	for c in $(wildcard conf/schema/* conf/ldif/*); do \
	    $(inst) 644 $$c $(DESTDIR)$(PREFIX)/share/tiermail/$${c#conf/} || exit 1; done

-include $(shell find $(B) -name '*.d' 2>/dev/null)
