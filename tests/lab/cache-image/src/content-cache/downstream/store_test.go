// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/distribution/registry/storage"
	memorycache "github.com/docker/distribution/registry/storage/cache/memory"
	storagedriver "github.com/docker/distribution/registry/storage/driver"
	"github.com/docker/distribution/registry/storage/driver/inmemory"
	"github.com/opencontainers/go-digest"
)

var (
	background = context.Background()
	app        = named("engineering/app")
	other      = named("research/tool")
	content    = []byte("a layer")
	layer      = digest.FromBytes(content)
)

func named(text string) reference.Named {
	name, err := reference.WithName(text)
	if err != nil {
		panic(err)
	}
	return name
}

// newStore makes a store in memory, with the registry's cache of descriptors in front of it, and a clock to turn on.
func newStore(t *testing.T, ttl time.Duration) (*store, *time.Time) {
	t.Helper()
	driver := inmemory.New()
	descriptors := storage.BlobDescriptorCacheProvider(memorycache.NewInMemoryBlobDescriptorCacheProvider())
	inner, err := storage.NewRegistry(background, driver, storage.EnableDelete, descriptors)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	return &store{inner: inner, driver: driver, ttl: ttl, now: func() time.Time { return clock }}, &clock
}

func (s *store) mustBe(t *testing.T, name reference.Named, want presence) {
	t.Helper()
	got, err := s.look(background, name, layer)
	if err != nil || got != want {
		t.Fatalf("in %s: %d and %v, want %d", name, got, err, want)
	}
}

func (s *store) mustLink(t *testing.T, name reference.Named) {
	t.Helper()
	if err := s.link(background, name, layer); err != nil {
		t.Fatal(err)
	}
	s.mustBe(t, name, ready)
}

func (s *store) mustKeep(t *testing.T) {
	t.Helper()
	if size, err := s.keep(background, app, layer, bytes.NewReader(content)); err != nil || size != int64(len(content)) {
		t.Fatalf("kept %d bytes: %v", size, err)
	}
}

// files lists all that is in the store's driver.
func (s *store) files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := s.driver.Walk(background, "/", func(info storagedriver.FileInfo) error {
		if !info.IsDir() {
			found = append(found, info.Path())
		}
		return nil
	})
	if err != nil && !isGone(err) {
		t.Fatal(err)
	}
	return found
}

func TestKeep(t *testing.T) {
	store, _ := newStore(t, 0)
	store.mustBe(t, app, absent)
	store.mustKeep(t)
	store.mustBe(t, app, ready)
}

func TestStoredForAnotherRepository(t *testing.T) {
	store, _ := newStore(t, 0)
	store.mustKeep(t)
	store.mustBe(t, other, unlinked)
	store.mustLink(t, other)
	repository, err := store.inner.Repository(background, other)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := repository.Blobs(background).Get(background, layer); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("read %q: %v", got, err)
	}
}

func TestNothingKept(t *testing.T) {
	broken := errors.New("connection reset")
	for name, body := range map[string]io.Reader{
		"other content": strings.NewReader("a lier"),
		"cut short":     bytes.NewReader(content[:3]),
		"empty":         strings.NewReader(""),
		"broken off":    io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)),
	} {
		store, _ := newStore(t, 0)
		_, err := store.keep(background, app, layer, body)
		var full storageError
		if err == nil || errors.As(err, &full) {
			t.Errorf("%s: %v", name, err)
		}
		if files := store.files(t); len(files) > 0 {
			t.Errorf("%s: left %v", name, files)
		}
		store.mustBe(t, app, absent)
	}
}

// fullDriver takes small files only, as a disk does that has no space left for a blob.
type fullDriver struct{ storagedriver.StorageDriver }

func (d fullDriver) Writer(ctx context.Context, path string, appending bool) (storagedriver.FileWriter, error) {
	writer, err := d.StorageDriver.Writer(ctx, path, appending)
	return fullWriter{writer}, err
}

type fullWriter struct{ storagedriver.FileWriter }

func (fullWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestStorageFailureIsNoFailureOfTheUpstream(t *testing.T) {
	store, _ := newStore(t, 0)
	inner, err := storage.NewRegistry(background, fullDriver{store.driver})
	if err != nil {
		t.Fatal(err)
	}
	store.inner = inner
	_, err = store.keep(background, app, layer, bytes.NewReader(content))
	var full storageError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if files := store.files(t); len(files) > 0 {
		t.Errorf("left %v", files)
	}
}

func TestExpiry(t *testing.T) {
	store, clock := newStore(t, time.Hour)
	cache := &cache{store: store}
	store.mustKeep(t)
	store.mustBe(t, other, unlinked)
	store.mustLink(t, other)

	*clock = clock.Add(59 * time.Minute)
	if err := cache.sweep(background); err != nil {
		t.Fatal(err)
	}
	store.mustBe(t, app, ready)

	*clock = clock.Add(2 * time.Minute)
	store.mustBe(t, app, absent)
	for range 2 { // the second time there is nothing left to remove
		if err := cache.sweep(background); err != nil {
			t.Fatal(err)
		}
	}
	if files := store.files(t); len(files) > 0 {
		t.Errorf("left %v", files)
	}
}

func TestSlidingExpiry(t *testing.T) {
	store, clock := newStore(t, time.Hour)
	store.sliding = true
	cache := &cache{store: store}
	store.mustKeep(t)
	for range 4 { // 160 minutes in all
		*clock = clock.Add(40 * time.Minute)
		store.mustBe(t, app, ready)
		if err := cache.renew(background, layer); err != nil {
			t.Fatal(err)
		}
		if err := cache.sweep(background); err != nil {
			t.Fatal(err)
		}
	}
	*clock = clock.Add(59 * time.Minute)
	store.mustBe(t, app, ready) // to ask for it is no pull
	*clock = clock.Add(2 * time.Minute)
	store.mustBe(t, app, absent)
	if err := cache.sweep(background); err != nil {
		t.Fatal(err)
	}
	if files := store.files(t); len(files) > 0 {
		t.Errorf("left %v", files)
	}
}

func TestNothingIsRenewedByDefaultOrAfterTheEnd(t *testing.T) {
	store, clock := newStore(t, time.Hour)
	cache := &cache{store: store}
	store.mustKeep(t)
	files := len(store.files(t))
	if err := cache.renew(background, layer); err != nil || len(store.files(t)) != files {
		t.Fatalf("%v: %v", store.files(t), err)
	}
	*clock = clock.Add(2 * time.Hour)
	if err := cache.sweep(background); err != nil {
		t.Fatal(err)
	}
	store.sliding = true
	if err := cache.renew(background, layer); err != nil || len(store.files(t)) > 0 {
		t.Fatalf("%v: %v", store.files(t), err)
	}
}

// unwritable has no space for even a small file.
type unwritable struct{ storagedriver.StorageDriver }

func (unwritable) PutContent(context.Context, string, []byte) error { return syscall.ENOSPC }

func TestAPullThatCannotBeNotedIsServed(t *testing.T) {
	store, _ := newStore(t, time.Hour)
	store.sliding = true
	store.mustKeep(t)
	store.driver = unwritable{store.driver}
	cache := &cache{store: store}
	if err := cache.renew(background, layer); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	hit, _, err := cache.provide(background, wanted{repository: app, digest: layer, pulls: true})
	if err != nil || !hit {
		t.Errorf("hit %t: %v", hit, err)
	}
}

func TestAPullThatWasNotedInHalfIsNone(t *testing.T) {
	store, clock := newStore(t, time.Hour)
	store.sliding = true
	store.mustKeep(t)
	*clock = clock.Add(2 * time.Hour)
	if err := store.driver.PutContent(background, pulledPath(layer), []byte("2026-0")); err != nil {
		t.Fatal(err)
	}
	store.mustBe(t, app, absent)
}

func TestRemovedByAnotherReplica(t *testing.T) {
	store, clock := newStore(t, time.Hour)
	store.mustKeep(t)
	*clock = clock.Add(2 * time.Hour)
	expired, err := store.expiredBlobs(background)
	if err != nil || len(expired) != 1 {
		t.Fatalf("expired %v: %v", expired, err)
	}
	if err := store.driver.Delete(background, "/docker"); err != nil {
		t.Fatal(err)
	}
	if err := store.unlink(background, expired); err != nil {
		t.Error(err)
	}
	if err := store.removeIfExpired(background, layer); err != nil {
		t.Error(err)
	}
	if err := store.remove(background, layer); err != nil {
		t.Error(err)
	}
	store.mustBe(t, app, absent)
}

func TestSweepInterval(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		time.Nanosecond: time.Second, 24 * time.Minute: time.Minute, 24 * time.Hour: time.Hour, 1000 * time.Hour: time.Hour,
	} {
		if got := sweepInterval(ttl); got != want {
			t.Errorf("%s: %s, want %s", ttl, got, want)
		}
	}
}
