# Plumbline. `make help` lists what there is to make.

VERSION := 0.1.0
PREFIX ?= /usr/local
BUILD := build
CC := gcc
NODE := node

PACKAGES := libmicrohttpd jansson sqlite3 openblas libsodium zlib
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
    -Wformat=2 -Wundef -Wvla -Wno-overlength-strings
# -fno-trapping-math and -fno-math-errno keep every value; they only let loops of compares and square roots vectorise.
CFLAGS_ALL = -std=gnu17 $(WARNINGS) -I. -I$(BUILD) -D_GNU_SOURCE -DPLUMBLINE_VERSION='"$(VERSION)"' -fno-trapping-math \
    -fno-math-errno -fopenmp-simd -pthread $(shell pkg-config --cflags $(PACKAGES)) -MMD -MP
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lm -pthread
RELEASE := -O3 -g -DNDEBUG -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
THREAD_SANITIZE := -O1 -g -fsanitize=thread -DPLUMBLINE_TSAN
HARDEN := -pie -Wl,-z,relro,-z,now

CORE := $(sort $(wildcard core/*.c))
SERVER := $(sort $(filter-out server/main.c,$(wildcard server/*.c)))
GENERATED := $(BUILD)/migrations.c $(BUILD)/web_assets.c
TESTS := $(patsubst tests/%.c,%,$(sort $(wildcard tests/test_*.c)))
# These hold the mathematics against double-precision reference cases, so they are built a second time with real = double.
DOUBLE_TESTS := $(filter test_reference test_gradient test_layer test_divergence test_trainer,$(TESTS))

.PHONY: all help clean run test lint format bench install uninstall tests dependencies
all: $(BUILD)/plumbline

# objects FLAVOUR,FLAGS: every source compiled into build/FLAVOUR
define flavour
$(BUILD)/$(1)/%.o: %.c $(BUILD)/.dependencies | $(BUILD)/migrations.c
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS_ALL) $(2) -c -o $$@ $$<
$(BUILD)/$(1)/%.o: $(BUILD)/%.c
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS_ALL) $(2) -c -o $$@ $$<
endef
$(eval $(call flavour,release,$(RELEASE)))
$(eval $(call flavour,asan,$(SANITIZE)))
$(eval $(call flavour,double,$(SANITIZE) -DPLUMBLINE_DOUBLE))
$(eval $(call flavour,tsan,$(THREAD_SANITIZE)))

objects = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(CORE) $(SERVER)) $(patsubst $(BUILD)/%.c,$(BUILD)/$(1)/%.o,$(GENERATED))

$(BUILD)/.dependencies:
	@mkdir -p $(BUILD)
	@pkg-config --exists $(PACKAGES) || { echo 'Libraries are missing: run "make dependencies" first.' >&2; exit 1; }
	@touch $@

$(BUILD)/plumbline: $(BUILD)/release/server/main.o $(call objects,release)
	$(CC) $(RELEASE) $(HARDEN) -o $@ $^ $(LIBS)
$(BUILD)/plumbline-asan: $(BUILD)/asan/server/main.o $(call objects,asan)
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS)
$(BUILD)/plumbline-tsan: $(BUILD)/tsan/server/main.o $(call objects,tsan)
	$(CC) $(THREAD_SANITIZE) -o $@ $^ $(LIBS)

$(BUILD)/tests/%-double: $(BUILD)/double/tests/%.o $(call objects,double)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS) -lcmocka
$(BUILD)/tests/%-tsan: $(BUILD)/tsan/tests/%.o $(call objects,tsan)
	@mkdir -p $(@D)
	$(CC) $(THREAD_SANITIZE) -o $@ $^ $(LIBS) -lcmocka
$(BUILD)/tests/%: $(BUILD)/asan/tests/%.o $(call objects,asan)
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/migrations.c: migrations/embed.sh $(wildcard migrations/*/*.sql)
	@mkdir -p $(BUILD)
	sh migrations/embed.sh migrations > $@.tmp && mv $@.tmp $@

WEB := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)
$(BUILD)/web_assets.c: $(WEB) web/node_modules/.package-lock.json
	@mkdir -p $(BUILD)
	cd web && $(NODE) build.mjs ../$@
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-fund --no-audit
	@touch $@

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.SECONDARY:
