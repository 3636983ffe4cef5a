# forkmap: `make run` and `make test` do all the set-up; `make` alone builds, without root or network.
#
#   make            build/forkmap and build/forkmap-worker
#   make run        install what is missing, build, start the service
#   make test       install what is missing, build, run every test
#   make lint       format, folder rules, clang-tidy, cppcheck
#   make sanitize   every test under ASan + UBSan
#   make bench      this project beside its peers, in one interleaved run
#   make coverage   line and branch coverage of the tests
#   make deps       the only target that installs (apt packages, by name)

VERSION := 0.1.0
CC ?= gcc
CXX ?= g++
B ?= build
SAN ?=
COV ?=
WERROR ?=

CPPFLAGS += -D_GNU_SOURCE -I. -DFORKMAP_VERSION='"$(VERSION)"'
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wundef -Wvla -Wformat=2 -Wno-unused-parameter $(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
OPT := -O2 -g -fno-strict-aliasing
LINK := -pie -Wl,-z,relro,-z,now
ifneq ($(SAN),)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-strict-aliasing
HARDEN := -fPIE
LINK := -pie -fsanitize=address,undefined
endif
ifneq ($(COV),)
OPT := -O0 -g --coverage -fno-strict-aliasing
HARDEN :=
LINK := --coverage
endif
CFLAGS += -std=c11 $(OPT) $(WARN) -Wstrict-prototypes -Wmissing-prototypes $(HARDEN)
# Debian puts its version into the path; without it the standard library prints doubles, more slowly.
DRAGONBOX := $(addprefix -isystem ,$(lastword $(wildcard /usr/include/dragonbox-*)))
CXXFLAGS += $(DRAGONBOX) -std=c++17 $(OPT) $(WARN) $(HARDEN) -fno-exceptions -fno-rtti
STATICCXX := $(if $(SAN),-lstdc++,-Wl,-Bstatic -lstdc++ -Wl,-Bdynamic)

WORKER_LIBS := $(STATICCXX) -lnettle -lgmp -lm
SERVER_LIBS := -lmicrohttpd -ljansson -lz $(STATICCXX) -lnettle -lm
TEST_LIBS := -lcmocka -lcurl -lmicrohttpd -ljansson -lz $(STATICCXX) -lnettle -lgmp -lm

objects = $(patsubst %.c,$(B)/obj/%.o,$(filter %.c,$(1))) $(patsubst %.cc,$(B)/obj/%.o,$(filter %.cc,$(1)))
WORKERS := $(filter-out workers/main_worker.c,$(wildcard workers/*.c workers/*.cc))
API := $(wildcard api/*.c)
SERVER := $(filter-out server/main.c,$(wildcard server/*.c))
TESTS := $(wildcard tests/test_*.c)
TEST_HELPERS := $(filter-out $(TESTS) $(wildcard tests/fuzz_*.c tests/micro_*.c tests/sim_*.c),$(wildcard tests/*.c))
SIMS := $(wildcard tests/sim_*.c)
MICROS := $(wildcard tests/micro_*.c)

.PHONY: all run test deps lint sanitize bench coverage clean unit tests fuzz micro install
all: $(B)/forkmap $(B)/forkmap-worker

$(B)/forkmap: $(B)/obj/server/main.o $(B)/lib/server.a $(B)/lib/api.a $(B)/lib/workers.a
	$(CC) $(LINK) -o $@ $^ $(SERVER_LIBS)
$(B)/forkmap-worker: $(B)/obj/workers/main_worker.o $(B)/lib/workers.a
	$(CC) $(LINK) -o $@ $^ $(WORKER_LIBS)
$(B)/lib/workers.a: $(call objects,$(WORKERS))
$(B)/lib/api.a: $(call objects,$(API))
$(B)/lib/server.a: $(call objects,$(SERVER))
$(B)/lib/tests.a: $(call objects,$(TEST_HELPERS))
$(B)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^
$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/%.o: %.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<
$(B)/tests/%: $(B)/obj/tests/%.o $(B)/lib/tests.a $(B)/lib/server.a $(B)/lib/api.a $(B)/lib/workers.a
	@mkdir -p $(@D)
	$(CC) $(LINK) -o $@ $^ $(TEST_LIBS)

tests: all $(patsubst tests/%.c,$(B)/tests/%,$(TESTS) $(SIMS) $(MICROS))

# What has to be installed to build, to test, to lint, to bench is known by scripts/deps alone.
deps:
	scripts/deps build
run:
	@scripts/deps build
	@$(MAKE) --no-print-directory all
	$(B)/forkmap serve $(ARGS)
test:
	@scripts/deps test
	@$(MAKE) --no-print-directory all tests
	@scripts/run-tests $(B)
sanitize:
	@scripts/deps test
	@$(MAKE) --no-print-directory SAN=1 B=build/san all tests
	@scripts/run-tests build/san
lint:
	@scripts/deps lint
	@scripts/lint
bench:
	@scripts/deps bench
	@$(MAKE) --no-print-directory all
	@bench/run $(ARGS)
micro: tests
	@for m in $(patsubst tests/%.c,$(B)/tests/%,$(MICROS)); do $$m || exit 1; done
coverage:
	@scripts/deps coverage
	@$(MAKE) --no-print-directory COV=1 B=build/cov all tests
	@scripts/run-tests build/cov
	gcovr --root . --object-directory build/cov --exclude tests/ --txt build/coverage.txt --html-details build/coverage.html --print-summary
clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
