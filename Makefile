# Plumbline. `make help` lists what there is to make.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
BUILD := build
CC := gcc
NODE := node
SHELL := /bin/bash
# What people call builds on all cores, however it is called.
JOBS := $(shell nproc)
# `make V=1` shows the whole commands.
Q := $(if $(V),,@)
say = $(if $(V),@:,@echo '  $(1)  '$@)

LIBRARIES := libmicrohttpd jansson sqlite3 openblas libsodium zlib libpng libcurl
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
    -Wformat=2 -Wundef -Wvla -Wno-overlength-strings
# Before `make dependencies` has run there may be no pkg-config, and nothing to say about it.
LIBRARY_FLAGS := $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
LIBS := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null) -lm -pthread
# -fno-trapping-math and -fno-math-errno keep every value; they only let loops of compares and square roots vectorise.
CFLAGS_ALL = -std=gnu17 $(WARNINGS) -I. -D_GNU_SOURCE -DPLUMBLINE_VERSION='"$(VERSION)"' -fno-trapping-math \
    -fno-math-errno -fopenmp-simd -pthread $(LIBRARY_FLAGS) -MMD -MP
RELEASE := -O3 -g -DNDEBUG -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
THREAD_SANITIZE := -O1 -g -fsanitize=thread -DPLUMBLINE_TSAN
HARDEN := -pie -Wl,-z,relro,-z,now

CORE := $(sort $(wildcard core/*.c))
SERVER := $(sort $(filter-out server/main.c,$(wildcard server/*.c)))
GENERATED := $(BUILD)/migrations.c $(BUILD)/openapi_text.c $(BUILD)/web_assets.c
SOURCES := $(CORE) $(sort $(wildcard server/*.c tests/*.c tests/bench/*.c))
HEADERS := $(sort $(wildcard core/*.h server/*.h tests/*.h))

TESTS := $(patsubst tests/%.c,%,$(sort $(wildcard tests/test_*.c)))
# The mathematics is built a second time with real = double; finite differences mean something only there.
DOUBLE_ONLY := test_gradient
DOUBLE := $(DOUBLE_ONLY) test_reference test_feature_map test_trainer test_memory test_weights test_optimiser \
    test_identities test_plain_loops test_attention
# The concurrent parts also run under ThreadSanitizer.
THREADED := test_events test_store_read test_scheduler test_scheduler_faults test_control test_picture
TEST_PROGRAMS := $(addprefix $(BUILD)/tests/,$(filter-out $(DOUBLE_ONLY),$(TESTS)) \
    $(addsuffix -double,$(filter $(DOUBLE),$(TESTS))) $(addsuffix -tsan,$(filter $(THREADED),$(TESTS))))

.PHONY: all help clean run test test-faults test-deploy bench lint format install uninstall dependencies test-programs
all: $(BUILD)/plumbline

help:
	@echo 'make               build build/plumbline'
	@echo 'make run           install what is missing, build, start the server, measure Fashion-MNIST, print the table'
	@echo 'make test          install what is missing, lint, run all tests'
	@echo 'make bench         time training steps beside the peer of ../shared, where it is; the API under load; the pages'
	@echo 'make test-faults   interruptions, crashes, power cuts, full disks; FAULTS=long for the full figures'
	@echo 'make test-deploy   image, compose file, service: deployed in an engine of its own; DEPLOY=long on both releases'
	@echo 'make lint          formatter, clang-tidy, cppcheck, types of the dashboard, rules of the house'
	@echo 'make format        let clang-format and prettier write'
	@echo 'make install       to PREFIX ($(PREFIX)), below DESTDIR; make uninstall takes it away'
	@echo 'make dependencies  install what is missing (Debian packages, npm packages)'
	@echo 'make clean         remove build/'

dependencies:
	@sh tests/dependencies.sh

# ---------------------------------------------------------------- programs

# flavour NAME,FLAGS: every source compiled into build/NAME
define flavour
$(BUILD)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) $(2) -c -o $$@ $$<
$(BUILD)/$(1)/%.o: $(BUILD)/%.c
	@mkdir -p $$(@D)
	$$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) $(2) -c -o $$@ $$<
endef
$(eval $(call flavour,release,$(RELEASE)))
$(eval $(call flavour,asan,$(SANITIZE)))
$(eval $(call flavour,double,$(SANITIZE) -DPLUMBLINE_DOUBLE))
$(eval $(call flavour,tsan,$(THREAD_SANITIZE)))

objects = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(CORE) $(SERVER)) $(patsubst $(BUILD)/%.c,$(BUILD)/$(1)/%.o,$(GENERATED))

$(BUILD)/plumbline: $(BUILD)/release/server/main.o $(call objects,release)
	$(call say,LD)
	$(Q)$(CC) $(RELEASE) $(HARDEN) -o $@ $^ $(LIBS)
$(BUILD)/plumbline-asan: $(BUILD)/asan/server/main.o $(call objects,asan)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS)
$(BUILD)/plumbline-tsan: $(BUILD)/tsan/server/main.o $(call objects,tsan)
	$(call say,LD)
	$(Q)$(CC) $(THREAD_SANITIZE) -o $@ $^ $(LIBS)

$(BUILD)/tests/%-double: $(BUILD)/double/tests/%.o $(BUILD)/double/tests/support.o $(call objects,double)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS) -lcmocka
$(BUILD)/tests/%-tsan: $(BUILD)/tsan/tests/%.o $(BUILD)/tsan/tests/support.o $(call objects,tsan)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(THREAD_SANITIZE) -o $@ $^ $(LIBS) -lcmocka
# Preloaded into the program as it is released.
$(BUILD)/tests/failing_calls.so: tests/failing_calls.c
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS_ALL) -O1 -g -fPIC -shared -o $@ $<
$(BUILD)/tests/test_powercut: $(BUILD)/asan/tests/powercut_vfs.o
$(BUILD)/tests/%: $(BUILD)/asan/tests/%.o $(BUILD)/asan/tests/support.o $(call objects,asan)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/bench_plumbline: $(BUILD)/release/tests/bench/bench_plumbline.o $(call objects,release)
	$(CC) $(RELEASE) $(HARDEN) -o $@ $^ $(LIBS)

# A text as a C string
$(BUILD)/openapi_text.c: server/openapi.json
	@mkdir -p $(BUILD)
	$(Q)(echo 'extern const char openapi_text[];'; echo 'const char openapi_text[] ='; \
	    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/' $<; echo ';') > $@.tmp && mv $@.tmp $@
$(BUILD)/migrations.c: migrations/embed.sh $(wildcard migrations/*/*.sql)
	@mkdir -p $(BUILD)
	sh migrations/embed.sh migrations > $@.tmp && mv $@.tmp $@

WEB := $(shell find web -path web/node_modules -prune -o -type f -print)
$(BUILD)/web_assets.c: $(WEB) web/node_modules/.package-lock.json
	@mkdir -p $(BUILD)
	cd web && $(NODE) build.mjs ../$@
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-fund --no-audit
	@touch $@

# ---------------------------------------------------------------- what people do

run: dependencies
	@$(MAKE) -j$(JOBS) --no-print-directory $(BUILD)/plumbline
	@$(NODE) web/demo.mjs $(BUILD)/plumbline

test: dependencies
	@$(MAKE) -j$(JOBS) --no-print-directory lint
	@$(MAKE) -j$(JOBS) --no-print-directory test-programs $(BUILD)/plumbline $(BUILD)/plumbline-asan
	@bash tests/run.sh $(TEST_PROGRAMS)
test-programs: $(TEST_PROGRAMS) $(BUILD)/tests/failing_calls.so

# Interruptions, crashes, power cuts, full disks, failing calls: those of `make test`, or by FAULTS=long the full figures.
FAULT_PROGRAMS := $(addprefix $(BUILD)/tests/,test_resume test_control test_backup test_powercut \
    $(if $(filter long,$(FAULTS)),test_control-tsan))
test-faults: dependencies
	@$(MAKE) -j$(JOBS) --no-print-directory $(FAULT_PROGRAMS) $(BUILD)/tests/failing_calls.so $(BUILD)/plumbline $(BUILD)/plumbline-asan
	@SUITES=faults FAULTS=$(FAULTS) bash tests/run.sh $(FAULT_PROGRAMS)

# Containers: as a lab would deploy it. Takes root, and Debian's container engine.
test-deploy: dependencies
	@$(MAKE) -j$(JOBS) --no-print-directory $(BUILD)/plumbline
	@DEPLOY=$(DEPLOY) bash tests/deploy/run.sh

bench:
	@sh tests/dependencies.sh bench
	@$(MAKE) -j$(JOBS) --no-print-directory $(BUILD)/bench_plumbline $(BUILD)/plumbline
	@$(NODE) tests/bench/bench.mjs $(BUILD)/bench_plumbline
	@PLUMBLINE=$(BUILD)/plumbline $(NODE) tests/bench/api.mjs
	@PLUMBLINE=$(BUILD)/plumbline $(NODE) tests/bench/pages.mjs

lint: $(GENERATED)
	@bash tests/lint.sh $(BUILD) $(HEADERS) $(SOURCES) -- $(CFLAGS_ALL)

format:
	clang-format -i $(HEADERS) $(SOURCES)
	cd web && npm run --silent format

# The manual page and the completions come from the program itself.
MAN := $(DESTDIR)$(PREFIX)/share/man/man1/plumbline.1
BASH_COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions/plumbline
ZSH_COMPLETION := $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_plumbline
UNIT := $(DESTDIR)$(PREFIX)/lib/systemd/system/plumbline.service
install: $(BUILD)/plumbline
	install -D -m 755 $(BUILD)/plumbline $(DESTDIR)$(PREFIX)/bin/plumbline
	$(BUILD)/plumbline man > $(BUILD)/plumbline.1
	$(BUILD)/plumbline completion bash > $(BUILD)/plumbline.bash
	$(BUILD)/plumbline completion zsh > $(BUILD)/plumbline.zsh
	install -D -m 644 $(BUILD)/plumbline.1 $(MAN)
	install -D -m 644 $(BUILD)/plumbline.bash $(BASH_COMPLETION)
	install -D -m 644 $(BUILD)/plumbline.zsh $(ZSH_COMPLETION)
	sed 's|@PREFIX@|$(PREFIX)|' server/plumbline.service.in > $(BUILD)/plumbline.service
	install -D -m 644 $(BUILD)/plumbline.service $(UNIT)
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/plumbline $(MAN) $(BASH_COMPLETION) $(ZSH_COMPLETION) $(UNIT)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.SECONDARY:
