# SPDX-License-Identifier: GPL-2.0-only
#
# Pulse. "make help" lists the targets; everything built lies under build/.

# ---------------------------------------------------------------- kbuild hook
# The kernel's build system comes through here when it is pointed at this
# folder (make -C /lib/modules/.../build M=$PWD): it wants Kbuild, nothing else.
ifneq ($(KERNELRELEASE),)
include $(src)/Kbuild
else

# ------------------------------------------------------------------- settings
# SAN=asan|tsan builds a second tree of the same sources under build/<san>.
# PORT is what "make run" and "make run-vm" listen on, loopback only.
SHELL		:= /bin/bash
CC		?= gcc
CXX		?= g++
PORT		?= 8080
KERNELS		?= 6.1 6.12 7.2
KERNEL		?= 6.12
NODES		?= 2
JOBS		?= $(shell nproc)

ifeq ($(MAKELEVEL),0)
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS	+= -j$(JOBS)
endif
endif
MAKEFLAGS	+= --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:

ifeq ($(SAN),)
O		:= build
SANFLAGS	:=
else ifeq ($(SAN),asan)
O		:= build/asan
SANFLAGS	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined \
		   -fno-omit-frame-pointer -DPULSE_DEBUG
else ifeq ($(SAN),tsan)
O		:= build/tsan
SANFLAGS	:= -fsanitize=thread -fno-omit-frame-pointer
else
$(error SAN=$(SAN) is unknown; use SAN=asan or SAN=tsan)
endif

WARN	:= -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
	   -Wpointer-arith -Wundef -Wvla -Wformat=2 -Wno-format-nonliteral
CPPFLAGS += -Iinclude -Iinclude/uapi -D_GNU_SOURCE
CFLAGS	?= -O2 -g
ALLCFLAGS := -std=gnu11 $(CFLAGS) $(WARN) $(SANFLAGS) -fPIC -pthread
LIBCFLAGS := $(ALLCFLAGS) -fvisibility=hidden -Iulib
TESTCFLAGS := $(ALLCFLAGS) -Iulib -Iselftests/lib
CXXALL	:= -std=gnu++17 -O2 -g -Wall -Wextra $(SANFLAGS) -fPIC -pthread

HWLOC_CFLAGS = $(shell pkg-config --cflags hwloc)
HWLOC_LIBS   = $(shell pkg-config --libs hwloc)
LIBS	= $(HWLOC_LIBS) -lz -luring -pthread

SOVERSION := 0
LIBSO	:= $(O)/lib/libpulse-u.so.$(SOVERSION)
LIBA	:= $(O)/lib/libpulse-u.a

# -------------------------------------------------------------------- sources
# What lies in the right folder is built: no list to forget a file in.
ULIB_SRC  := $(sort $(wildcard ulib/*/*.c))
TOOL_SRC  := $(sort $(wildcard tools/*.c))
CTL_SRC   := $(sort $(wildcard tools/pulsectl/*.c))
WSB_SRC   := $(sort $(wildcard tools/wsbench/*.c))
EX_SRC    := $(sort $(wildcard examples/*.c))
EX_DIRS   := $(sort $(dir $(wildcard examples/*/main.c)))
# Module tests make raw system calls: a sanitizer has nothing to see there.
TEST_SRC  := $(sort $(wildcard selftests/ulib/*/test_*.c) \
	     $(wildcard selftests/abuse/test_*.c) \
	     $(if $(SAN),,$(wildcard selftests/kmod/*.c) \
	     $(wildcard selftests/storm/test_*.c)))
FUZZ_SRC  := $(sort $(wildcard selftests/fuzz/fuzz_*.c))
BENCH_SRC := $(sort $(wildcard selftests/bench/bench_*.c) \
	     $(wildcard selftests/bench/vm_*.c) \
	     $(wildcard selftests/bench/peer_*.c))
BENCH_CXX := $(sort $(wildcard selftests/bench/peer_*.cc))
# Peers that need a library to link with, where it is there.
PEER_LIBS  = $(if $(filter peer_fork peer_pool,$(notdir $(1))),$(shell pkg-config --libs tbb 2>/dev/null)) \
	     $(if $(filter peer_queues,$(notdir $(1))),$(shell pkg-config --exists libdpdk 2>/dev/null && echo -lrte_ring)) \
	     $(if $(filter peer_actor,$(notdir $(1))),$(if $(wildcard /usr/include/caf/all.hpp),-lcaf_core))
PEER_CLIBS = $(if $(filter peer_ws_lws,$(notdir $(1))),$(if $(wildcard /usr/include/libwebsockets.h),-lwebsockets))
PEER_FLAGS = $(if $(filter peer_queues,$(notdir $(1))),$(shell pkg-config --cflags libdpdk 2>/dev/null)) \
	     $(if $(filter peer_fork,$(notdir $(1))),-fopenmp)

ULIB_OBJ  := $(ULIB_SRC:%.c=$(O)/obj/%.o)
TOOL_BIN  := $(TOOL_SRC:tools/%.c=$(O)/bin/%)
CTL_BIN   := $(O)/bin/pulsectl
WSB_BIN   := $(O)/bin/pulse-wsbench
EX_BIN    := $(EX_SRC:examples/%.c=$(O)/bin/examples/%) \
	     $(patsubst examples/%/,$(O)/bin/%,$(EX_DIRS))
TEST_BIN  := $(TEST_SRC:%.c=$(O)/%)
FUZZ_BIN  := $(FUZZ_SRC:%.c=$(O)/%)
BENCH_GO  := $(if $(shell command -v go),$(wildcard selftests/bench/peer_*.go))
BENCH_BIN := $(BENCH_SRC:%.c=$(O)/%) $(BENCH_CXX:%.cc=$(O)/%) $(BENCH_GO:%.go=$(O)/%)

# -------------------------------------------------------------------- targets
.PHONY: help
help:
	@printf '%s\n' \
	'make run          install what is missing, build, start the show-piece server' \
	'make check        install what is missing, build, run every test' \
	'make run-vm       the server in a VM with pulse.ko loaded, port forwarded' \
	'make build        build all of it: libraries, tools, examples, tests, modules' \
	'make bench        benchmarks beside their peers; table, and JSON under build/' \
	'make bench-plot   what make bench measured as PNGs, under build/bench/plots' \
	'make bench-vm     the module beside the kernel without it, instructions counted' \
	'make lib          only the library' \
	'make modules      only pulse.ko, for each of KERNELS' \
	'make selftests    only the test programs' \
	'make check-user   tests that need no kernel module (fast)' \
	'make check-san    the user-space suite under ASan+UBSan and under TSan' \
	'make check-vm     tests of KERNELS in VMs' \
	'make check-debug  the module under KASAN, lockdep, kmemleak, fault injection' \
	'make check-kcsan  the module under KCSAN, and fuzzed by coverage' \
	'make check-rt     all of it on a PREEMPT_RT kernel' \
	'make check-trace  each command of Documentation/tracing.md in a VM' \
	'make check-long   each fuzzer for a minute (PULSE_FUZZ_SECONDS)' \
	'make check-static layers, symbol map, file sizes, headers on their own' \
	'make load         build pulse.ko for the running kernel and load it' \
	'make install      library, headers, tools below DESTDIR and PREFIX' \
	'make clean        remove build/' \
	'' \
	'PORT=8080 (run, run-vm)   KERNEL=6.12 NODES=2 (run-vm)   KERNELS="$(KERNELS)"' \
	'SAN=asan|tsan (lib, selftests)   JOBS=$(JOBS)'

.DEFAULT_GOAL := help

.PHONY: build lib tools examples selftests fuzz bench-bin
build: setup-build
	@$(MAKE) lib tools examples selftests fuzz bench-bin
	@$(MAKE) modules

lib: $(LIBSO) $(LIBA) $(O)/lib/libpulse-u.so $(O)/lib/pkgconfig/libpulse-u.pc \
	plugins
tools: $(TOOL_BIN) $(WSB_BIN) pulsectl
examples: $(EX_BIN)
selftests: $(TEST_BIN)
fuzz: $(FUZZ_BIN)
bench-bin: $(BENCH_BIN)

# What a fresh Debian lacks; silent and offline when nothing is missing.
.PHONY: setup-core setup-build setup-check setup-vm setup-bench
setup-core:
	@scripts/setup packages core
setup-build:
	@scripts/setup packages core vm
setup-check:
	@scripts/setup packages core vm tests
setup-vm: setup-check
	@scripts/setup kernels $(KERNELS)
setup-bench:
	@scripts/setup packages core bench

# The objects depend on the flags they were built with.
FLAGS_NOW := $(CC) $(LIBCFLAGS) $(CPPFLAGS)
$(O)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@
.PHONY: FORCE
FORCE:

$(O)/obj/ulib/topo/%.o: CPPFLAGS += $(HWLOC_CFLAGS)
$(O)/obj/ulib/%.o: ulib/%.c $(O)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(LIBCFLAGS) -MMD -MP -c -o $@ $<

$(O)/obj/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(ALLCFLAGS) -I$(dir $<) -MMD -MP -c -o $@ $<

# A page that an example serves, as bytes in the program.
$(O)/obj/%.html.o: %.html
	@mkdir -p $(@D)
	@echo "  EMBED   $<"
	@cd $(<D) && ld -r -z noexecstack -b binary -o $(abspath $@) $(<F)

$(LIBA): $(ULIB_OBJ)
	@mkdir -p $(@D)
	@echo "  AR      $@"
	@rm -f $@ && $(AR) rcs $@ $(ULIB_OBJ)

# A sanitizer build is linked statically into its programs.
$(LIBSO): $(ULIB_OBJ) ulib/libpulse-u.map
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) -shared -Wl,-soname,$(@F) $(if $(SAN),,-Wl$(,)--no-undefined) \
	  -Wl,--version-script=ulib/libpulse-u.map $(SANFLAGS) \
	  -o $@ $(ULIB_OBJ) $(LIBS)
$(O)/lib/libpulse-u.so: $(LIBSO)
	@ln -sfn $(<F) $@
# Written again as it is installed: the prefix may be another by then.
PC_EDITS = -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|'
$(O)/lib/pkgconfig/libpulse-u.pc: ulib/libpulse-u.pc.in
	@mkdir -p $(@D)
	@sed $(PC_EDITS) $< > $@

# Carriers that need other people's libraries: plug-ins, which the core loads when
# they are asked for. One whose library is not here is left out.
PLUGINS	 := $(if $(shell pkg-config --exists 'openssl >= 3' && echo y),tls) \
	    $(if $(shell pkg-config --exists librdmacm libibverbs && echo y),rdma)
PLUGIN_SO := $(PLUGINS:%=$(O)/lib/pulse-u/transport-%.so)
# Debian 13 has libwasmedge-dev; $(WASMEDGE): the root that it is installed in.
WASMEDGE ?=
ifneq ($(wildcard $(WASMEDGE)/usr/include/wasmedge/wasmedge.h),)
PLUGIN_SO += $(O)/lib/pulse-u/wasm-runtime.so
endif
PLUGIN_PKG_tls  := openssl
PLUGIN_PKG_rdma := librdmacm libibverbs
.PHONY: plugins
plugins: $(PLUGIN_SO)
ifeq ($(filter tls,$(PLUGINS)),)
plugins: no-tls
.PHONY: no-tls
no-tls:
	@echo '  SKIP    transport tls: no openssl; fix: apt install libssl-dev'
endif
ifeq ($(filter rdma,$(PLUGINS)),)
plugins: no-rdma
.PHONY: no-rdma
no-rdma:
	@echo '  SKIP    transport rdma: no librdmacm; fix: apt install librdmacm-dev libibverbs-dev'
endif
%/wasm-runtime.so: $(wildcard ulib/io/plugin/wasm_*.c ulib/io/plugin/was*.h) include/pulse-u/wasm.h $(O)/.flags
	@mkdir -p $(@D)
	@echo "  PLUGIN  $@"
	@$(CC) $(CPPFLAGS) $(LIBCFLAGS) $(WASMEDGE:%=-idirafter %/usr/include) -shared -o $@ \
	  $(filter %.c,$^) $(if $(WASMEDGE),$(wildcard $(WASMEDGE)/usr/lib/*/libwasmedge.so.0),-lwasmedge)
$(O)/lib/pulse-u/transport-%.so: $(wildcard ulib/io/plugin/*.[ch]) $(O)/.flags
	@mkdir -p $(@D)
	@echo "  PLUGIN  $@"
	@$(CC) $(CPPFLAGS) $(LIBCFLAGS) $$(pkg-config --cflags $(PLUGIN_PKG_$*)) -shared \
	  -o $@ $(wildcard ulib/io/plugin/$*_*.c) $$(pkg-config --libs $(PLUGIN_PKG_$*))

# Tools and examples use the public interface: they link the shared library.
LINKSO = -L$(O)/lib -lpulse-u -Wl,-rpath,'$$ORIGIN/$(1)lib' -pthread
$(TOOL_BIN): $(O)/bin/%: $(O)/obj/tools/%.o $(LIBSO) $(O)/lib/libpulse-u.so
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(SANFLAGS) -o $@ $< $(call LINKSO,../)
$(EX_SRC:examples/%.c=$(O)/bin/examples/%): $(O)/bin/examples/%: $(O)/obj/examples/%.o $(LIBSO) $(O)/lib/libpulse-u.so
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(SANFLAGS) -o $@ $< $(call LINKSO,../../) -lm

$(WSB_BIN): $(WSB_SRC:%.c=$(O)/obj/%.o) $(LIBSO) $(O)/lib/libpulse-u.so
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(SANFLAGS) -o $@ $(filter %.o,$^) $(call LINKSO,../) -lz

# pulsectl needs libnl, and no library of ours; without libnl it is left out.
NL_CFLAGS = $(shell pkg-config --cflags libnl-genl-3.0)
NL_LIBS   = $(shell pkg-config --libs libnl-genl-3.0)
HAVE_NL  := $(shell pkg-config --exists libnl-genl-3.0 2>/dev/null && echo y)
.PHONY: pulsectl
ifeq ($(HAVE_NL),y)
pulsectl: $(CTL_BIN)
else
pulsectl:
	@echo '  SKIP    pulsectl: no libnl-genl-3.0; fix: apt install libnl-genl-3-dev'
endif
$(O)/obj/tools/pulsectl/%.o: CPPFLAGS += $(NL_CFLAGS)
$(CTL_BIN): $(CTL_SRC:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(SANFLAGS) -o $@ $^ $(NL_LIBS)

define example_dir
$(O)/bin/$(1): $(patsubst %.c,$(O)/obj/%.o,$(wildcard examples/$(1)/*.c)) \
		$(patsubst %.html,$(O)/obj/%.html.o,$(wildcard examples/$(1)/*.html)) \
		$(LIBSO) $(O)/lib/libpulse-u.so
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$(CC) $(SANFLAGS) -o $$@ $$(filter %.o,$$^) $$(call LINKSO,../)
endef
$(foreach d,$(EX_DIRS),$(eval $(call example_dir,$(patsubst examples/%/,%,$(d)))))

# Tests may look inside: they link the static library.
$(TEST_BIN): $(O)/%: %.c $(LIBA) $(O)/.flags | plugins
	@mkdir -p $(@D)
	@echo "  TEST    $@"
	@$(CC) $(CPPFLAGS) $(TESTCFLAGS) -I$(dir $<) -MMD -MP -MF $@.d -o $@ $< $(LIBA) $(LIBS)
$(FUZZ_BIN): $(O)/%: %.c $(LIBA) $(O)/.flags $(wildcard selftests/fuzz/replay.c)
	@mkdir -p $(@D)
	@echo "  FUZZ    $@"
	@$(CC) $(CPPFLAGS) $(TESTCFLAGS) -MMD -MP -MF $@.d -o $@ $< \
	  $(wildcard selftests/fuzz/replay.c) $(LIBA) $(LIBS)
$(BENCH_SRC:%.c=$(O)/%): $(O)/%: %.c $(LIBA) $(O)/.flags
	@mkdir -p $(@D)
	@echo "  BENCH   $@"
	@$(CC) $(CPPFLAGS) $(TESTCFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIBA) $(LIBS) $(call PEER_CLIBS,$@) -lm
$(BENCH_GO:%.go=$(O)/%): $(O)/%: %.go
	@mkdir -p $(@D)
	@echo "  BENCH   $@"
	@GOCACHE=$(abspath $(O))/obj/go GO111MODULE=off go build -o $@ $<
$(BENCH_CXX:%.cc=$(O)/%): $(O)/%: %.cc
	@mkdir -p $(@D)
	@echo "  BENCH   $@"
	@$(CXX) $(CPPFLAGS) $(CXXALL) $(call PEER_FLAGS,$@) -MMD -MP -MF $@.d -o $@ $< \
	  $(call PEER_LIBS,$@)

# One module a kernel, each in its own folder, W=1, a warning is an error.
.PHONY: modules
modules: setup-vm
	@set -e; for k in $(KERNELS); do selftests/vm/build-module $$k; done

.PHONY: load
load:
	@scripts/load-module

# --------------------------------------------------------------------- check
# "make check" is what CI runs. One prove, so that there is one summary.
.PHONY: check check-long check-user check-san check-vm check-debug check-kcsan check-rt check-trace check-static
check: setup-vm
	@$(MAKE) lib tools examples selftests fuzz
	@$(MAKE) SAN=asan selftests fuzz
	@$(MAKE) SAN=tsan selftests
	@$(MAKE) modules
	@selftests/check all
check-user: setup-check
	@$(MAKE) lib tools examples selftests fuzz
	@selftests/check static user
check-san: setup-check
	@$(MAKE) SAN=asan selftests fuzz
	@$(MAKE) SAN=tsan selftests
	@selftests/check san
check-vm: setup-vm
	@$(MAKE) lib tools examples selftests
	@$(MAKE) modules
	@selftests/check vm
# The kernel for it is built once, which takes 15 minutes; so it is not in "check".
check-debug: KERNELS := debug debug-6.12
check-debug: setup-vm
	@$(MAKE) lib selftests
	@$(MAKE) modules KERNELS="debug debug-6.12"
	@PULSE_TEST_TIMEOUT=$${PULSE_TEST_TIMEOUT:-3600} selftests/check debug
# Likewise. PULSE_FUZZ_SECONDS is how long it is fuzzed, 300 if not said.
check-kcsan: KERNELS := kcsan
check-kcsan: setup-vm
	@$(MAKE) lib selftests
	@$(MAKE) modules KERNELS=kcsan
	@PULSE_TEST_TIMEOUT=$${PULSE_TEST_TIMEOUT:-86400} selftests/check kcsan
# Another kernel to fetch, so not in "check" either.
check-rt: KERNELS := rt
check-rt: setup-vm
	@$(MAKE) lib tools selftests
	@$(MAKE) modules KERNELS=rt
	@selftests/check rt
# libFuzzer needs clang, so not in "check"; its corpora are run there.
check-long: setup-check
	@selftests/fuzz/run $${PULSE_FUZZ_SECONDS:-60}
check-trace: setup-vm
	@scripts/setup packages trace
	@$(MAKE) lib selftests
	@selftests/vm/build-module 6.12
	@selftests/check trace
check-static: setup-build
	@$(MAKE) lib
	@selftests/check static

# ----------------------------------------------------------------------- run
.PHONY: run run-vm bench bench-plot bench-vm
run: setup-core
	@$(MAKE) lib tools examples
	@exec $(O)/bin/vigilant-server --listen 127.0.0.1:$(PORT)
run-vm: KERNELS := $(KERNEL)
run-vm: setup-vm
	@$(MAKE) lib tools examples
	@selftests/vm/build-module $(KERNEL)
	@echo "vigilant-server in a VM (Linux $(KERNEL), $(NODES) nodes): http://127.0.0.1:$(PORT)/"
	@exec selftests/vm/run --kernel $(KERNEL) --nodes $(NODES) --timeout 86400 \
	  --forward $(PORT):8080 -- $(O)/bin/vigilant-server --listen 0.0.0.0:8080
bench: setup-bench
	@$(MAKE) lib tools bench-bin
	@selftests/bench/run
bench-plot: setup-bench
	@[ -e $(O)/bench/latest.json ] || $(MAKE) bench
	@selftests/bench/plot
bench-vm: KERNELS := 6.12 7.2
bench-vm: setup-vm
	@$(MAKE) lib bench-bin
	@for k in $(KERNELS); do selftests/vm/build-module $$k || exit 1; done
	@selftests/bench/run-vm $(KERNELS)

# ------------------------------------------------------------------- install
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
VERSION	:= 0.1.0
.PHONY: install clean
install: lib tools
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/bin \
	  $(DESTDIR)$(PREFIX)/include/pulse-u $(DESTDIR)$(PREFIX)/include/linux
	install -m 755 $(LIBSO) $(DESTDIR)$(LIBDIR)/
	install -d $(DESTDIR)$(LIBDIR)/pulse-u
	$(if $(PLUGIN_SO),install -m 755 $(PLUGIN_SO) $(DESTDIR)$(LIBDIR)/pulse-u/)
	ln -sfn $(notdir $(LIBSO)) $(DESTDIR)$(LIBDIR)/libpulse-u.so
	install -m 644 $(LIBA) $(DESTDIR)$(LIBDIR)/
	sed $(PC_EDITS) ulib/libpulse-u.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/libpulse-u.pc
	install -m 644 include/pulse-u/*.h $(DESTDIR)$(PREFIX)/include/pulse-u/
	install -m 644 include/uapi/linux/pulse.h include/uapi/linux/pulse_event.h \
	  include/uapi/linux/pulse_uring.h include/uapi/linux/pulse_netlink.h \
	  $(DESTDIR)$(PREFIX)/include/linux/
	install -m 755 $(TOOL_BIN) $(WSB_BIN) $(if $(HAVE_NL),$(CTL_BIN)) \
	  tools/wasm/pulse-wasm-cc $(DESTDIR)$(PREFIX)/bin/
	install -d $(DESTDIR)$(PREFIX)/share/pulse-u/wasm
	install -m 644 tools/wasm/rt.c ulib/io/plugin/wasi.h $(DESTDIR)$(PREFIX)/share/pulse-u/wasm/
	install -d $(DESTDIR)$(PREFIX)/share/man/man3 \
	  $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/man/man8 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 Documentation/man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	install -m 644 Documentation/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7/
	install -m 644 Documentation/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 Documentation/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 tools/completion/pulse-wsbench.bash \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pulse-wsbench
	install -m 644 tools/completion/pulsectl.bash \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pulsectl
clean:
	rm -rf build

, := ,
-include $(shell find $(O)/obj $(O)/selftests -name '*.d' 2>/dev/null)
endif
