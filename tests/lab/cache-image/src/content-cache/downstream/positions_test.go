// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/distribution/registry/storage"
	"github.com/docker/distribution/registry/storage/driver/inmemory"
)

const (
	// Of Python's hmac over the path of layer in app, the account alice and the moment 2000000000.
	key     = "a-key-of-the-tests"
	expires = "2000000000"
)

func TestPositionsAreOneOfTwo(t *testing.T) {
	read := func(values map[string]string) (Positions, error) {
		return ParsePositions(func(name string) string { return values[name] })
	}
	if usual, err := read(nil); err != nil || usual.Authorises || usual.Judges {
		t.Errorf("%+v, %v", usual, err)
	}
	other, err := read(map[string]string{HitsVariable: "authorised", JudgeVariable: "itself", KeyVariable: "k\n"})
	if err != nil || !other.Authorises || !other.Judges || string(other.Key) != "k" {
		t.Errorf("%+v, %v", other, err)
	}
	for _, variable := range []string{HitsVariable, JudgeVariable} {
		if _, err := read(map[string]string{variable: "maybe"}); err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func TestWhoJudgesASignature(t *testing.T) {
	blob := wanted{repository: app, digest: layer}
	now := time.Unix(1_900_000_000, 0)
	for query, status := range map[string]int{
		"":                                    http.StatusUnauthorized,
		"account=alice&expires=" + expires:    http.StatusUnauthorized,
		"expires=1&signature=x":               http.StatusForbidden,
		"expires=soon&signature=x":            http.StatusForbidden,
		"expires=" + expires + "&signature=x": http.StatusForbidden,
	} {
		blob.query = query
		var refused refusal
		if err := (Positions{Key: []byte(key)}).judge(blob, now); !errors.As(err, &refused) || refused.status != status {
			t.Errorf("%q: %v", query, err)
		}
	}
	blob.query = "expires=" + expires + "&signature=x"
	if err := (Positions{}).judge(blob, now); err != nil {
		t.Errorf("without a key: %v", err)
	}
}

// What each position does with what is stored and what is not, asked for with and without a signature; and how often it
// asks its upstream, which refuses what is not signed.
func TestEachPosition(t *testing.T) {
	future := "expires=" + expires + "&signature=x"
	for name, position := range map[string]struct {
		Positions
		unsignedHit, unsignedMiss int // the status of the refusal, 0 where there is none
		asked                     int32
	}{
		"neither":    {Positions{}, 0, http.StatusForbidden, 2},
		"authorises": {Positions{Authorises: true}, http.StatusForbidden, http.StatusForbidden, 4},
		"judges":     {Positions{Judges: true}, 0, http.StatusUnauthorized, 1},
		"both":       {Positions{Authorises: true, Judges: true}, http.StatusUnauthorized, http.StatusUnauthorized, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if !strings.Contains(r.URL.RawQuery, "signature=") {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				if _, err := w.Write(content); err != nil {
					t.Error(err)
				}
			}))
			t.Cleanup(upstream.Close)
			driver := inmemory.New()
			inner, err := storage.NewRegistry(background, driver)
			if err != nil {
				t.Fatal(err)
			}
			cache := &cache{
				store:     &store{inner: inner, driver: driver},
				upstreams: newUpstreams(parse(t, upstream.URL), nil),
				positions: position.Positions,
			}
			ask := func(query string, want int) {
				t.Helper()
				blob := wanted{repository: app, digest: layer, query: query}
				err := cache.admit(background, blob)
				if err == nil {
					_, _, err = cache.provide(background, blob)
				}
				var refused refusal
				errors.As(err, &refused)
				if refused.status != want || (want == 0 && err != nil) {
					t.Errorf("%q: %v, not %d", query, err, want)
				}
			}
			ask("", position.unsignedMiss)
			ask(future, 0)
			ask(future, 0)
			ask("", position.unsignedHit)
			if asked.Load() != position.asked {
				t.Errorf("the upstream was asked %d times, not %d", asked.Load(), position.asked)
			}
		})
	}
}
