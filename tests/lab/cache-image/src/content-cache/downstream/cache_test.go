// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/distribution/reference"
	"github.com/docker/distribution/registry/storage"
	"github.com/docker/distribution/registry/storage/driver/filesystem"
)

// A disk's file is there, and empty, before its content is.
func TestManyClientsOfABlobThatIsJustStored(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write(content); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(upstream.Close)
	for range 20 {
		driver := filesystem.New(filesystem.DriverParameters{RootDirectory: t.TempDir(), MaxThreads: 25})
		inner, err := storage.NewRegistry(background, driver)
		if err != nil {
			t.Fatal(err)
		}
		cache := &cache{store: &store{inner: inner, driver: driver}, upstreams: newUpstreams(parse(t, upstream.URL), nil)}
		var clients sync.WaitGroup
		for number := range 8 {
			clients.Add(1)
			go func() {
				defer clients.Done()
				name := []reference.Named{app, other}[number%2]
				for range 20 {
					if _, _, err := cache.provide(background, wanted{repository: name, digest: layer}); err != nil {
						t.Errorf("not provided: %v", err)
						return
					}
					repository, err := inner.Repository(background, name)
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := repository.Blobs(background).Get(background, layer); err != nil || !bytes.Equal(got, content) {
						t.Errorf("read %q: %v", got, err)
						return
					}
				}
			}()
		}
		clients.Wait()
	}
}
