# SPDX-License-Identifier: GPL-2.0
# One file, no recursion into directories; everything made stands in $(BUILD). `make help` lists the
# targets. V=1 shows the commands.

BUILD ?= build
PREFIX ?= /usr/local
UNIT_DIR ?= $(PREFIX)/lib/systemd/system
HOOKS_DIR ?= $(PREFIX)/share/containers/oci/hooks.d
CNI_DIR ?= $(PREFIX)/lib/cni
VERSION := $(shell cat VERSION)
JOBS ?= $(shell nproc 2>/dev/null || echo 1)

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '%-7s %s\n' $(1) $(patsubst $(BUILD)/%,%,$(2))
MAKEFLAGS += --no-print-directory
endif

.PHONY: all
all:

# --- tools -----------------------------------------------------------------------------------

# The first of these commands and patterns that is there; the newest where a pattern has several.
find_tool = $(shell PATH="$$PATH:/usr/sbin:/sbin"; for tool in $(1); do \
	command -v "$$tool" && exit; done 2>/dev/null; \
	ls $(2) 2>/dev/null | sort -V | tail -n 1)

ifeq ($(origin CC),default)
CC := cc
endif
AR := ar
PKG_CONFIG ?= pkg-config
CLANG ?= $(call find_tool,clang,/usr/bin/clang-[0-9]*[0-9])
LLVM_STRIP ?= $(call find_tool,llvm-strip,/usr/bin/llvm-strip-[0-9]*[0-9])
# Ubuntu puts a bpftool that works beside the kernel's other tools; the one in PATH is a script that
# wants the running kernel's.
BPFTOOL ?= $(shell PATH="$$PATH:/usr/sbin:/sbin"; for tool in bpftool \
	$$(ls -r -d /usr/lib/linux-tools*/bpftool /usr/lib/linux-tools/*/bpftool 2>/dev/null); do \
	"$$tool" version >/dev/null 2>&1 && command -v "$$tool" && exit; done)

# Each is asked once, and only when something needs it.
lazy = $(eval $(1) = $$(eval $(1) := $(2))$$($(1)))
$(call lazy,CLANG_PATH,$$(or $$(strip $$(CLANG)),clang))
$(call lazy,LLVM_STRIP_PATH,$$(strip $$(LLVM_STRIP)))
$(call lazy,BPFTOOL_PATH,$$(or $$(strip $$(BPFTOOL)),bpftool))

# --- flags -----------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wwrite-strings -Wno-format-nonliteral
CFLAGS ?= -O2 -g
BASE_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DEG_VERSION='"$(VERSION)"' $(CURL_CFLAGS) $(WARNINGS) \
	-Iinclude -Iuser
DEPEND = -MMD -MP

# CURL=no: without container names.
CURL ?= yes
ifeq ($(CURL),no)
CURL_CFLAGS := -DEG_NO_CURL
else
CURL_LIBRARY := libcurl
endif

ifeq ($(STATIC),1)
LINK_STATIC := -static
PKG_STATIC := --static
STATIC_SRC := $(wildcard user/static/*.c)
endif

SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all

pkg_libs = $(shell $(PKG_CONFIG) $(PKG_STATIC) --libs $(1))
$(call lazy,KERN_LIBS,$$(call pkg_libs,libbpf libelf zlib))
$(call lazy,NET_LIBS,$$(call pkg_libs,libmnl jansson $$(CURL_LIBRARY)))
$(call lazy,CAP_LIBS,$$(call pkg_libs,libcap-ng))
$(call lazy,OUT_LIBS,$$(call pkg_libs,jansson))
$(call lazy,CMOCKA_LIBS,$$(call pkg_libs,cmocka))

# clang says x86_64-pc-linux-gnu where the directory is called x86_64-linux-gnu.
$(call lazy,BPF_TRIPLET,$$(subst -pc-,-,$$(shell $$(CC) -dumpmachine)))
# -mcpu=v3 is what every kernel from 5.10 on understands, whatever this clang's default is.
BPF_CFLAGS ?= -O2 -g
BPF_ALL_CFLAGS = -target bpf -mcpu=v3 -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Iinclude \
	-Ibpf -isystem /usr/include/$(BPF_TRIPLET) $(BPF_CFLAGS)

# $(call stamp,FILE,TEXT): a file that holds TEXT and changes when TEXT does. What depends on it is
# made again when flags, or a list of sources, change.
define stamp
$(1): FORCE | $(BUILD)/tools
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$(2))' | cmp -s - $$@ || \
		printf '%s\n' '$$(subst ','\'',$(2))' >$$@
endef
.PHONY: FORCE
FORCE:

$(eval $(call stamp,$(BUILD)/obj/flags,$$(CC) $$(BASE_CFLAGS) $$(CFLAGS) $$(CPPFLAGS)))
$(eval $(call stamp,$(BUILD)/san/flags,$$(CC) $$(BASE_CFLAGS) $$(CFLAGS) $$(CPPFLAGS) $$(SAN_FLAGS)))
$(eval $(call stamp,$(BUILD)/fuzz/flags,$$(CLANG_PATH) $$(BASE_CFLAGS) $$(CFLAGS) $$(FUZZ_FLAGS)))
$(eval $(call stamp,$(BUILD)/bpf/flags,$$(CLANG_PATH) $$(BPF_ALL_CFLAGS)))
$(eval $(call stamp,$(BUILD)/obj/link,$$(CC) $$(LDFLAGS) $$(LINK_STATIC) $$(KERN_LIBS) $$(NET_LIBS) $$(CAP_LIBS)))

# Once: a sentence about what is missing instead of a compiler's.
$(BUILD)/tools:
	@scripts/deps.sh --dry-run build
	@mkdir -p $(@D) && : >$@

# --- programs for the kernel -------------------------------------------------------------------

SKELETONS := $(BUILD)/skel/guard.skel.h $(BUILD)/skel/guard_nobtf.skel.h \
	$(BUILD)/skel/shared.skel.h $(BUILD)/skel/netns.skel.h \
	$(BUILD)/skel/cgroup.skel.h $(BUILD)/skel/cgroup_nobtf.skel.h

# Twice: with what reads kernel memory by BTF (the checksum test), and for kernels without BTF.
$(BUILD)/bpf/guard.bpf.o $(BUILD)/bpf/cgroup.bpf.o: BPF_VARIANT := -DEG_WITH_BTF
$(BUILD)/bpf/guard.bpf.o $(BUILD)/bpf/guard_nobtf.bpf.o: bpf/guard.bpf.c
$(BUILD)/bpf/cgroup.bpf.o $(BUILD)/bpf/cgroup_nobtf.bpf.o: bpf/cgroup.bpf.c
$(BUILD)/bpf/shared.bpf.o: bpf/shared.bpf.c
$(BUILD)/bpf/netns.bpf.o: bpf/netns.bpf.c
$(SKELETONS:$(BUILD)/skel/%.skel.h=$(BUILD)/bpf/%.bpf.o): $(BUILD)/bpf/flags
	$(call say,BPF,$@)
	$(Q)$(CLANG_PATH) $(BPF_ALL_CFLAGS) $(BPF_VARIANT) $(DEPEND) -MT $@ -MF $@.d -c $(filter %.c,$^) \
		-o $@.tmp
	$(Q)if [ -n "$(LLVM_STRIP_PATH)" ]; then $(LLVM_STRIP_PATH) -g $@.tmp; fi
	$(Q)mv $@.tmp $@

$(BUILD)/skel/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL_PATH) gen skeleton $< name $*_bpf >$@.tmp
	$(Q)mv $@.tmp $@

# --- the command, part by part -----------------------------------------------------------------

# user/PART/*.c becomes libPART.a; user/*.c without main.c libcmd.a. libpolicy.a has the two pure
# files of util/ in it and needs nothing else: its tests link nothing else.
PARTS := policy verify doctor daemon oci cni kern net out util cmd static
PURE_UTIL := user/util/text.c user/util/error.c
SRC_policy := $(wildcard user/policy/*.c) $(wildcard $(PURE_UTIL))
SRC_verify := $(wildcard user/verify/*.c)
SRC_daemon := $(wildcard user/daemon/*.c)
SRC_doctor := $(wildcard user/doctor/*.c)
SRC_oci := $(wildcard user/oci/*.c)
SRC_cni := $(wildcard user/cni/*.c)
SRC_kern := $(wildcard user/kern/*.c)
SRC_net := $(wildcard user/net/*.c)
SRC_out := $(wildcard user/out/*.c)
SRC_util := $(filter-out $(PURE_UTIL),$(wildcard user/util/*.c))
SRC_static := $(STATIC_SRC)
SRC_cmd := $(filter-out user/main.c,$(wildcard user/*.c))

# $(call part_archive,PART,VARIANT)
define part_archive
$(BUILD)/$(2)/lib$(1).a: $$(SRC_$(1):%.c=$(BUILD)/$(2)/%.o) $(BUILD)/$(2)/$(1).list
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach variant,obj san fuzz,$(foreach part,$(PARTS),\
	$(eval $(call stamp,$(BUILD)/$(variant)/$(part).list,$$(SRC_$(part)))) \
	$(eval $(call part_archive,$(part),$(variant)))))

$(BUILD)/obj/%.o: %.c $(BUILD)/obj/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(EXTRA_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(DEPEND) -c $< -o $@

$(BUILD)/san/%.o: %.c $(BUILD)/san/flags
	$(call say,CC,san/$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(EXTRA_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) $(DEPEND) \
		-c $< -o $@

$(BUILD)/fuzz/%.o: %.c $(BUILD)/fuzz/flags
	$(call say,CC,fuzz/$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG_PATH) $(BASE_CFLAGS) $(EXTRA_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(FUZZ_FLAGS) \
		-fsanitize=fuzzer-no-link $(DEPEND) -c $< -o $@

# Only kern/ (and the tests of the programs) may see the skeletons.
$(foreach variant,obj san,$(SRC_kern:%.c=$(BUILD)/$(variant)/%.o)): $(SKELETONS)
$(foreach variant,obj san,$(SRC_kern:%.c=$(BUILD)/$(variant)/%.o)): EXTRA_CFLAGS = -Ibpf \
	-I$(BUILD)/skel

# The order is the linker's: what is used comes after its user.
part_libs = $(patsubst %,$(BUILD)/$(1)/lib%.a,$(2))
linked_parts := cmd daemon oci kern net out verify doctor cni policy util
ifeq ($(STATIC),1)
$(BUILD)/egressguard: $(BUILD)/obj/libstatic.a
endif

ifneq ($(wildcard user/main.c),)
all: $(BUILD)/egressguard
endif
$(BUILD)/egressguard: $(BUILD)/obj/user/main.o $(call part_libs,obj,$(linked_parts)) \
		$(BUILD)/obj/link
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK_STATIC) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter-out %/libstatic.a,$(filter %.a,$^)) -Wl,--end-group \
		$(KERN_LIBS) $(NET_LIBS) $(CAP_LIBS) -lpthread $(filter %/libstatic.a,$^)
all: $(call part_libs,obj,policy)

# --- an older version, to be replaced by this one (tests/e2e/test_upgrade.sh) -------------------

# What knows the version is compiled anew, and comes before the libraries that have it too.
OLDER_ABI := $(shell sed -n 's/^.define EG_ABI_READABLE //p' include/eg_abi.h)
OLDER_SRC := $(shell grep -l EG_ABI_VERSION user/kern/*.c)
$(OLDER_SRC:%.c=$(BUILD)/older/%.o): $(SKELETONS)
$(BUILD)/older/%.o: %.c $(BUILD)/obj/flags
	$(call say,CC,older/$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) -Ibpf -I$(BUILD)/skel -DEG_ABI_VERSION=$(OLDER_ABI) $(CPPFLAGS) $(CFLAGS) \
		$(DEPEND) -c $< -o $@
$(BUILD)/tests/egressguard-older: $(BUILD)/obj/user/main.o $(OLDER_SRC:%.c=$(BUILD)/older/%.o) \
		$(call part_libs,obj,$(linked_parts))
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
		-Wl,--end-group $(KERN_LIBS) $(NET_LIBS) $(CAP_LIBS) -lpthread
tests: $(BUILD)/tests/egressguard-older

# --- tests -------------------------------------------------------------------------------------

# tests/DIR/test_*.c are programs, all under ASan and UBSan; any other .c of the directory helps
# them. What a directory's programs link with:
TEST_DIRS := unit bpf kern net cmd
PARTS_unit := daemon oci verify doctor policy
PARTS_bpf := kern net policy util
PARTS_kern := kern net policy util
PARTS_net := net policy util
PARTS_cmd := $(linked_parts)
LIBS_unit =
LIBS_bpf = $(KERN_LIBS) $(NET_LIBS)
LIBS_kern = $(KERN_LIBS) $(NET_LIBS)
LIBS_net = $(NET_LIBS)
LIBS_cmd = $(KERN_LIBS) $(NET_LIBS) $(CAP_LIBS)
SKELETONS_bpf := $(SKELETONS)
# Helpers of tests/unit that another directory's programs use too.
SHARED_bpf := tests/unit/oracle.c tests/unit/packets.c
SKELETONS_kern := $(SKELETONS)
# Units that need more than the pure part.
UNIT_net := $(wildcard tests/unit/test_net*.c)
UNIT_out := $(wildcard tests/unit/test_out*.c)
UNIT_kern := $(wildcard tests/unit/test_kern*.c)
UNIT_cni := $(wildcard tests/unit/test_cni*.c)

# $(call test_program,SOURCE,PARTS,LIBS,SKELETONS,DIR)
define test_program
TEST_PROGRAMS += $(BUILD)/tests/$(basename $(1:tests/%=%))
$(1:%.c=$(BUILD)/san/%.o): $(4)
$(1:%.c=$(BUILD)/san/%.o): EXTRA_CFLAGS = -Ibpf -I$(BUILD)/skel -Itests -Itests/$(5)
$(BUILD)/tests/$(basename $(1:tests/%=%)): $(1:%.c=$(BUILD)/san/%.o) \
		$(BUILD)/san/tests/$(5)/libhelp.a $(call part_libs,san,$(2))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(SAN_FLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) \
		-Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(3) $$(CMOCKA_LIBS) -lpthread
endef

define test_dir
HELP_$(1) := $$(filter-out tests/$(1)/test_%,$$(wildcard tests/$(1)/*.c))
$$(HELP_$(1):%.c=$(BUILD)/san/%.o): $$(SKELETONS_$(1))
$$(HELP_$(1):%.c=$(BUILD)/san/%.o): EXTRA_CFLAGS = -Ibpf -I$(BUILD)/skel -Itests -Itests/$(1)
$(BUILD)/san/tests/$(1)/libhelp.a: $$(HELP_$(1):%.c=$(BUILD)/san/%.o) \
		$$(SHARED_$(1):%.c=$(BUILD)/san/%.o) \
		$(BUILD)/san/tests/$(1)/help.list
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach dir,$(TEST_DIRS),\
	$(eval $(call stamp,$(BUILD)/san/tests/$(dir)/help.list,$$(HELP_$(dir)))) \
	$(eval $(call test_dir,$(dir))) \
	$(foreach source,$(filter-out $(UNIT_net) $(UNIT_out) $(UNIT_kern) $(UNIT_cni),$(wildcard tests/$(dir)/test_*.c)),\
	$(eval $(call test_program,$(source),$(PARTS_$(dir)),$$(LIBS_$(dir)),$(SKELETONS_$(dir)),$(dir)))))
$(foreach source,$(UNIT_net),$(eval $(call test_program,$(source),net policy util,$$(NET_LIBS),,unit)))
$(foreach source,$(UNIT_out),$(eval $(call test_program,$(source),out verify doctor policy util,$$(OUT_LIBS),,unit)))
$(foreach source,$(UNIT_cni),$(eval $(call test_program,$(source),cni policy,$$(OUT_LIBS),,unit)))
$(foreach source,$(UNIT_kern),$(eval \
	$(call test_program,$(source),kern net policy util,$$(KERN_LIBS) $$(NET_LIBS),,unit)))

# Fuzzers: tests/fuzz/fuzz_*.c with clang's libFuzzer over the pure part.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_HELP := $(filter-out $(FUZZ_SRC),$(wildcard tests/fuzz/*.c)) tests/unit/oracle.c
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/tests/fuzz/%)
$(patsubst %.c,$(BUILD)/fuzz/%.o,$(FUZZ_SRC) $(FUZZ_HELP)): EXTRA_CFLAGS = -Ibpf -Itests \
	-Itests/fuzz -Wno-missing-prototypes
$(FUZZERS): $(BUILD)/tests/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o \
		$(FUZZ_HELP:%.c=$(BUILD)/fuzz/%.o) $(call part_libs,fuzz,policy)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG_PATH) $(CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ \
		$(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(FUZZ_LIBS)
$(BUILD)/tests/fuzz/fuzz_cni: $(call part_libs,fuzz,cni)
$(BUILD)/tests/fuzz/fuzz_oci: $(call part_libs,fuzz,oci)
$(BUILD)/tests/fuzz/fuzz_cni $(BUILD)/tests/fuzz/fuzz_oci: FUZZ_LIBS = $(OUT_LIBS)

# Small programs that the namespace tests run inside their namespaces, without sanitizers.
TOOL_SRC := $(wildcard tests/e2e/*.c tests/faults/*.c)
TOOLS := $(addprefix $(BUILD)/tests/,$(notdir $(TOOL_SRC:.c=)))
define tool
$(BUILD)/tests/$(notdir $(1:.c=)): $(1:%.c=$(BUILD)/obj/%.o)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$<
endef
$(foreach source,$(TOOL_SRC),$(eval $(call tool,$(source))))

# Programs alone, in the order in which tests/run finds them.
.PHONY: tests tools
tools: $(TOOLS)
tests: $(TEST_PROGRAMS) $(FUZZERS) $(TOOLS) $(BUILD)/egressguard-image.tar

# Root's part of the work is to install and to run; what is built belongs to who called sudo.
AS_CALLER := scripts/as-caller '$(BUILD)' env -u MAKEFLAGS -u MFLAGS
BUILD_AS_CALLER = $(AS_CALLER) $(MAKE) --no-print-directory -j$(JOBS) $(MAKEOVERRIDES)

.PHONY: test vmtest demo faults fuzz deps
test:
	@scripts/deps.sh build test
	@+$(BUILD_AS_CALLER) all tests
	@tests/run --build '$(BUILD)' --jobs $(JOBS) $(strip $(TESTS))

# The tests of vmtest/tests under each kernel, in virtual machines.
vmtest:
	@scripts/deps.sh build test vmtest
	@+$(BUILD_AS_CALLER) all tests
	@vmtest/table --build '$(BUILD)' --jobs $(JOBS) --kernels '$(KERNELS)' $(strip $(TESTS))

demo:
	@scripts/deps.sh build demo
	@+$(BUILD_AS_CALLER) all tools
	@scripts/demo.sh '$(BUILD)'

# The suite runs a share of them.
faults:
	@scripts/deps.sh build test
	@+$(BUILD_AS_CALLER) all tools
	@tests/faults/run --build '$(BUILD)' --jobs $(JOBS) $(FAULTS)

FUZZ_SECONDS ?= 600
fuzz: $(FUZZERS)
	@scripts/fuzz.sh '$(BUILD)' $(FUZZ_SECONDS)

deps:
	@scripts/deps.sh $(or $(SETS),build)

# --- benchmarks --------------------------------------------------------------------------------

# bench/*.c are programs, without sanitizers; `decide` stands on what the tests of the programs do.
BENCH_SRC := $(wildcard bench/*.c)
BENCH_PROGRAMS := $(BENCH_SRC:%.c=$(BUILD)/%)
BENCH_HELP := $(BUILD)/obj/tests/bpf/fixture.o $(BUILD)/obj/tests/unit/packets.o
$(call lazy,BENCH_CLANG,$$(shell $$(CLANG_PATH) -dumpversion))
$(BENCH_SRC:%.c=$(BUILD)/obj/%.o) $(BENCH_HELP): $(SKELETONS)
$(BENCH_SRC:%.c=$(BUILD)/obj/%.o) $(BENCH_HELP): EXTRA_CFLAGS = -Ibpf -I$(BUILD)/skel -Itests \
	-DBENCH_CLANG='"$(BENCH_CLANG)"'
$(BUILD)/bench/decide: $(BENCH_HELP)
$(BENCH_PROGRAMS): $(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(call part_libs,obj,kern net policy util)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(KERN_LIBS) $(NET_LIBS) \
		$(if $(filter %/decide,$@),$(CMOCKA_LIBS)) -lpthread

.PHONY: bench bench-quick bench-programs
bench-programs: $(BENCH_PROGRAMS)

# BENCH="PART..." takes those parts alone; bench/README.md says which there are.
bench:
	@scripts/deps.sh build bench
	@+$(BUILD_AS_CALLER) all bench-programs
	@bench/run --build '$(BUILD)' $(BENCH)

# What a change must not make worse, in under two minutes.
bench-quick:
	@scripts/deps.sh build bench
	@+$(BUILD_AS_CALLER) all bench-programs
	@bench/quick --build '$(BUILD)'

# --- checks ------------------------------------------------------------------------------------

.PHONY: check
check: $(SKELETONS)
	@scripts/deps.sh check
	@BUILD='$(BUILD)' CHECK_CFLAGS="$(subst ",\",$(BASE_CFLAGS))" JOBS=$(JOBS) scripts/check.sh

# --- other forms -------------------------------------------------------------------------------

# One file that runs on an old userland. libcurl cannot be linked into it in a portable way.
.PHONY: static
static:
	@scripts/deps.sh static
	@echo 'static: without libcurl, so containers are not found by name; use pid:N or a path'
	@case "$$($(CC) $(LDFLAGS) -print-file-name=libmnl.a)" in /*) ;; *) \
		echo 'static: no libmnl.a here (Debian 12 does not package it): build on Debian 13' \
			'or Ubuntu 24.04, or pass LDFLAGS=-LDIR with one' >&2; exit 1 ;; esac
	@+$(MAKE) --no-print-directory BUILD='$(BUILD)/static' STATIC=1 CURL=no \
		'$(BUILD)/static/egressguard'

# A container image, of no more than a guard container needs: without libcurl, whose libraries are five
# times the rest. IMAGE_CURL=yes puts it in, for one that asks a container engine for names.
IMAGE_CURL ?= no
IMAGE := $(BUILD)/egressguard-image.tar
$(BUILD)/image/runtime_http.o: user/net/runtime_http.c $(BUILD)/obj/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CPPFLAGS) $(CFLAGS) -DEG_NO_CURL $(DEPEND) -c $< -o $@
# What is asked for first is taken before the archives' own.
$(BUILD)/image/egressguard: $(BUILD)/obj/user/main.o $(BUILD)/image/runtime_http.o \
		$(call part_libs,obj,$(linked_parts)) $(BUILD)/obj/link
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
		$(KERN_LIBS) $(call pkg_libs,libmnl jansson) $(CAP_LIBS) -lpthread
IMAGE_PROGRAM := $(BUILD)/$(if $(filter yes,$(IMAGE_CURL)),,image/)egressguard
$(eval $(call stamp,$(BUILD)/image/program,$(IMAGE_PROGRAM)))
$(IMAGE): $(IMAGE_PROGRAM) $(BUILD)/image/program dist/self.conf scripts/image.sh VERSION
	$(call say,IMAGE,$@)
	$(Q)scripts/image.sh $(IMAGE_PROGRAM) $@

.PHONY: image image-load
image:
	@scripts/deps.sh build
	@+$(BUILD_AS_CALLER) '$(IMAGE)'

image-load: image
	@scripts/image-load.sh '$(IMAGE)' $(ENGINE)

EXAMPLES := wireguard.conf self.conf compose/guard.yaml compose/host.yaml compose/runtime.yaml \
	egressguard-cni.conflist
.PHONY: install
install:
	@+$(BUILD_AS_CALLER) all
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)install -D -m 755 $(BUILD)/egressguard $(DESTDIR)$(PREFIX)/bin/egressguard
	$(Q)ln -sf egressguard $(DESTDIR)$(PREFIX)/bin/egressguard-runtime
	$(Q)for page in $(wildcard doc/*.[1578]); do install -D -m 644 $$page \
		$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; done
	$(Q)install -D -m 644 doc/egressguard.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/egressguard
	$(Q)mkdir -p $(DESTDIR)$(UNIT_DIR)
	$(Q)sed 's|@BINDIR@|$(PREFIX)/bin|' dist/egressguard.service >$(DESTDIR)$(UNIT_DIR)/egressguard.service
	$(Q)for file in $(EXAMPLES); do install -D -m 644 dist/$$file \
		$(DESTDIR)$(PREFIX)/share/doc/egressguard/$$file || exit; done
	$(Q)mkdir -p $(DESTDIR)$(CNI_DIR)
	$(Q)ln -sf $(PREFIX)/bin/egressguard $(DESTDIR)$(CNI_DIR)/egressguard-cni
	$(Q)mkdir -p $(DESTDIR)$(HOOKS_DIR)
	$(Q)sed 's|@BINDIR@|$(PREFIX)/bin|' dist/oci-hook.json >$(DESTDIR)$(HOOKS_DIR)/egressguard.json
	$(Q)mkdir -p $(DESTDIR)/etc/egressguard/templates

# Guards in force stay in force.
.PHONY: uninstall
uninstall:
	$(call say,REMOVE,$(DESTDIR)$(PREFIX)/bin/egressguard)
	$(Q)rm -f $(DESTDIR)$(PREFIX)/bin/egressguard $(DESTDIR)$(PREFIX)/bin/egressguard-runtime $(DESTDIR)$(UNIT_DIR)/egressguard.service \
		$(addprefix $(DESTDIR)$(PREFIX)/share/doc/egressguard/,$(EXAMPLES)) \
		$(DESTDIR)$(HOOKS_DIR)/egressguard.json \
		$(DESTDIR)$(CNI_DIR)/egressguard-cni \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/egressguard
	$(Q)for page in $(wildcard doc/*.[1578]); do \
		rm -f $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; done
	$(Q)[ -n '$(DESTDIR)' ] || scripts/left-in-force

.PHONY: clean
clean:
	$(Q)rm -rf '$(BUILD)'

.PHONY: help
help:
	@echo 'make             the command, $(BUILD)/egressguard'
	@echo 'make test        install what is missing, build, run all tests (root);'
	@echo '                 TESTS="NAME..." runs those whose names contain one of these'
	@echo 'make vmtest      the same for the tests of vmtest/tests, under each kernel of vmtest/kernels;'
	@echo '                 KERNELS="NAME..." takes those (root)'
	@echo 'make demo        install what is missing, build, show it in private namespaces (root)'
	@echo 'make check       formatting, static analysis, shell scripts, manual pages, house rules'
	@echo 'make tests       build the test programs without running them'
	@echo 'make faults      each system call of attach, replace, detach and status failing, or the'
	@echo '                 command killed at it; FAULTS="--only CASE" for one (tests/faults/run)'
	@echo 'make bench       measure beside iptables and nftables, 10 to 15 minutes (root); BENCH="PART..."'
	@echo '                 takes these parts: see bench/README.md'
	@echo 'make bench-quick what a change must not make worse, in under two minutes (root)'
	@echo 'make fuzz        run each fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make static      one static binary, $(BUILD)/static/egressguard'
	@echo 'make image       a container image, $(BUILD)/egressguard-image.tar: `docker load -i` and'
	@echo '                 `podman load -i` take it; IMAGE_CURL=yes for one that asks an engine for names'
	@echo 'make image-load  the same, and gives it to Docker or Podman; ENGINE=docker or podman'
	@echo 'make deps        install what is missing to build; SETS="build demo test vmtest check" for'
	@echo '                 more, YES=1 for no questions'
	@echo 'make install     DESTDIR= PREFIX=$(PREFIX) UNIT_DIR=$(UNIT_DIR)'
	@echo '                 CNI_DIR=$(CNI_DIR): where the link egressguard-cni goes'
	@echo 'make uninstall   remove what install has put there (guards in force stay)'
	@echo 'make clean       remove $(BUILD)'
	@echo 'Variables: BUILD, CC, CFLAGS, CLANG, BPFTOOL, CURL=no, V=1 (show commands)'

ifneq ($(wildcard $(BUILD)),)
-include $(shell find '$(BUILD)/obj' '$(BUILD)/san' '$(BUILD)/fuzz' '$(BUILD)/bpf' '$(BUILD)/older' -name '*.d' \
	2>/dev/null)
endif
