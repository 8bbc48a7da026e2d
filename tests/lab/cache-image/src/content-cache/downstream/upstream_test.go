// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, addresses ...string) []*url.URL {
	t.Helper()
	var hosts []*url.URL
	for _, address := range addresses {
		host, err := parseUpstream(address)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, host)
	}
	return hosts
}

func TestInTurn(t *testing.T) {
	upstreams := newUpstreams(parse(t, "http://a", "http://b", "http://c"), nil)
	var orders []string
	for range 4 {
		order := ""
		for _, host := range upstreams.inTurn() {
			order += host.Host
		}
		orders = append(orders, order)
	}
	if want := []string{"abc", "bca", "cab", "abc"}; !slices.Equal(orders, want) {
		t.Errorf("got %v, want %v", orders, want)
	}
}

// statusServer answers each request with a status, and counts.
func statusServer(t *testing.T, status int, asked *int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*asked++
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func discard(body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

func TestRefusalIsPreferredToOtherFailures(t *testing.T) {
	var asked int
	refusing, failing := statusServer(t, 403, &asked), statusServer(t, 500, &asked)
	for _, order := range [][]string{{refusing, failing}, {failing, refusing}} {
		_, err := newUpstreams(parse(t, order...), nil).fetch(background, "/v2/", "", discard)
		var refused refusal
		if !errors.As(err, &refused) || refused.status != 403 {
			t.Errorf("got %v", err)
		}
	}
	if asked != 4 {
		t.Errorf("asked %d times", asked)
	}
}

func TestStorageFailureAsksNoOtherUpstream(t *testing.T) {
	var asked int
	upstreams := newUpstreams(parse(t, statusServer(t, 200, &asked), statusServer(t, 200, &asked)), nil)
	_, err := upstreams.fetch(background, "/v2/", "", func(io.Reader) error { return storageError{errors.New("disk full")} })
	var full storageError
	if !errors.As(err, &full) || asked != 1 {
		t.Errorf("got %v after %d requests", err, asked)
	}
}

func TestErrorsTellNoSignature(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[broken?signature=secret")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	for _, stop := range []func(){func() {}, server.Close} {
		stop()
		_, err := newUpstreams(parse(t, server.URL), nil).fetch(background, "/v2/", "signature=secret", discard)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}

func TestRedirects(t *testing.T) {
	step := func(address string) *http.Request {
		request, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Referer", "https://dtr/?signature=secret")
		return request
	}
	next := step("https://b/")
	if err := checkRedirect(next, []*http.Request{step("https://a/")}); err != nil || next.Referer() != "" {
		t.Errorf("got %v, Referer %q", err, next.Referer())
	}
	if err := checkRedirect(step("http://b/"), []*http.Request{step("https://a/")}); err == nil {
		t.Error("went from https to http")
	}
	if err := checkRedirect(next, slices.Repeat([]*http.Request{step("https://a/")}, maxRedirects+1)); err == nil {
		t.Error("redirected without end")
	}
}

func TestAPIErrors(t *testing.T) {
	for status, want := range map[int]string{401: "UNAUTHORIZED", 403: "DENIED", 404: "BLOB_UNKNOWN", 0: "UNAVAILABLE"} {
		err := fmt.Errorf("https://dtr.lab.test: %w", refusal{status: status})
		if status == 0 {
			err = errors.New("x509: certificate signed by unknown authority")
		}
		answer := apiError(layer, err)
		if answer.Code.String() != want || status != 0 && answer.Code.Descriptor().HTTPStatusCode != status {
			t.Errorf("%d: %v", status, answer)
		}
	}
}
