# Everything runs without hardware. `make demo` shows it, `make test` tests it.
export GOTOOLCHAIN := local
export CGO_ENABLED := 0

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
BUILT   := $(shell git log -1 --format=%ct 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.built=$(BUILT)
BUILD   := go build -trimpath -ldflags "$(LDFLAGS)"
APT     := chromium fuse3 lintian mosquitto poppler-utils postgresql prometheus python3-numpy python3-zxing-cpp qemu-user systemd wrk zbar-tools

.PHONY: build demo test test-full twin arm image image-test deps soak bench fuzz check pi packages reproducible clean

# Both programs, for this machine.
build:
	@mkdir -p build
	$(BUILD) -o build/qrgate-server ./server
	$(BUILD) -o build/qrgate-kiosk ./device

# A server and two virtual kiosks; prints the links, Ctrl-C ends all. PORTAL is another
# address for the page: make demo PORTAL=127.0.0.1:8090
demo: build
	go run ./sync/e2e/demo -server build/qrgate-server -kiosk build/qrgate-kiosk $(if $(PORTAL),-portal $(PORTAL))

# Most packages wait for a browser, a database or another program for part of their time:
# one more runs at once than there are processors. What make check has vetted is not
# vetted again.
BUSY := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
TEST := go test -vet=off -p $(BUSY)

# The tests that need nothing but Go; with a C compiler, which the race detector
# is linked by, also for races. SQLite is C turned into Go, on memory of its own: to watch
# that too would take its tests more than twice as long.
RACE := $(shell command -v $${CC:-gcc} >/dev/null 2>&1 && echo -race -gcflags=modernc.org/sqlite/lib=-race=false)
# In those of ALONE nothing runs at once but the browsers and programs that they drive:
# of the portal's pages all but the two that stream. They would take minutes more.
ALONE := hw/qrread|server/print|server/portal(/[^fl][a-z]*)?|sync/e2e
# The slowest packages begin first: at the end they would leave a processor without work.
SLOW  := server/(ingest|portal|portal/(cases|progress)|store)|sync/(deliver|e2e|e2e/pack|outbox)
FIRST := awk '{ print !/(^|\/)($(subst /,\/,$(SLOW)))$$/, $$0 }' | sort -k1,1 -k2r | cut -d' ' -f2
test: check
	CGO_ENABLED=$(if $(RACE),1,0) $(TEST) $(RACE) -timeout 15m $$(go list ./... | grep -vE '/($(ALONE))$$' | $(FIRST))
	$(TEST) -timeout 15m $$(go list ./... | grep -E '/($(ALONE))$$' | $(FIRST))

# The tests that need more: PostgreSQL, Mosquitto, FUSE, zbar, Chromium. What make test has
# run is not run again: where the tag changes all tests of a package, as the store they run
# on, all but those on SQLite are run, and of the other packages the tests that only the tag
# brings. Needs root, for FUSE and apt-get.
TAGGED  = grep -rl --include='*_test.go' '^//go:build $(1)$$' device hw server sync
FOLDERS = xargs -n1 dirname | sort -u | $(FIRST) | sed 's|^|./|'
test-full: deps
	$(TEST) -tags full -timeout 30m -skip '/^sqlite$$' $$($(call TAGGED,!full) | $(FOLDERS))
	$(TEST) -tags full -timeout 30m -run "^($$($(call TAGGED,full) | xargs sed -nE 's/^func (Test[A-Z0-9]\w*)\(.*/\1/p' | sort -u | paste -sd'|'))$$" \
	  $$($(call TAGGED,full) | $(FOLDERS) | grep -vxF "$$($(call TAGGED,!full) | $(FOLDERS))")

# The kiosk's program in a virtual machine whose kernel shows it the devices of a door,
# and whose power is cut. Needs apt-get; fetches Debian's kernel once.
TWIN := e2fsprogs gcc-12 kmod make qemu-system-x86 xz-utils
twin:
	@dpkg -s $(TWIN) >/dev/null 2>&1 || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(TWIN); }
	sync/e2e/twin/kernel.sh build/twin
	$(TEST) -tags twin -timeout 30m -parallel $(BUSY) -v ./sync/e2e/twin

# The tests of what runs on a board, as an arm64, armv7 or armv6 processor runs them. Those
# of sync/e2e start servers and browsers, which no board has. Needs apt-get.
arm:
	@dpkg -s qemu-user >/dev/null 2>&1 || { apt-get update && apt-get install -y --no-install-recommends qemu-user; }
	for board in arm64 armv7 armv6; do \
	  sync/e2e/arm.sh $$board -timeout 30m $$(go list ./hw/... ./sync/... ./device/... | grep -v /e2e) || exit 1; done

# The image of a kiosk's card for Raspberry Pi 3, 4, 5 and Zero 2, for a box with lamps; for a
# Pi 2: go run ./sync/e2e/image -out build/image -arch armhf.
# Needs apt-get.
IMAGE := device-tree-compiler dosfstools kmod mmdebstrap mtools squashfs-tools systemd xz-utils
image:
	@dpkg -s $(IMAGE) >/dev/null 2>&1 || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(IMAGE); }
	go run ./sync/e2e/image -out build/image

# The image on an emulated board: first start, check-ins, updates of the system, power cuts.
# Needs apt-get, an hour, and a machine that does nothing else.
IMAGETEST := $(IMAGE) chromium qemu-system-arm
image-test:
	@dpkg -s $(IMAGETEST) >/dev/null 2>&1 || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(IMAGETEST); }
	go test -tags image -timeout 3h -v ./sync/e2e/image

# Debian's packages that test-full, soak and bench use.
deps:
	@dpkg -s $(APT) >/dev/null 2>&1 || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(APT); }

# The same tests at the size of the promises: hours.
soak: deps twin
	@dpkg -s mmdebstrap >/dev/null 2>&1 || apt-get install -y --no-install-recommends mmdebstrap
	QRGATE_SCALE=soak go test -tags full -timeout 6h -v -run 'Soak|PowerCut|Scenario|TenMillion' ./...
	QRGATE_SCALE=soak go test -tags full -run '^$$' -bench Trace -benchtime 20x -timeout 6h ./server/trace
	QRGATE_SCALE=soak go test -tags twin -timeout 6h -v -run PowerCuts ./sync/e2e/twin
	@dpkg -s libreoffice-calc-nogui >/dev/null 2>&1 || apt-get install -y --no-install-recommends libreoffice-calc-nogui
	go test -tags full,soak -timeout 30m -run LibreOffice ./server/portal/cases
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 8m -parallel 1 -fuzzminimizetime 20x ./hw/camera
	go test -run '^$$' -fuzz FuzzRead -fuzztime 8m -parallel 1 -fuzzminimizetime 20x ./hw/qrread
	go test -run '^$$' -fuzz FuzzMatrix -fuzztime 8m -parallel 1 -fuzzminimizetime 20x ./hw/qrread
	go test -run '^$$' -fuzz FuzzStream -fuzztime 8m -parallel 1 -fuzzminimizetime 20x ./hw/qrread

# The figures of the README. A fleet comes and goes once.
bench: deps
	go test -tags full -run '^$$' -bench . -skip Fleet -benchtime 2s -timeout 3h ./...
	go test -tags full -run '^$$' -bench Fleet -benchtime 1x -timeout 30m ./sync/e2e

# Every fuzz target for FUZZTIME.
FUZZTIME ?= 60s
fuzz:
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
	  echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p || exit 1; done; done

# Form: gofmt, vet, staticcheck, also for the boards whose int is 32 bits wide.
check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these files'; exit 1; }
	go vet -tags full,twin,image ./...
	go vet $$($(call TAGGED,!full) | $(FOLDERS))
	go tool staticcheck -tags full,twin,image ./...
	GOARCH=arm GOARM=6 go vet ./hw/... ./sync/... ./device/...

# qrgate-kiosk for every board, with its size.
pi:
	@mkdir -p build/pi
	GOOS=linux GOARCH=arm64 $(BUILD) -o build/pi/qrgate-kiosk-arm64 ./device
	GOOS=linux GOARCH=arm GOARM=7 $(BUILD) -o build/pi/qrgate-kiosk-armv7 ./device
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o build/pi/qrgate-kiosk-armv6 ./device
	GOOS=linux GOARCH=amd64 $(BUILD) -o build/pi/qrgate-kiosk-amd64 ./device
	@ls -l build/pi | awk 'NR > 1 { printf "%-24s %5.1f MB\n", $$9, $$5 / 1e6 }'

# The Debian packages of both programs, with their bills of materials.
packages:
	go run ./sync/e2e/pack -out build/packages

# Whether the same commit gives the same packages, byte for byte, in another directory
# and out of an empty build cache.
reproducible:
	QRGATE_SCALE=soak go test -tags full -timeout 60m -v -run Reproducible ./sync/e2e/pack

clean:
	rm -rf build
